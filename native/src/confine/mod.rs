//! Confining this process, with all of its threads, once it has opened everything it needs.

mod bpf;
mod capabilities;
mod credentials;
mod every_thread;
mod landlock;
mod policy;
pub mod rlimits;
mod root;
pub mod trap;

use crate::errno::{Errno, Result, check};
use crate::signals;
use every_thread::Threads;
use landlock::{AllowedPath, Ruleset};
use rlimits::{MAX_RLIMITS, Rlimit};
use std::ffi::CStr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// A layer's number: its bit in `ConfineOptions::flags` and its place in a report.
#[derive(Clone, Copy)]
enum Layer {
    EmptyRoot,
    Uid,
    Capabilities,
    Dumpable,
    Landlock,
    Rlimits,
    Seccomp,
}
const LAYERS: usize = 7;

crate::abi_struct! {
    /// Filled in by JavaScript.
    pub struct ConfineOptions {
        pub flags: u32,
        pub uid: u32,
        pub gid: u32,
        /// Where a forbidden system call is reported before it ends the process; -1 for nowhere.
        pub report_fd: i32,
        /// How many paths stay accessible.
        pub paths: u32,
        pub rlimit_count: u32,
        pub rlimits: [Rlimit; MAX_RLIMITS],
    }
}

crate::abi_struct! {
    /// ConfineReport.
    pub struct ConfineReport {
        /// By `Layer`: 0 if it is on, -1 if it was not requested, or the errno that it failed with.
        pub outcome: [i32; LAYERS],
        /// Landlock's ABI version; 0 without it.
        pub landlock_abi: i32,
    }
}

/// Applies each layer, in an order in which none removes what the next one needs. A layer that fails is noted, and the
/// others follow. `texts` are the paths that stay accessible, each preceded by `r` (read) or `w` (read and write) and
/// followed by a NUL. Fails, with no layer applied, if one of them cannot be opened.
pub fn confine(options: &ConfineOptions, texts: &[u8]) -> Result<ConfineReport> {
    let limits = options.rlimits.get(..options.rlimit_count as usize).ok_or(Errno(libc::EINVAL))?;
    let allowed = allowed_paths(options.paths, texts)?;
    let asked = |layer: Layer| options.flags & 1 << layer as u32 != 0;
    let mut report = ConfineReport { outcome: [-1; LAYERS], landlock_abi: 0 };
    let mut apply = |layer: Layer, action: &mut dyn FnMut() -> Result<()>| {
        if asked(layer) {
            report.outcome[layer as usize] = action().map_or_else(|Errno(errno)| errno, |()| 0);
        }
    };
    // While paths still resolve.
    let threads = Threads::open();
    let threads = || threads.as_ref().map_err(|&errno| errno);
    let ruleset = Ruleset::new(&allowed, landlock::ALL_TCP);
    if let Err(errno @ Errno(libc::ENOENT | libc::EACCES | libc::ENOTDIR | libc::ELOOP)) = ruleset {
        return Err(errno);
    }
    apply(Layer::EmptyRoot, &mut root::empty);
    if asked(Layer::Capabilities) {
        // While the thread still has the capability to do it.
        let _ = threads().and_then(|threads| threads.run(capabilities::drop_bounding));
    }
    apply(Layer::Uid, &mut || credentials::become_user(options.uid, options.gid));
    apply(Layer::Capabilities, &mut || threads()?.run(capabilities::drop_all));
    apply(Layer::Dumpable, &mut credentials::not_dumpable);
    apply(Layer::Landlock, &mut || restrict(ruleset.as_ref().map_err(|&errno| errno)?, threads()?));
    // After everything that opens a file.
    apply(Layer::Rlimits, &mut || match rlimits::apply(limits) {
        0 => Ok(()),
        error => Err(Errno(-error as i32)),
    });
    apply(Layer::Seccomp, &mut || filter(options.report_fd, !allowed.is_empty()));
    report.landlock_abi = ruleset.map_or(0, |ruleset| ruleset.abi);
    Ok(report)
}

fn allowed_paths(count: u32, texts: &[u8]) -> Result<Vec<AllowedPath<'_>>> {
    let invalid = Errno(libc::EINVAL);
    let mut rest = texts;
    let mut paths = Vec::new();
    for _ in 0..count {
        let text = CStr::from_bytes_until_nul(rest).map_err(|_| invalid)?.to_bytes_with_nul();
        rest = &rest[text.len()..];
        let [kind @ (b'r' | b'w'), path @ ..] = text else { return Err(invalid) };
        let path = CStr::from_bytes_with_nul(path).map_err(|_| invalid)?;
        paths.push(AllowedPath { path, writable: *kind == b'w' });
    }
    Ok(paths)
}

/// The ruleset's fd, for threads to restrict themselves by.
static RULESET: AtomicI32 = AtomicI32::new(-1);

/// Restricts all threads, permanently.
fn restrict(ruleset: &Ruleset, threads: &Threads) -> Result<()> {
    if ruleset.restrict_process() {
        return Ok(());
    }
    RULESET.store(ruleset.as_raw_fd(), SeqCst);
    threads.run(|| landlock::restrict_thread(RULESET.load(SeqCst)))
}

/// seccomp(2), linux/seccomp.h.
const SET_MODE_FILTER: u32 = 1;
const FILTER_FLAG_TSYNC: u32 = 1;

fn filter(report_fd: i32, files: bool) -> Result<()> {
    signals::install()?;
    trap::report_to(report_fd);
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    // SAFETY: no arguments.
    let mut program = bpf::compile(&policy::rules(unsafe { libc::getpid() }, files), policy::UNKNOWN_FROM);
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a valid program, which the kernel copies.
    match unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, FILTER_FLAG_TSYNC, &raw const program) }
    {
        0 => Ok(()),
        // A thread has a filter of its own, so this one cannot be applied to it.
        1.. => Err(Errno(libc::ESRCH)),
        _ => Err(Errno::last()),
    }
}
