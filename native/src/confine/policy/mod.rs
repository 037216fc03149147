//! What a machine's process may ask of the kernel once it runs its guest: what V8, libuv, the vCPU and the queue
//! threads do with what is already open. There are three answers to the rest: files and names that a library may look
//! for are absent (EACCES), what a runtime tries without needing it is refused (EPERM), and a call that this code never
//! makes is an attack, which ends the process with a report.

use super::bpf::{Action, Condition, Rule};
use libc::*;

const ANY: u32 = u32::MAX;

/// Calls from this number on (Linux 5.17) that have no rule are newer than what vring was written for.
pub const UNKNOWN_FROM: i64 = 450;

/// Types of ioctls (linux/ioctl.h), the second byte of a request: all of KVM and VFIO.
const IOCTL_TYPES: [u32; 2] = [0xae, 0x3b];

/// Requests of other types: FIONBIO, FIOCLEX, FIONCLEX, FIONREAD and TCGETS (isatty); for TAP interfaces TUNSETOFFLOAD,
/// TUNSETTXFILTER, TUNSETVNETHDRSZ, TUNSETQUEUE, TUNSETVNETLE and TUNSETSTEERINGEBPF; for disks BLKGETSIZE64,
/// BLKDISCARD and BLKZEROOUT; for files FICLONE, which snapshots use.
const IOCTLS: [u32; 15] = [
    0x5421,
    0x5451,
    0x5450,
    0x541b,
    0x5401,
    0x4004_54d0,
    0x4004_54d1,
    0x4004_54d8,
    0x4004_54d9,
    0x4004_54dc,
    0x8004_54e0,
    0x8008_1272,
    0x1277,
    0x127f,
    0x4004_9409,
];

/// Ioctls of /dev/vhost-net (src/vmm/vhost/ioctls.ts), in its order: features, owner, memory and log; size, addresses
/// and position of a queue, and its eventfds; the interface.
const VHOST_IOCTLS: [u32; 14] = [
    0x8008_af00,
    0x4008_af00,
    0xaf01,
    0xaf02,
    0x4008_af03,
    0x4008_af04,
    0x4008_af10,
    0x4028_af11,
    0x4008_af12,
    0xc008_af12,
    0x4008_af20,
    0x4008_af21,
    0x4008_af22,
    0x4008_af30,
];

/// Without F_SETOWN, F_SETSIG, F_SETLEASE and F_NOTIFY, which send signals.
const FCNTLS: [i32; 13] = [
    F_DUPFD,
    F_GETFD,
    F_SETFD,
    F_GETFL,
    F_SETFL,
    F_DUPFD_CLOEXEC,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_ADD_SEALS,
    F_GET_SEALS,
    F_GETPIPE_SZ,
    F_SETPIPE_SZ,
];

/// linux/prctl.h. PR_SET_SECCOMP and PR_SET_NO_NEW_PRIVS are for the filters of VM threads,
/// which can only restrict further.
const PRCTLS: [i32; 8] = [
    PR_SET_NAME,
    PR_GET_NAME,
    PR_SET_VMA,
    PR_GET_DUMPABLE,
    PR_SET_SECCOMP,
    PR_SET_NO_NEW_PRIVS,
    PR_GET_NO_NEW_PRIVS,
    PR_SET_TIMERSLACK,
];

const FUTEX_WAKE2: i64 = 454;
const FUTEX_WAIT2: i64 = 455;
const FUTEX_REQUEUE2: i64 = 456;

/// Allowed with any arguments. The frequent ones come first.
#[rustfmt::skip]
const ALLOWED: &[i64] = &[
    SYS_futex, SYS_read, SYS_write, SYS_io_uring_enter, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2,
    SYS_clock_gettime, SYS_gettimeofday, SYS_time, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep,
    SYS_getcpu, SYS_sched_yield, SYS_madvise, SYS_mprotect, SYS_mmap, SYS_munmap, SYS_mremap, SYS_brk,
    // Memory
    SYS_msync, SYS_mincore, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_mbind, SYS_get_mempolicy,
    SYS_set_mempolicy, SYS_pkey_mprotect, SYS_pkey_alloc, SYS_pkey_free, SYS_membarrier, SYS_memfd_create,
    // Open files
    SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2,
    SYS_lseek, SYS_fstat, SYS_fsync, SYS_fdatasync, SYS_sync_file_range, SYS_ftruncate, SYS_fallocate,
    SYS_getdents64, SYS_fstatfs, SYS_fadvise64, SYS_copy_file_range, SYS_splice, SYS_close, SYS_close_range,
    SYS_dup, SYS_dup2, SYS_dup3,
    // Waiting
    SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_eventfd2,
    SYS_pipe2, SYS_timerfd_create, SYS_timerfd_settime, SYS_timerfd_gettime, SYS_io_uring_setup,
    SYS_io_uring_register,
    // Connected sockets
    SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_sendmsg, SYS_sendmmsg, SYS_accept, SYS_accept4,
    SYS_shutdown, SYS_getsockopt, SYS_getsockname, SYS_getpeername,
    // Threads and signals
    SYS_exit, SYS_exit_group, SYS_set_robust_list, SYS_get_robust_list, SYS_rseq, SYS_set_tid_address,
    SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_sched_getparam, SYS_sched_getscheduler,
    SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_getpriority, SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait, SYS_rt_sigsuspend,
    SYS_sigaltstack, SYS_restart_syscall, SYS_pause, SYS_futex_waitv, FUTEX_WAKE2, FUTEX_WAIT2,
    FUTEX_REQUEUE2,
    // Own identity and state
    SYS_gettid, SYS_getpid, SYS_getppid, SYS_getpgrp, SYS_getpgid, SYS_getsid, SYS_getuid, SYS_geteuid,
    SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getrusage, SYS_times,
    SYS_sysinfo, SYS_uname, SYS_getrandom, SYS_getrlimit, SYS_getcwd, SYS_capget,
];

/// Calls that name files: none exists.
#[rustfmt::skip]
const NO_FILES: &[i64] = &[
    SYS_open, SYS_openat, SYS_openat2, SYS_creat, SYS_access, SYS_faccessat, SYS_faccessat2, SYS_stat,
    SYS_lstat, SYS_statfs, SYS_readlink, SYS_readlinkat, SYS_chdir, SYS_fchdir, SYS_rename, SYS_renameat,
    SYS_renameat2, SYS_mkdir, SYS_mkdirat, SYS_rmdir, SYS_link, SYS_linkat, SYS_symlink, SYS_symlinkat,
    SYS_unlink, SYS_unlinkat, SYS_mknod, SYS_mknodat, SYS_truncate, SYS_chmod, SYS_fchmod, SYS_fchmodat,
    SYS_chown, SYS_lchown, SYS_fchown, SYS_fchownat, SYS_utime, SYS_utimes, SYS_utimensat, SYS_futimesat,
    SYS_getxattr, SYS_lgetxattr, SYS_setxattr, SYS_lsetxattr, SYS_removexattr, SYS_lremovexattr,
    SYS_listxattr, SYS_llistxattr, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_inotify_add_watch,
];

/// Calls that a runtime may try without needing them, or that may target another process.
#[rustfmt::skip]
const REFUSED: &[i64] = &[
    SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_listen, SYS_tkill, SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo, SYS_setrlimit, SYS_setpriority, SYS_ioprio_set, SYS_sched_setscheduler,
    SYS_sched_setparam, SYS_sched_setattr, SYS_mlockall, SYS_munlockall, SYS_getdents,
    SYS_fgetxattr, SYS_flistxattr, SYS_fsetxattr, SYS_fremovexattr, SYS_flock, SYS_umask,
    SYS_sync, SYS_syncfs, SYS_sendfile, SYS_tee, SYS_vmsplice, SYS_inotify_init, SYS_inotify_init1,
    SYS_pidfd_open, SYS_pidfd_send_signal, SYS_pidfd_getfd, SYS_setsid, SYS_setpgid, SYS_timer_create,
    SYS_setitimer, SYS_alarm, SYS_arch_prctl, SYS_personality, SYS_wait4, SYS_waitid, SYS_signalfd4,
];

/// Used by newer callers, which fall back: clone3's flags are behind a pointer that a filter cannot follow.
const ABSENT: &[i64] = &[SYS_clone3, SYS_process_madvise];

fn low(index: u32, value: i32) -> Condition {
    Condition::Low { index, mask: ANY, value: value as u32 }
}

fn bits(index: u32, mask: u32, value: u32) -> Condition {
    Condition::Low { index, mask, value }
}

fn any_of(alternatives: Vec<Vec<Condition>>, otherwise: Action) -> Rule {
    Rule::AnyOf { alternatives, otherwise }
}

/// The rules for the process `pid`, as numbered in its own namespace. `files`: it may name
/// files, which Landlock restricts.
pub fn rules(pid: i32, files: bool) -> Vec<(i64, Rule)> {
    let mut rules = vec![(SYS_ioctl, ioctls())];
    let mut always = |calls: &[i64], action| {
        rules.extend(calls.iter().map(|&call| (call, Rule::Always(action))));
    };
    always(ALLOWED, Action::Allow);
    always(NO_FILES, if files { Action::Allow } else { Action::Fail(EACCES) });
    always(REFUSED, Action::Fail(EPERM));
    always(ABSENT, Action::Fail(ENOSYS));
    rules.extend(with_conditions(pid, files));
    rules
}

fn ioctls() -> Rule {
    let types = IOCTL_TYPES.iter().map(|kind| vec![bits(1, 0xff00, kind << 8)]);
    let known = IOCTLS.iter().chain(&VHOST_IOCTLS);
    let requests = known.map(|&request| vec![bits(1, ANY, request)]);
    any_of(types.chain(requests).collect(), Action::Fail(ENOTTY))
}

fn with_conditions(pid: i32, files: bool) -> Vec<(i64, Rule)> {
    let eperm = Action::Fail(EPERM);
    let each = |index, values: &[i32]| values.iter().map(|&value| vec![low(index, value)]).collect();
    let namespaces = (CLONE_NEWNS
        | CLONE_NEWUSER
        | CLONE_NEWPID
        | CLONE_NEWNET
        | CLONE_NEWIPC
        | CLONE_NEWUTS
        | CLONE_NEWCGROUP) as u32;
    let thread = (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_FS) as u32;
    let stat = if files { Action::Allow } else { Action::Fail(EACCES) };
    let empty_path = AT_EMPTY_PATH as u32;
    vec![
        (SYS_fcntl, any_of(each(1, &FCNTLS), eperm)),
        (SYS_prctl, any_of(each(0, &PRCTLS), eperm)),
        // A thread, never a process.
        (SYS_clone, any_of(vec![vec![bits(0, thread | namespaces, thread)]], Action::Trap)),
        (SYS_tgkill, any_of(vec![vec![low(0, pid)]], eperm)),
        (SYS_kill, any_of(vec![vec![low(0, pid)]], eperm)),
        // Reading its own limits.
        (SYS_prlimit64, any_of(vec![vec![low(0, 0), Condition::Zero { index: 2 }]], eperm)),
        // fstat: on an fd, with an empty path.
        (SYS_newfstatat, any_of(vec![vec![bits(3, empty_path, empty_path)]], stat)),
        (SYS_statx, any_of(vec![vec![bits(2, empty_path, empty_path)]], stat)),
        // Without an address: to the connected peer.
        (SYS_sendto, any_of(vec![vec![Condition::Zero { index: 4 }]], eperm)),
        (SYS_setsockopt, any_of(each(1, &[SOL_SOCKET, IPPROTO_TCP]), eperm)),
        // The filters of VM threads: SECCOMP_SET_MODE_FILTER without a listener; SECCOMP_GET_ACTION_AVAIL.
        (SYS_seccomp, any_of(vec![vec![low(0, 1), low(1, 0)], vec![low(0, 2)]], eperm)),
    ]
}

#[cfg(test)]
mod tests;
