//! The io_uring of a queue thread.

use crate::errno::{Errno, Result};
use io_uring::register::Restriction;
use io_uring::{IoUring, opcode};
use std::io;

pub fn errno(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

/// A disabled ring for `entries` requests. Only the thread that enables it may submit. The disk's file is not
/// registered with it: a ring is torn down some time after its fd is closed, and would keep the disk locked
/// until then.
pub fn build(entries: u32) -> Result<IoUring> {
    let ring = match build_deferred(entries) {
        // Before Linux 6.1.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            IoUring::builder().setup_r_disabled().build(entries)
        }
        result => result,
    };
    let ring = ring.map_err(|error| errno(&error))?;
    restrict(&ring).map_err(|error| errno(&error))?;
    Ok(ring)
}

/// Restricts the ring to the operations that the worker submits: a seccomp filter can't see what goes through the ring.
fn restrict(ring: &IoUring) -> io::Result<()> {
    let opcodes = [
        opcode::Read::CODE,
        opcode::Readv::CODE,
        opcode::Writev::CODE,
        opcode::Fsync::CODE,
        opcode::Fallocate::CODE,
        opcode::PollAdd::CODE,
    ];
    ring.submitter().register_restrictions(&mut opcodes.map(Restriction::sqe_op))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_operations_are_refused() {
        let mut ring = build(4).unwrap();
        ring.submitter().register_enable_rings().unwrap();
        let entry = opcode::Close::new(io_uring::types::Fd(-1)).build();
        // SAFETY: the entry points to nothing.
        unsafe { ring.submission().push(&entry) }.unwrap();
        ring.submit_and_wait(1).unwrap();
        assert_eq!(ring.completion().next().unwrap().result(), -libc::EACCES);
    }
}
