//! Waiting for processes to end, on one thread for all of them, so that neither V8 nor libuv's pool has to wait.

use crate::epoll::{Epoll, Ready};
use crate::errno::{Errno, Result, check};
use crate::sync::lock;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, OnceLock};

/// How a process ended, as 8 bytes: `si_code` (CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0 for another process's child, whose
/// end is unknown) and `si_status` (the exit status or the signal).
type Ending = [i32; 2];

struct Watch {
    pidfd: OwnedFd,
    to: File,
}

struct Reaper {
    epoll: Epoll,
    watches: Mutex<BTreeMap<RawFd, Watch>>,
}

/// Returns the read end of a new pipe, to which the ending is written once the process has ended.
pub fn watch(pidfd: RawFd) -> Result<RawFd> {
    let mut pipe = [-1; 2];
    // SAFETY: an array of two fds, which nothing else owns.
    let (from, to, own) = unsafe {
        check(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK))?;
        let (from, to) = (OwnedFd::from_raw_fd(pipe[0]), OwnedFd::from_raw_fd(pipe[1]));
        (from, to, OwnedFd::from_raw_fd(check(libc::fcntl(pidfd, libc::F_DUPFD_CLOEXEC, 0))?))
    };
    let reaper = reaper()?;
    let number = own.as_raw_fd();
    // Before its end can be reported.
    lock(&reaper.watches).insert(number, Watch { pidfd: own, to: to.into() });
    reaper.epoll.add(number, Ready::Readable).inspect_err(|_| drop(lock(&reaper.watches).remove(&number)))?;
    Ok(from.into_raw_fd())
}

fn reaper() -> Result<Arc<Reaper>> {
    static REAPER: OnceLock<Result<Arc<Reaper>>> = OnceLock::new();
    REAPER
        .get_or_init(|| {
            let reaper = Arc::new(Reaper { epoll: Epoll::new()?, watches: Mutex::new(BTreeMap::new()) });
            let on_thread = reaper.clone();
            std::thread::Builder::new()
                .name("vring-exits".into())
                .stack_size(128 * 1024)
                .spawn(move || on_thread.run())
                .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
            Ok(reaper)
        })
        .clone()
}

impl Reaper {
    fn run(&self) {
        let mut ready = [MaybeUninit::uninit(); 16];
        while let Ok(events) = self.epoll.wait(&mut ready, None) {
            for event in events {
                self.report(event.u64 as RawFd);
            }
        }
    }

    fn report(&self, pidfd: RawFd) {
        let _ = self.epoll.remove(pidfd);
        let Some(mut watch) = lock(&self.watches).remove(&pidfd) else { return };
        let [code, status] = ending(&watch.pidfd);
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&code.to_ne_bytes());
        bytes[4..].copy_from_slice(&status.to_ne_bytes());
        // A closed reader no longer needs it.
        let _ = watch.to.write_all(&bytes);
    }
}

/// How a process ended; reaps it.
fn ending(pidfd: &OwnedFd) -> Ending {
    // SAFETY: plain data, for which zeros are valid.
    let mut info: libc::siginfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
    let options = libc::WEXITED | libc::WNOHANG;
    // SAFETY: writes to a valid siginfo_t.
    let result = unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as u32, &mut info, options) };
    if result < 0 {
        return [0, 0];
    }
    // SAFETY: what waitid fills in has a status.
    [info.si_code, unsafe { info.si_status() }]
}
