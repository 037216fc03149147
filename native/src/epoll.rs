//! The parts of epoll and eventfd that the reactor and the queue threads need.

use crate::errno::{Errno, Result, check};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> Result<EventFd> {
        // SAFETY: no pointers; a non-negative result is a new fd that nothing else owns.
        Ok(EventFd(unsafe {
            OwnedFd::from_raw_fd(check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?)
        }))
    }

    /// Adds one. May be called in a signal handler.
    pub fn signal(&self) {
        signal(self.as_raw_fd());
    }

    pub fn drain(&self) -> u64 {
        drain(self.as_raw_fd())
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Adds one to the eventfd `fd`. A saturated counter is already signaled.
pub fn signal(fd: RawFd) {
    let one = 1u64;
    // SAFETY: writes 8 bytes from a valid u64.
    unsafe { libc::write(fd, (&raw const one).cast(), 8) };
}

/// Reads and resets the eventfd's count; 0 if it isn't signaled. `fd` is readable or non-blocking.
pub fn drain(fd: RawFd) -> u64 {
    let mut count = 0u64;
    // SAFETY: reads 8 bytes into a valid u64.
    let read = unsafe { libc::read(fd, (&raw mut count).cast(), 8) };
    if read == 8 { count } else { 0 }
}

/// What an fd is watched for. A hang-up or an error is always reported.
#[derive(Clone, Copy)]
pub enum Ready {
    Readable,
    /// Readable or writable.
    Either,
}

impl Ready {
    fn events(self) -> u32 {
        let events = match self {
            Ready::Readable => libc::EPOLLIN,
            Ready::Either => libc::EPOLLIN | libc::EPOLLOUT,
        };
        events as u32
    }
}

pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn new() -> Result<Epoll> {
        // SAFETY: no pointers; a non-negative result is a new fd that nothing else owns.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) }))
    }

    /// Reports `fd`, by its number, while it is ready.
    pub fn add(&self, fd: RawFd, ready: Ready) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, ready)
    }

    /// Changes what an added `fd` is reported for.
    pub fn modify(&self, fd: RawFd, ready: Ready) -> Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, ready)
    }

    fn control(&self, operation: i32, fd: RawFd, ready: Ready) -> Result<()> {
        let mut event = libc::epoll_event { events: ready.events(), u64: fd as u64 };
        // SAFETY: `event` is valid.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &mut event) })?;
        Ok(())
    }

    pub fn remove(&self, fd: RawFd) -> Result<()> {
        // SAFETY: EPOLL_CTL_DEL ignores the event pointer.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, ptr::null_mut()) })?;
        Ok(())
    }

    /// Waits at most `timeout_ns` for a ready fd, forever if None. An interruption returns no fd.
    pub fn wait<'a>(
        &self,
        ready: &'a mut [MaybeUninit<libc::epoll_event>],
        timeout_ns: Option<u64>,
    ) -> Result<&'a [libc::epoll_event]> {
        let count = match self.wait_raw(ready, timeout_ns) {
            Ok(count) => count,
            Err(Errno(libc::EINTR)) => 0,
            Err(errno) => return Err(errno),
        };
        // SAFETY: the kernel has filled in the first `count` events.
        Ok(unsafe { std::slice::from_raw_parts(ready.as_ptr().cast(), count) })
    }

    fn wait_raw(
        &self,
        ready: &mut [MaybeUninit<libc::epoll_event>],
        timeout_ns: Option<u64>,
    ) -> Result<usize> {
        static NO_PWAIT2: AtomicBool = AtomicBool::new(false);
        let (fd, events, max) = (self.0.as_raw_fd(), ready.as_mut_ptr(), ready.len() as i32);
        if !NO_PWAIT2.load(Relaxed) {
            let timeout = timeout_ns.map(timespec);
            let timeout_ptr = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
            let no_mask: *const libc::sigset_t = ptr::null();
            // SAFETY: `events` has room for `max` events; the timespec lives across the call.
            let count = unsafe {
                libc::syscall(libc::SYS_epoll_pwait2, fd, events, max, timeout_ptr, no_mask, 0usize)
            };
            match check(count as i32) {
                Err(Errno(libc::ENOSYS)) => NO_PWAIT2.store(true, Relaxed), // before Linux 5.11
                result => return result.map(|count| count as usize),
            }
        }
        let millis = timeout_ns.map_or(-1, |ns| ns.div_ceil(1_000_000).min(i32::MAX as u64) as i32);
        // SAFETY: `events` has room for `max` events.
        check(unsafe { libc::epoll_wait(fd, events.cast(), max, millis) }).map(|count| count as usize)
    }
}

fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}
