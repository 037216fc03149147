//! Parts of jobs and files, for tests.

use super::abi::{JobPart, MAX_RANGES, MemoryRange};
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};

const NONE: MemoryRange = MemoryRange { host: 0, offset: 0, size: 0 };

/// A part without files.
pub fn part(action: u32, size: usize) -> JobPart {
    JobPart {
        action,
        flags: 0,
        source_fd: -1,
        target_fd: -1,
        sums_fd: -1,
        pagemap_fd: -1,
        size: size as u64,
        rate: 0,
        range_count: 0,
        ranges: [NONE; MAX_RANGES],
    }
}

/// An unnamed file that is a hole of `size` bytes.
pub fn file(size: usize) -> File {
    // SAFETY: a NUL-terminated name; nothing else owns the fd.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC)) };
    let file = File::from(fd);
    file.set_len(size as u64).unwrap();
    file
}
