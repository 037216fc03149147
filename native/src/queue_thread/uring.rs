//! The io_uring of a queue thread. A seccomp filter can't see what a thread does through its ring, so the ring itself
//! is restricted: to the operations that the loop and its worker submit, and to the files registered with it.

use super::needs::Needs;
use crate::errno::{Result, errno_of};
use crate::seccomp::{Filter, QueueFds};
use crate::sync::lock;
use io_uring::register::Restriction;
use io_uring::squeue::Flags;
use io_uring::{IoUring, opcode};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Mutex;

/// The operations of the loop itself.
pub const LOOP_OPERATIONS: [u8; 3] =
    [opcode::PollAdd::CODE, opcode::PollRemove::CODE, opcode::AsyncCancel2::CODE];

/// Operations of io_uring_register(2), from linux/io_uring.h.
const UNREGISTER_FILES: u8 = 3;
pub const UPDATE_FILES: u8 = 6;
/// The most kernel threads for blocking operations, on files and on everything else. The ring uses nothing else.
const KERNEL_THREADS: [u32; 2] = [16, 1];

/// The eventfds of a queue.
pub struct Eventfds {
    /// Signaled by the driver, and by the thread's handle.
    pub kick: RawFd,
    pub control: RawFd,
    /// Signaled by the thread: an interrupt for the driver, and a wake-up for the machine thread.
    pub call: RawFd,
    pub wake: RawFd,
}

/// A disabled ring for `entries` requests. Only the thread that enables it may submit; before it ends, it must
/// unregister the files: a ring is torn down some time after its fd is closed, and would keep a disk locked until then.
fn build(entries: u32, eventfds: &Eventfds, needs: &Needs) -> Result<IoUring> {
    // A single-issuer ring accepts files from its issuer only.
    let built = if needs.table.is_some() { build_shared(entries) } else { build_deferred(entries) };
    let ring = match built {
        // Before Linux 6.1, or 5.19 without a single issuer.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            IoUring::builder().setup_r_disabled().build(entries)
        }
        result => result,
    };
    let ring = ring.map_err(|error| errno_of(&error))?;
    set_up(&ring, eventfds, needs).map_err(|error| errno_of(&error))?;
    Ok(ring)
}

fn set_up(ring: &IoUring, eventfds: &Eventfds, needs: &Needs) -> io::Result<()> {
    let submitter = ring.submitter();
    // Numbered as in `needs::KICK`, `needs::CONTROL` and `needs::file`.
    let mut files = [&[eventfds.kick, eventfds.control], needs.files.as_slice()].concat();
    if let Some(table) = &needs.table {
        files.resize(files.len() + table.len(), -1);
    }
    submitter.register_files(&files)?;
    submitter.register_iowq_max_workers(&mut KERNEL_THREADS.clone())?;
    let operations = LOOP_OPERATIONS.iter().chain(&needs.operations).copied().map(Restriction::sqe_op);
    let others = [
        Restriction::sqe_flags_required(Flags::FIXED_FILE.bits()),
        Restriction::register_op(UNREGISTER_FILES),
    ];
    // The thread itself can't: its filter allows it only to unregister files.
    let update = needs.table.iter().map(|_| Restriction::register_op(UPDATE_FILES));
    let others = others.into_iter().chain(update);
    submitter.register_restrictions(&mut operations.chain(others).collect::<Vec<_>>())
}

/// The kernel processes completions when the thread asks for them, instead of interrupting it; a flag in the ring
/// indicates that there are some.
fn build_deferred(entries: u32) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_r_disabled()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .build(entries)
}

/// The same for a ring whose files are changed by other threads.
fn build_shared(entries: u32) -> io::Result<IoUring> {
    IoUring::builder().setup_r_disabled().setup_coop_taskrun().setup_taskrun_flag().build(entries)
}

/// The two halves of a queue thread's confinement: its ring with its restrictions, and its system call filter.
pub struct Confined {
    ring: Mutex<IoUring>,
    filter: Option<Filter>,
}

impl Confined {
    /// For a ring of `entries`.
    pub fn new(entries: u32, eventfds: &Eventfds, needs: &Needs, seccomp: bool) -> Result<Confined> {
        let ring = build(entries, eventfds, needs)?;
        let fds = QueueFds {
            ring: ring.as_raw_fd(),
            read: [eventfds.kick, eventfds.control],
            written: [eventfds.call, eventfds.wake],
        };
        let filter = if seccomp { Some(Filter::queue(&fds, &needs.calls)?) } else { None };
        Ok(Confined { ring: Mutex::new(ring), filter })
    }

    #[cfg(test)]
    pub fn filter(&self) -> &Filter {
        self.filter.as_ref().expect("a filter")
    }

    /// Not while the thread runs: it holds the ring's lock.
    pub fn ring_fd(&self) -> RawFd {
        lock(&self.ring).as_raw_fd()
    }

    /// Confines the calling thread permanently, and runs `body` on it.
    pub fn run<T>(&self, body: impl FnOnce(&mut IoUring) -> Result<T>) -> Result<T> {
        // Only this thread takes the lock, so the ring can be borrowed here and dropped with the handle.
        let mut ring = lock(&self.ring);
        ring.submitter().register_enable_rings().map_err(|error| errno_of(&error))?;
        if let Some(filter) = &self.filter {
            filter.apply()?;
        }
        body(&mut ring)
    }
}
