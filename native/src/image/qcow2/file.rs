//! A file of an image chain, for metadata accesses and copies. It meets O_DIRECT's alignment: unaligned accesses go
//! through a buffer, in units of a sector, the smallest cluster.

use crate::errno::{Errno, Result, check};
use crate::image::SECTOR;
use crate::image::raw::direct_alignment;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

const ALIGNMENT: usize = 4096;

pub struct ImageFile {
    fd: OwnedFd,
    direct: Option<usize>,
    /// A block device has a fixed size, and its unused clusters have old content.
    pub is_block_device: bool,
    /// Writes are never made durable (cache=unsafe).
    volatile: bool,
}

/// A zeroed buffer aligned for O_DIRECT.
struct Aligned {
    memory: NonNull<u8>,
    layout: Layout,
}

impl Aligned {
    fn new(len: usize) -> Aligned {
        let layout = Layout::from_size_align(len.max(1), ALIGNMENT).expect("a valid layout");
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        Aligned { memory: NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout)), layout }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: that many initialized bytes, which this value owns.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.layout.size()) }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

impl ImageFile {
    /// The open file of `fd`, which is duplicated.
    pub fn open(fd: RawFd, volatile: bool) -> Result<ImageFile> {
        // SAFETY: no pointers; a non-negative result is a new fd that nothing else owns.
        let fd =
            unsafe { check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0)).map(|fd| OwnedFd::from_raw_fd(fd))? };
        // SAFETY: all zeros is a valid stat, which fstat fills in.
        let mode = unsafe {
            let mut stat = std::mem::zeroed::<libc::stat>();
            check(libc::fstat(fd.as_raw_fd(), &mut stat))?;
            stat.st_mode
        };
        let is_block_device = mode & libc::S_IFMT == libc::S_IFBLK;
        Ok(ImageFile { direct: direct_alignment(fd.as_raw_fd())?, fd, is_block_device, volatile })
    }

    pub fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub fn direct_alignment(&self) -> Option<usize> {
        self.direct
    }

    /// Length in bytes.
    pub fn len(&self) -> Result<u64> {
        // SAFETY: no pointers. All operations have offsets: the file's position is unused.
        let end = unsafe { libc::lseek(self.as_raw_fd(), 0, libc::SEEK_END) };
        u64::try_from(end).map_err(|_| Errno::last())
    }

    /// Fills `bytes` from `offset` on. Past the file's end it reads zeros, as for an image whose last cluster was not
    /// fully written.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let count = self.read_to_end(offset, bytes)?;
        bytes[count..].fill(0);
        Ok(())
    }

    /// Fills `bytes` up to the file's end. Returns the number of bytes read.
    pub fn read_to_end(&self, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        if self.direct.is_none() {
            return self.read_plain(offset, bytes);
        }
        let start = offset / SECTOR * SECTOR;
        let skip = (offset - start) as usize;
        let mut aligned = Aligned::new((skip + bytes.len()).next_multiple_of(SECTOR as usize));
        let count = self.read_plain(start, aligned.bytes())?.saturating_sub(skip).min(bytes.len());
        bytes[..count].copy_from_slice(&aligned.bytes()[skip..skip + count]);
        Ok(count)
    }

    fn read_plain(&self, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &mut bytes[done..];
            let at = i64::try_from(offset + done as u64).map_err(|_| Errno(libc::EINVAL))?;
            // SAFETY: `rest` is writable for its length.
            let count = unsafe { libc::pread(self.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), at) };
            match usize::try_from(count) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) if Errno::last() == Errno(libc::EINTR) => {}
                Err(_) => return Err(Errno::last()),
            }
        }
        Ok(done)
    }

    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.direct.is_none() {
            return self.write_plain(offset, bytes);
        }
        let start = offset / SECTOR * SECTOR;
        let skip = (offset - start) as usize;
        let mut aligned = Aligned::new((skip + bytes.len()).next_multiple_of(SECTOR as usize));
        if skip != 0 || bytes.len() % SECTOR as usize != 0 {
            self.read_plain(start, aligned.bytes())?;
        }
        aligned.bytes()[skip..skip + bytes.len()].copy_from_slice(bytes);
        self.write_plain(start, aligned.bytes())
    }

    fn write_plain(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let at = i64::try_from(offset + done as u64).map_err(|_| Errno(libc::EFBIG))?;
            // SAFETY: `rest` is readable for its length.
            let count = unsafe { libc::pwrite(self.as_raw_fd(), rest.as_ptr().cast(), rest.len(), at) };
            match usize::try_from(count) {
                Ok(0) => return Err(Errno(libc::ENOSPC)),
                Ok(count) => done += count,
                Err(_) if Errno::last() == Errno(libc::EINTR) => {}
                Err(_) => return Err(Errno::last()),
            }
        }
        Ok(())
    }

    /// Zeroes the bytes, deallocating them if possible.
    pub fn zero(&self, offset: u64, len: u64) -> Result<()> {
        if self.punch(offset, len).is_ok() {
            return Ok(());
        }
        let zeros = vec![0; (1 << 20).min(len) as usize];
        let mut done = 0;
        while done < len {
            let count = (zeros.len() as u64).min(len - done);
            self.write(offset + done, &zeros[..count as usize])?;
            done += count;
        }
        Ok(())
    }

    /// Deallocates the bytes, which then read as zeros.
    pub fn punch(&self, offset: u64, len: u64) -> Result<()> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: no pointers.
        check(unsafe { libc::fallocate(self.as_raw_fd(), mode, offset as i64, len as i64) }).map(drop)
    }

    /// Extends the file so that it ends at `len`.
    pub fn extend(&self, len: u64) -> Result<()> {
        // SAFETY: no pointers.
        check(unsafe { libc::ftruncate(self.as_raw_fd(), len as i64) }).map(drop)
    }

    /// Makes what has been written durable.
    pub fn sync(&self) -> Result<()> {
        if self.volatile {
            return Ok(());
        }
        // SAFETY: no pointers.
        check(unsafe { libc::fdatasync(self.as_raw_fd()) }).map(drop)
    }
}
