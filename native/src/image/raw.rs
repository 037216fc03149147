//! A raw image: a file or a block device whose bytes are the disk's.

use super::{Image, ImageState, Location, OPERATIONS, Place, READ_OPERATIONS};
use crate::errno::{Result, check};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Memory alignment for O_DIRECT if the kernel doesn't report it (before Linux 6.1): the largest that a disk requires.
const UNKNOWN_ALIGNMENT: usize = 4096;

pub struct RawImage {
    state: ImageState,
    file: OwnedFd,
    direct_alignment: Option<usize>,
}

impl RawImage {
    /// An image in the open file of `fd`, which is duplicated.
    pub fn open(fd: RawFd, capacity: u64, readonly: bool, can_discard: bool) -> Result<RawImage> {
        // SAFETY: no pointers; a non-negative result is a new fd that nothing else owns.
        let file =
            unsafe { check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0)).map(|fd| OwnedFd::from_raw_fd(fd))? };
        Ok(RawImage {
            state: ImageState::new(capacity, readonly, can_discard)?,
            direct_alignment: direct_alignment(file.as_raw_fd())?,
            file,
        })
    }
}

impl Image for RawImage {
    fn state(&self) -> &ImageState {
        &self.state
    }

    fn files(&self) -> Vec<RawFd> {
        vec![self.file.as_raw_fd()]
    }

    fn operations(&self) -> &'static [u8] {
        operations(self.state.readonly)
    }

    fn direct_alignment(&self) -> Option<usize> {
        self.direct_alignment
    }

    fn locate(&self, start: u64, len: u64, _write: bool) -> Place {
        Place::Bytes(Location { file: 0, offset: start, len })
    }
}

/// The operations that `DiskRequest` submits.
pub fn operations(readonly: bool) -> &'static [u8] {
    if readonly { &READ_OPERATIONS } else { &OPERATIONS }
}

/// The alignment of a buffer's address that O_DIRECT on `fd` requires; None if `fd` uses the page cache.
pub fn direct_alignment(fd: RawFd) -> Result<Option<usize>> {
    // SAFETY: F_GETFL has no argument.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    if flags & libc::O_DIRECT == 0 {
        return Ok(None);
    }
    let mut stat = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is an empty NUL-terminated string, and `stat` is large enough for the result.
    let stat = unsafe {
        check(libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, stat.as_mut_ptr()))?;
        stat.assume_init()
    };
    let reported = stat.stx_mask & libc::STATX_DIOALIGN != 0 && stat.stx_dio_mem_align != 0;
    Ok(Some(if reported { stat.stx_dio_mem_align as usize } else { UNKNOWN_ALIGNMENT }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::Errno;
    use std::fs::File;

    const MIB: u64 = 1 << 20;

    fn image(capacity: u64) -> (File, RawImage) {
        // SAFETY: the name is a NUL-terminated string; a non-negative result is a new fd.
        let file = unsafe { File::from_raw_fd(libc::memfd_create(c"image".as_ptr(), libc::MFD_CLOEXEC)) };
        file.set_len(capacity).unwrap();
        let image = RawImage::open(file.as_raw_fd(), capacity, false, true).unwrap();
        (file, image)
    }

    #[test]
    fn a_capacity_is_in_sectors() {
        let (_, image) = image(MIB);
        for capacity in [511, u64::MAX - 511, 1 << 63] {
            assert_eq!(image.state().resize(capacity), Err(Errno(libc::EINVAL)));
        }
        assert_eq!(image.state().capacity(), MIB);
        assert_eq!(image.state().range(2047, 512), Some(MIB - 512));
        for (sector, bytes) in [(2047, 1024), (2048, 512), (u64::MAX, 512), (u64::MAX / 512, u64::MAX)] {
            assert_eq!(image.state().range(sector, bytes), None);
        }
    }
}
