//! Helpers for tests of the confinement.

use super::needs;
use super::uring::Confined;
use super::{QueueConfig, Server, Shared, Worker};
use crate::errno::Result;
use crate::seccomp::Filter;
use io_uring::IoUring;
pub use needs::{CONTROL, KICK, file};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

/// The confinement of a queue thread, and what must outlive it: the filter refers to fds by number.
pub struct Setting<W> {
    confined: Confined,
    shared: Shared,
    _worker: W,
}

/// Sets up the confinement for a thread with `worker` that wakes the machine thread through `wake`.
pub fn confine<W: Worker>(config: &QueueConfig, worker: W, wake: RawFd) -> Setting<W> {
    let shared = Shared::new(config, Arc::default()).unwrap();
    let confined = shared.confine(config, &worker.needs(), wake, true).unwrap();
    Setting { confined, shared, _worker: worker }
}

/// The filter of a thread that serves a queue by system calls, the eventfds that it reads, and the
/// one that interrupts the driver.
pub(super) fn confine_direct<S: Server>(config: &QueueConfig, server: &S, wake: RawFd) -> (Filter, Shared) {
    let shared = Shared::new(config, Arc::default()).unwrap();
    (shared.direct_filter(server, wake).unwrap(), shared)
}

pub(super) fn eventfds_of(shared: &Shared) -> [RawFd; 3] {
    [shared.kick.as_raw_fd(), shared.control.as_raw_fd(), shared.call.as_raw_fd()]
}

impl<W> Setting<W> {
    pub fn run<T>(&self, body: impl FnOnce(&mut IoUring) -> Result<T>) -> Result<T> {
        self.confined.run(body)
    }

    pub fn filter(&self) -> &Filter {
        self.confined.filter()
    }

    pub fn ring(&self) -> RawFd {
        self.confined.ring_fd()
    }

    /// The eventfds that the thread reads, and the one that interrupts the driver.
    pub fn eventfds(&self) -> [RawFd; 3] {
        let Shared { kick, control, call, .. } = &self.shared;
        [kick.as_raw_fd(), control.as_raw_fd(), call.as_raw_fd()]
    }
}
