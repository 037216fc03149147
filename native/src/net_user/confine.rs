//! Confining this process before the guest's first frame: what remains is sockets on the host's network, and the files
//! below its own root.

use super::options::Options;
use super::root;
use crate::confine::bpf::{self, Action, Condition, Rule};
use crate::confine::landlock::{AllowedPath, Ruleset, restrict_thread};
use crate::confine::{capabilities, credentials};
use crate::errno::{Errno, Result, check};
use libc::*;
use std::os::fd::AsRawFd;

/// Newer calls fail as unknown ones do (Linux 5.17).
const UNKNOWN_FROM: i64 = 450;

/// Applies the layers that follow the root, in this order. Returns the name and errno of each that failed.
pub fn confine(options: &Options) -> Vec<(&'static str, Errno)> {
    let mut missing = Vec::new();
    let mut apply = |name, result: Result<()>| missing.extend(result.err().map(|errno| (name, errno)));
    let raw = |result: isize| if result < 0 { Err(Errno(-result as i32)) } else { Ok(()) };
    let ruleset = ruleset();
    capabilities::drop_bounding();
    if let Some(uid) = options.uid {
        apply("uid", credentials::become_user(uid, uid));
    }
    apply("capabilities", raw(capabilities::drop_all()));
    apply("dumpable", credentials::not_dumpable());
    apply("landlock", ruleset.and_then(|ruleset| raw(restrict_thread(ruleset.as_raw_fd()))));
    apply("seccomp", filter());
    missing
}

/// Existing files may be read; all of TCP is allowed.
fn ruleset() -> Result<Ruleset> {
    let there = |path: &std::ffi::CStr| std::path::Path::new(path.to_str().expect("ASCII")).exists();
    let readable: Vec<AllowedPath> = [root::RESOLV_CONF, root::TFTP]
        .into_iter()
        .filter(|path| there(path))
        .map(|path| AllowedPath { path, writable: false })
        .collect();
    Ruleset::new(&readable, 0)
}

/// Calls made by libslirp, glib's allocator and the loop.
#[rustfmt::skip]
const ALLOWED: &[i64] = &[
    SYS_poll, SYS_ppoll, SYS_recvmmsg, SYS_sendmmsg, SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg,
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_close, SYS_accept, SYS_accept4, SYS_bind, SYS_connect,
    SYS_listen, SYS_shutdown, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
    SYS_openat, SYS_stat, SYS_fstat, SYS_newfstatat, SYS_lseek, SYS_pread64,
    SYS_clock_gettime, SYS_gettimeofday, SYS_time, SYS_getrandom, SYS_futex, SYS_sched_yield,
    SYS_munmap, SYS_mremap, SYS_brk, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_restart_syscall,
    SYS_getpid, SYS_gettid, SYS_exit, SYS_exit_group,
];

const REFUSED: &[i64] = &[SYS_open, SYS_access, SYS_readlink, SYS_getuid, SYS_geteuid, SYS_tgkill, SYS_uname];

fn filter() -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let mut program = bpf::compile(&rules(), UNKNOWN_FROM);
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a valid program, which the kernel copies. SECCOMP_SET_MODE_FILTER.
    check(unsafe { syscall(SYS_seccomp, 1, 0, &raw const program) } as i32).map(|_| ())
}

fn rules() -> Vec<(i64, Rule)> {
    let low = |index, value: i32| Condition::Low { index, mask: u32::MAX, value: value as u32 };
    let any_of = |alternatives, otherwise| Rule::AnyOf { alternatives, otherwise };
    let each = |index, values: &[i32]| values.iter().map(|&value| vec![low(index, value)]).collect();
    let without = |index, bits: i32| Condition::Low { index, mask: bits as u32, value: 0 };
    let anonymous = Condition::Low { index: 3, mask: MAP_ANONYMOUS as u32, value: MAP_ANONYMOUS as u32 };
    let refused = Action::Fail(EPERM);
    let mut rules: Vec<(i64, Rule)> =
        ALLOWED.iter().map(|&call| (call, Rule::Always(Action::Allow))).collect();
    rules.extend(REFUSED.iter().map(|&call| (call, Rule::Always(refused))));
    rules.extend([
        // Not AF_PACKET, AF_NETLINK and the like, whatever the user's permissions.
        (SYS_socket, any_of(each(0, &[AF_INET, AF_INET6, AF_UNIX]), Action::Fail(EAFNOSUPPORT))),
        (SYS_ioctl, any_of(each(1, &[FIONREAD as i32, FIONBIO as i32, SIOCATMARK]), Action::Fail(ENOTTY))),
        (SYS_fcntl, any_of(each(1, &[F_GETFL, F_SETFL, F_GETFD, F_SETFD]), refused)),
        (SYS_mmap, any_of(vec![vec![without(2, PROT_EXEC), anonymous]], refused)),
        (SYS_mprotect, any_of(vec![vec![without(2, PROT_EXEC)]], refused)),
        (SYS_madvise, any_of(vec![vec![low(2, MADV_DONTNEED)]], refused)),
    ]);
    rules
}

/// linux/sockios.h.
const SIOCATMARK: i32 = 0x8905;
