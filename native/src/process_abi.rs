//! The part of the C ABI that starts processes and confines them. `src/vmm/confinement/` binds it.

use crate::answer;
use crate::confine::{self, ConfineOptions, ConfineReport};
use crate::errno::{self, Errno};
use crate::signals;
use crate::spawn::request::{Request, SpawnOptions, SpawnReport};
use crate::spawn::{self, reaper};

/// Starts a confined process: `texts` and `fds` as `Request::parse` expects them. `report` has the outcome of each
/// layer, and the point at which a spawn failed.
///
/// # Safety
/// `options` and `report` point to such structs, `texts` to `length` bytes and `fds` to as many fds as the options say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_spawn(
    options: *const SpawnOptions,
    texts: *const u8,
    length: u32,
    fds: *const i32,
    report: *mut SpawnReport,
) -> i32 {
    answer(|| {
        if options.is_null() || texts.is_null() || fds.is_null() || report.is_null() {
            return Err(Errno(libc::EINVAL));
        }
        // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
        let options = unsafe { options.read_unaligned() };
        // SAFETY: as above; the fds are copied because of their alignment.
        let (texts, fds) = unsafe {
            let fds = (0..options.fds.min(1024)).map(|index| fds.add(index as usize).read_unaligned());
            (std::slice::from_raw_parts(texts, length as usize), fds.collect::<Vec<i32>>())
        };
        let mut outcome = SpawnReport::new();
        let result = Request::parse(options, texts, &fds)
            .and_then(|mut request| spawn::spawn(&mut request, &mut outcome));
        // SAFETY: the caller's promise.
        unsafe { report.write_unaligned(outcome) };
        result.map(|()| 0)
    })
}

/// Returns the read end of a pipe: once the process of `pidfd` has ended, it has 8 bytes
/// (`spawn::reaper`) and end of file.
#[unsafe(no_mangle)]
pub extern "C" fn vring_watch_exit(pidfd: i32) -> i32 {
    answer(|| reaper::watch(pidfd))
}

/// pidfd_send_signal(2).
#[unsafe(no_mangle)]
pub extern "C" fn vring_pidfd_signal(pidfd: i32, signal: i32) -> i32 {
    answer(|| {
        // SAFETY: no siginfo.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, 0usize, 0) };
        errno::check(result as i32)
    })
}

/// Confines this process and all of its threads: `confine::confine`. `report` has the outcome of each layer.
///
/// # Safety
/// `options` and `report` point to such structs, and `texts` to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_confine(
    options: *const ConfineOptions,
    texts: *const u8,
    length: u32,
    report: *mut ConfineReport,
) -> i32 {
    answer(|| {
        if options.is_null() || texts.is_null() || report.is_null() {
            return Err(Errno(libc::EINVAL));
        }
        // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
        let (options, texts) =
            unsafe { (options.read_unaligned(), std::slice::from_raw_parts(texts, length as usize)) };
        let outcome = confine::confine(&options, texts)?;
        // SAFETY: as above.
        unsafe { report.write_unaligned(outcome) };
        Ok(0)
    })
}

/// Makes SIGTERM, SIGSEGV and the like end this process immediately, even as the first of its PID namespace.
#[unsafe(no_mangle)]
pub extern "C" fn vring_end_on_signals() -> i32 {
    answer(|| signals::end_on_signals().map(|()| 0))
}

/// Makes a repeated SIGTERM, SIGINT and the like end this process if it has not responded to the first one.
#[unsafe(no_mangle)]
pub extern "C" fn vring_insist_on_signals() -> i32 {
    answer(|| signals::insist().map(|()| 0))
}
