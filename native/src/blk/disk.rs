//! What a disk's queues need to know about its backing store.

use crate::errno::{Result, check};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

pub const SECTOR: u64 = 512;
pub const SERIAL_BYTES: usize = 20;
/// Memory alignment for O_DIRECT if the kernel doesn't report it (before Linux 6.1): the largest that a disk requires.
const UNKNOWN_ALIGNMENT: usize = 4096;

/// virtio-blk feature bits (virtio 1.3 §5.2.3).
pub mod feature {
    pub const FLUSH: u64 = 1 << 9;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

/// What the config space advertises about the size of a request (§5.2.4).
#[derive(Clone, Copy)]
pub struct Limits {
    /// `seg_max`: buffers of data.
    pub segments: u32,
    /// `max_discard_seg` and `max_write_zeroes_seg`.
    pub ranges: u32,
    /// `max_discard_sectors` and `max_write_zeroes_sectors`.
    pub range_sectors: u32,
}

/// The file itself is registered with the queue's ring.
pub struct Disk {
    /// Bytes.
    pub size: u64,
    pub readonly: bool,
    /// The backing store can deallocate space.
    pub can_discard: bool,
    /// Negotiated features.
    pub features: u64,
    pub limits: Limits,
    pub serial: [u8; SERIAL_BYTES],
    /// With O_DIRECT, the required alignment of a buffer's address.
    pub direct_alignment: Option<usize>,
}

impl Disk {
    pub fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    /// Without FLUSH the driver can't request durability, so every write must be durable (§5.2.6.2).
    pub fn writes_through(&self) -> bool {
        !self.has(feature::FLUSH)
    }

    /// The byte offset of `sector`, if `sectors` sectors from there are all on the disk.
    pub fn range(&self, sector: u64, bytes: u64) -> Option<u64> {
        let start = sector.checked_mul(SECTOR)?;
        let end = start.checked_add(bytes)?;
        (end <= self.size).then_some(start)
    }
}

/// The alignment of a buffer's address that O_DIRECT on `fd` requires; None if `fd` uses the page cache.
pub fn direct_alignment(fd: RawFd) -> Result<Option<usize>> {
    // SAFETY: F_GETFL has no argument.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    if flags & libc::O_DIRECT == 0 {
        return Ok(None);
    }
    let mut stat = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is an empty NUL-terminated string, and `stat` has room for the result.
    let stat = unsafe {
        check(libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, stat.as_mut_ptr()))?;
        stat.assume_init()
    };
    let reported = stat.stx_mask & libc::STATX_DIOALIGN != 0 && stat.stx_dio_mem_align != 0;
    Ok(Some(if reported { stat.stx_dio_mem_align as usize } else { UNKNOWN_ALIGNMENT }))
}
