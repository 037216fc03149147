//! Guest memory with missing pages: the kernel waits for them in the middle of a disk request, until they arrive
//! (userfaultfd(2)).

use crate::errno::{Result, check};
use crate::memory::GuestRam;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use vm_memory::{GuestAddress, GuestMemoryBackend};

/// ioctls of linux/userfaultfd.h.
const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFD_API: u64 = 0xaa;
const MODE_MISSING: u64 = 1;

/// Dropping it lets the pages appear as zeros, which ends all waits for them.
pub struct MissingPages(OwnedFd);

impl MissingPages {
    /// Removes `len` bytes of `ram`, whole pages. An error if this user may not do that.
    pub fn new(ram: &GuestRam, address: u64, len: usize) -> Result<MissingPages> {
        let start = ram.get_host_address(GuestAddress(address)).unwrap();
        // SAFETY: no pointers; a non-negative result is a new fd that nothing else owns.
        let fd = unsafe {
            let fd = check(libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) as i32)?;
            OwnedFd::from_raw_fd(fd)
        };
        let (mut api, mut range) = ([UFFD_API, 0, 0], [start as u64, len as u64, MODE_MISSING, 0]);
        // SAFETY: the structs of the two ioctls are three and four 64-bit words; the pages are test RAM, whose content
        // may be lost.
        unsafe {
            check(libc::ioctl(fd.as_raw_fd(), UFFDIO_API, &mut api))?;
            check(libc::madvise(start.cast(), len, libc::MADV_DONTNEED))?;
            check(libc::ioctl(fd.as_raw_fd(), UFFDIO_REGISTER, &mut range))?;
        }
        Ok(MissingPages(fd))
    }

    /// Waits until a thread waits for a page.
    pub fn await_access(&self) {
        let mut message = [0u64; 4];
        // SAFETY: a message has 32 bytes.
        let read = unsafe { libc::read(self.0.as_raw_fd(), message.as_mut_ptr().cast(), 32) };
        assert_eq!(read, 32);
    }
}
