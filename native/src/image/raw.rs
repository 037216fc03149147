//! A raw image: a file or a block device whose bytes are the disk's.

use super::{Allocation, Image, ImageState, Location, OPERATIONS, Place, READ_OPERATIONS};
use crate::errno::{Errno, Result, check};
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

    /// lseek(2). The file's position is unused: all operations have offsets.
    fn seek(&self, start: u64, whence: i32) -> Result<u64> {
        // SAFETY: no pointers.
        let found = unsafe { libc::lseek(self.file.as_raw_fd(), start as i64, whence) };
        u64::try_from(found).map_err(|_| Errno::last())
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

    fn allocation(&self, start: u64) -> Result<Allocation> {
        let capacity = self.state.capacity();
        if start >= capacity {
            return Err(Errno(libc::EINVAL));
        }
        let data = match self.seek(start, libc::SEEK_DATA) {
            // No data up to the end of the file.
            Err(Errno(libc::ENXIO)) => capacity,
            // A block device that cannot report holes.
            Err(Errno(libc::EINVAL)) => return Ok(Allocation { bytes: capacity - start, allocated: 1 }),
            found => found?,
        };
        if data > start {
            return Ok(Allocation { bytes: data.min(capacity) - start, allocated: 0 });
        }
        let hole = self.seek(start, libc::SEEK_HOLE)?;
        Ok(Allocation { bytes: hole.clamp(start + 1, capacity) - start, allocated: 1 })
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
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    const MIB: u64 = 1 << 20;

    fn image(capacity: u64) -> (File, RawImage) {
        // SAFETY: the name is a NUL-terminated string; a non-negative result is a new fd.
        let file = unsafe { File::from_raw_fd(libc::memfd_create(c"image".as_ptr(), libc::MFD_CLOEXEC)) };
        file.set_len(capacity).unwrap();
        let image = RawImage::open(file.as_raw_fd(), capacity, false, true).unwrap();
        (file, image)
    }

    #[test]
    fn holes_and_data_are_told_apart() {
        let (file, image) = image(4 * MIB);
        file.write_all_at(&[1; 4096], MIB).unwrap();
        let at = |start| image.allocation(start).unwrap();
        assert_eq!(at(0), Allocation { bytes: MIB, allocated: 0 });
        assert_eq!(at(MIB), Allocation { bytes: 4096, allocated: 1 });
        assert_eq!(at(MIB + 4096), Allocation { bytes: 3 * MIB - 4096, allocated: 0 });
        assert_eq!(image.allocation(4 * MIB), Err(Errno(libc::EINVAL)));
        // The disk ends there, but not the file.
        image.state().resize(MIB + 512).unwrap();
        assert_eq!(at(MIB), Allocation { bytes: 512, allocated: 1 });
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
