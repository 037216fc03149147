//! What a machine's process may ask of the kernel once it runs its guest: what V8, libuv, the vCPU and the queue threads
//! do with what is already open. Three answers to the rest: files and names that a library may look for are absent
//! (EACCES), what a runtime asks for in passing is refused (EPERM), and what nothing here ever calls is an attack, which
//! ends the process with a report.

use super::bpf::{Action, Condition, Rule};
use libc::*;

const ANY: u32 = u32::MAX;

/// Calls from this number on (Linux 5.17) that have no rule are newer than what vring was written for.
pub const UNKNOWN_FROM: i64 = 450;

/// Types of ioctls (linux/ioctl.h), the second byte of a request: everything about KVM, VFIO and vhost.
const IOCTL_TYPES: [u32; 3] = [0xae, 0x3b, 0xaf];

/// Requests of other types: FIONBIO, FIOCLEX, FIONCLEX and FIONREAD, TCGETS (isatty); of taps TUNSETOFFLOAD,
/// TUNSETVNETHDRSZ and TUNSETVNETLE; of disks BLKGETSIZE64, BLKDISCARD, BLKZEROOUT.
const IOCTLS: [u32; 11] = [
    0x5421,
    0x5451,
    0x5450,
    0x541b,
    0x5401,
    0x4004_54d0,
    0x4004_54d8,
    0x4004_54dc,
    0x8008_1272,
    0x1277,
    0x127f,
];

/// Not F_SETOWN, F_SETSIG, F_SETLEASE and F_NOTIFY, which send signals.
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

/// linux/prctl.h; PR_SET_SECCOMP and PR_SET_NO_NEW_PRIVS for the filters of VM threads, which can only take more away.
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

/// Without arguments that matter. The frequent ones are first.
const ALLOWED: &[i64] = &[
    SYS_futex,
    SYS_read,
    SYS_write,
    SYS_io_uring_enter,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_time,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_getcpu,
    SYS_sched_yield,
    SYS_madvise,
    SYS_mprotect,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_brk,
    // Memory
    SYS_msync,
    SYS_mincore,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    SYS_mbind,
    SYS_get_mempolicy,
    SYS_set_mempolicy,
    SYS_pkey_mprotect,
    SYS_pkey_alloc,
    SYS_pkey_free,
    SYS_membarrier,
    SYS_memfd_create,
    // What is open
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_lseek,
    SYS_fstat,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_copy_file_range,
    SYS_splice,
    SYS_close,
    SYS_close_range,
    SYS_dup,
    SYS_dup2,
    SYS_dup3,
    // Waiting
    SYS_poll,
    SYS_ppoll,
    SYS_select,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_eventfd2,
    SYS_pipe2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_io_uring_setup,
    SYS_io_uring_register,
    // Sockets that are connected
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_accept,
    SYS_accept4,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_getsockname,
    SYS_getpeername,
    // Threads and signals
    SYS_exit,
    SYS_exit_group,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_rseq,
    SYS_set_tid_address,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_getpriority,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_pause,
    SYS_futex_waitv,
    FUTEX_WAKE2,
    FUTEX_WAIT2,
    FUTEX_REQUEUE2,
    // About itself
    SYS_gettid,
    SYS_getpid,
    SYS_getppid,
    SYS_getpgrp,
    SYS_getpgid,
    SYS_getsid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_getrusage,
    SYS_times,
    SYS_sysinfo,
    SYS_uname,
    SYS_getrandom,
    SYS_getrlimit,
    SYS_getcwd,
    SYS_capget,
];

/// Names of files: there are none.
const NO_FILES: &[i64] = &[
    SYS_open,
    SYS_openat,
    SYS_openat2,
    SYS_creat,
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_stat,
    SYS_lstat,
    SYS_statfs,
    SYS_readlink,
    SYS_readlinkat,
    SYS_chdir,
    SYS_fchdir,
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    SYS_mkdir,
    SYS_mkdirat,
    SYS_rmdir,
    SYS_link,
    SYS_linkat,
    SYS_symlink,
    SYS_symlinkat,
    SYS_unlink,
    SYS_unlinkat,
    SYS_mknod,
    SYS_mknodat,
    SYS_truncate,
    SYS_chmod,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_chown,
    SYS_lchown,
    SYS_fchown,
    SYS_fchownat,
    SYS_utime,
    SYS_utimes,
    SYS_utimensat,
    SYS_futimesat,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_inotify_add_watch,
];

/// What a runtime may try without needing it, or with others than itself as its object.
const REFUSED: &[i64] = &[
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_setrlimit,
    SYS_setpriority,
    SYS_ioprio_set,
    SYS_sched_setscheduler,
    SYS_sched_setparam,
    SYS_sched_setattr,
    SYS_mlockall,
    SYS_munlockall,
    SYS_getdents,
    SYS_getdents64,
    SYS_fstatfs,
    SYS_fgetxattr,
    SYS_flistxattr,
    SYS_fsetxattr,
    SYS_fremovexattr,
    SYS_flock,
    SYS_umask,
    SYS_sync,
    SYS_syncfs,
    SYS_sendfile,
    SYS_tee,
    SYS_vmsplice,
    SYS_inotify_init,
    SYS_inotify_init1,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_setsid,
    SYS_setpgid,
    SYS_timer_create,
    SYS_setitimer,
    SYS_alarm,
    SYS_arch_prctl,
    SYS_personality,
    SYS_wait4,
    SYS_waitid,
    SYS_signalfd4,
];

/// Of newer callers, which fall back: clone3's flags are behind a pointer that a filter cannot follow.
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

/// The rules for the process `pid`, as its own namespace numbers it.
/// `files`: it may name files, which Landlock restricts.
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
    let requests = IOCTLS.iter().map(|&request| vec![bits(1, ANY, request)]);
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
        // fstat: of an fd, with an empty path.
        (SYS_newfstatat, any_of(vec![vec![bits(3, empty_path, empty_path)]], stat)),
        (SYS_statx, any_of(vec![vec![bits(2, empty_path, empty_path)]], stat)),
        // Without an address: to whom it is connected.
        (SYS_sendto, any_of(vec![vec![Condition::Zero { index: 4 }]], eperm)),
        (SYS_setsockopt, any_of(each(1, &[SOL_SOCKET, IPPROTO_TCP]), eperm)),
        // The filters of VM threads: SECCOMP_SET_MODE_FILTER without a listener; SECCOMP_GET_ACTION_AVAIL.
        (SYS_seccomp, any_of(vec![vec![low(0, 1), low(1, 0)], vec![low(0, 2)]], eperm)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::bpf;
    use super::*;
    use std::collections::BTreeSet;

    const PID: i32 = 7;
    const X86_64: u32 = 0xc000_003e;

    /// What the program answers to a call, as the kernel runs it.
    fn answer_on(architecture: u32, number: i64, arguments: [u64; 6], files: bool) -> u32 {
        let mut data = vec![number as u32, architecture, 0, 0];
        data.extend(arguments.iter().flat_map(|argument| [*argument as u32, (argument >> 32) as u32]));
        let program = bpf::compile(&rules(PID, files), UNKNOWN_FROM);
        let (mut at, mut accumulator) = (0, 0u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let mut jump = |is: bool| at += usize::from(if is { jt } else { jf });
            match code {
                0x20 => accumulator = data[k as usize / 4],
                0x54 => accumulator &= k,
                0x15 => jump(accumulator == k),
                0x35 => jump(accumulator >= k),
                0x06 => return k,
                _ => panic!("instruction {code:#x}"),
            }
        }
    }

    fn answer(number: i64, arguments: &[u64]) -> u32 {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        answer_on(X86_64, number, all, false)
    }

    const ALLOW: u32 = 0x7fff_0000;
    const TRAP: u32 = 0x0003_0000;
    const fn errno(errno: i32) -> u32 {
        0x0005_0000 | errno as u32
    }

    #[test]
    fn every_call_has_one_rule() {
        let rules = rules(PID, false);
        let numbers: BTreeSet<i64> = rules.iter().map(|(number, _)| *number).collect();
        let twice: Vec<i64> = numbers
            .iter()
            .copied()
            .filter(|number| rules.iter().filter(|(other, _)| other == number).count() > 1)
            .collect();
        assert_eq!(twice, Vec::<i64>::new());
    }

    #[test]
    fn calls_of_other_architectures_are_trapped() {
        assert_eq!(answer_on(X86_64, SYS_read, [0; 6], false), ALLOW);
        assert_eq!(answer_on(0x4000_0003, SYS_read, [0; 6], false), TRAP);
        assert_eq!(answer_on(X86_64, 0x4000_0000 | SYS_read, [0; 6], false), TRAP);
    }

    #[test]
    fn threads_can_be_made_and_processes_cannot() {
        let thread =
            (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM) as u64;
        assert_eq!(answer(SYS_clone, &[thread | CLONE_SETTLS as u64]), ALLOW);
        assert_eq!(answer(SYS_clone, &[SIGCHLD as u64]), TRAP);
        assert_eq!(answer(SYS_clone, &[(CLONE_VM | CLONE_VFORK | SIGCHLD) as u64]), TRAP);
        assert_eq!(answer(SYS_clone, &[thread | CLONE_NEWUSER as u64]), TRAP);
        assert_eq!(answer(SYS_clone3, &[]), errno(ENOSYS));
        assert_eq!((answer(SYS_fork, &[]), answer(SYS_vfork, &[])), (TRAP, TRAP));
    }

    #[test]
    fn ioctls_are_those_of_kvm_and_what_is_open() {
        let kvm_run = 0xae80;
        let tiocsti = 0x5412;
        let fionbio = 0x5421;
        assert_eq!(answer(SYS_ioctl, &[5, kvm_run]), ALLOW);
        assert_eq!(answer(SYS_ioctl, &[5, 0xc008_ae05]), ALLOW);
        assert_eq!(answer(SYS_ioctl, &[5, fionbio]), ALLOW);
        assert_eq!(answer(SYS_ioctl, &[0, tiocsti]), errno(ENOTTY));
        // The kernel takes the low half of the request.
        assert_eq!(answer(SYS_ioctl, &[0, 0xae80_0000_0000 | tiocsti]), errno(ENOTTY));
    }

    #[test]
    fn signals_go_to_the_process_itself() {
        let own = PID as u64;
        assert_eq!(answer(SYS_tgkill, &[own, 9, 10]), ALLOW);
        assert_eq!(answer(SYS_kill, &[own, 10]), ALLOW);
        for other in [own + 1, 0, u64::MAX] {
            assert_eq!(answer(SYS_tgkill, &[other, 9, 10]), errno(EPERM));
            assert_eq!(answer(SYS_kill, &[other, 10]), errno(EPERM));
        }
    }

    #[test]
    fn limits_can_be_read_and_not_set() {
        let pointer = 0x7f00_0000_0000;
        assert_eq!(answer(SYS_prlimit64, &[0, 3, 0, pointer]), ALLOW);
        assert_eq!(answer(SYS_prlimit64, &[0, 3, pointer, 0]), errno(EPERM));
        assert_eq!(answer(SYS_prlimit64, &[0, 3, 1, 0]), errno(EPERM));
        assert_eq!(answer(SYS_prlimit64, &[1, 3, 0, pointer]), errno(EPERM));
    }

    #[test]
    fn messages_go_where_a_socket_is_connected() {
        assert_eq!(answer(SYS_sendto, &[3, 1, 1, 0, 0, 0]), ALLOW);
        assert_eq!(answer(SYS_sendto, &[3, 1, 1, 0, 0x7f00_0000_0000, 16]), errno(EPERM));
        assert_eq!(answer(SYS_connect, &[]), errno(EPERM));
        assert_eq!(answer(SYS_accept4, &[]), ALLOW);
    }

    #[test]
    fn files_can_be_named_only_if_asked_for() {
        assert_eq!(answer(SYS_openat, &[]), errno(EACCES));
        assert_eq!(answer(SYS_newfstatat, &[1, 2, 3, AT_EMPTY_PATH as u64]), ALLOW);
        assert_eq!(answer(SYS_newfstatat, &[1, 2, 3, 0]), errno(EACCES));
        assert_eq!(answer_on(X86_64, SYS_openat, [0; 6], true), ALLOW);
        assert_eq!(answer_on(X86_64, SYS_newfstatat, [0; 6], true), ALLOW);
        assert_eq!(answer_on(X86_64, SYS_execve, [0; 6], true), TRAP);
    }

    #[test]
    fn newer_calls_than_these_rules_are_absent_and_forgotten_ones_trapped() {
        assert_eq!(answer(500, &[]), errno(ENOSYS));
        assert_eq!(answer(FUTEX_WAIT2, &[]), ALLOW);
        for call in [SYS_ptrace, SYS_mount, SYS_bpf, SYS_kexec_load, SYS_uselib, SYS_init_module] {
            assert_eq!(answer(call, &[]), TRAP);
        }
    }

    #[test]
    fn a_filter_can_be_added_and_no_listener() {
        assert_eq!(answer(SYS_seccomp, &[1, 0, 0x7f00_0000_0000]), ALLOW);
        let listener = 8;
        assert_eq!(answer(SYS_seccomp, &[1, listener, 0x7f00_0000_0000]), errno(EPERM));
        assert_eq!(answer(SYS_prctl, &[PR_SET_DUMPABLE as u64, 1]), errno(EPERM));
    }
}
