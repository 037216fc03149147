//! The io_uring of a queue thread. A seccomp filter can't see what a thread does through its ring, so the ring itself is
//! restricted: to the operations that the worker submits, and to the files registered with it.

use crate::errno::{Errno, Result};
use crate::seccomp::Filter;
use crate::sync::lock;
use io_uring::register::Restriction;
use io_uring::squeue::Flags;
use io_uring::types::Fixed;
use io_uring::{IoUring, opcode};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Mutex;

/// The registered files.
pub const DISK: Fixed = Fixed(0);
pub const KICK: Fixed = Fixed(1);
pub const STOP: Fixed = Fixed(2);

pub struct Files {
    pub disk: RawFd,
    pub kick: RawFd,
    pub stop: RawFd,
}

/// IORING_UNREGISTER_FILES of io_uring_register(2), from linux/io_uring.h.
const UNREGISTER_FILES: u8 = 3;
/// The most kernel threads for operations that block, on files and on everything else. The ring uses nothing else.
const KERNEL_THREADS: [u32; 2] = [16, 1];

pub fn errno(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

/// A disabled ring for `entries` requests on `files`. Only the thread that enables it may submit; before it ends, it
/// must unregister the files: a ring is torn down some time after its fd is closed, and would keep the disk locked until
/// then.
fn build(entries: u32, files: &Files) -> Result<IoUring> {
    let ring = match build_deferred(entries) {
        // Before Linux 6.1.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            IoUring::builder().setup_r_disabled().build(entries)
        }
        result => result,
    };
    let ring = ring.map_err(|error| errno(&error))?;
    set_up(&ring, files).map_err(|error| errno(&error))?;
    Ok(ring)
}

fn set_up(ring: &IoUring, files: &Files) -> io::Result<()> {
    let submitter = ring.submitter();
    submitter.register_files(&[files.disk, files.kick, files.stop])?;
    submitter.register_iowq_max_workers(&mut KERNEL_THREADS.clone())?;
    let operations = [
        opcode::Read::CODE,
        opcode::Readv::CODE,
        opcode::Writev::CODE,
        opcode::Fsync::CODE,
        opcode::Fallocate::CODE,
        opcode::PollAdd::CODE,
        opcode::PollRemove::CODE,
        opcode::AsyncCancel2::CODE,
    ];
    let others = [
        Restriction::sqe_flags_required(Flags::FIXED_FILE.bits()),
        Restriction::register_op(UNREGISTER_FILES),
    ];
    let mut restrictions: Vec<_> = operations.map(Restriction::sqe_op).into_iter().chain(others).collect();
    submitter.register_restrictions(&mut restrictions)
}

/// The kernel processes completions when the thread asks for them, not by interrupting it; a flag in the ring
/// says when there are some.
fn build_deferred(entries: u32) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_r_disabled()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .build(entries)
}

/// The two halves of a queue thread's confinement: its ring with its restrictions, and its system call filter.
pub struct Confined {
    ring: Mutex<IoUring>,
    filter: Option<Filter>,
}

impl Confined {
    /// For a ring of `entries`. `call` and `wake` are the eventfds that the thread signals.
    pub fn new(entries: u32, files: &Files, call: RawFd, wake: RawFd, seccomp: bool) -> Result<Confined> {
        let ring = build(entries, files)?;
        let filter = match seccomp {
            true => Some(Filter::queue(ring.as_raw_fd(), files.kick, call, wake)?),
            false => None,
        };
        Ok(Confined { ring: Mutex::new(ring), filter })
    }

    /// Confines the calling thread for good, and runs `body` on it.
    pub fn run<T>(&self, body: impl FnOnce(&mut IoUring) -> Result<T>) -> Result<T> {
        // Only this thread takes the lock, which allows borrowing the ring here and dropping it with the handle.
        let mut ring = lock(&self.ring);
        ring.submitter().register_enable_rings().map_err(|error| errno(&error))?;
        if let Some(filter) = &self.filter {
            filter.apply()?;
        }
        body(&mut ring)
    }
}
