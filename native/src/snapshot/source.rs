//! Where the bytes of a copy come from, chunk by chunk, and which of their pages may be nonzero.

use super::abi::MemoryRange;
use super::{CHUNK, Gate, PAGE};
use crate::errno::{Errno, Result};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// One bit per page of a chunk.
#[derive(Clone, Copy, Default)]
pub struct Pages([u64; CHUNK / PAGE / 64]);

impl Pages {
    pub fn set(&mut self, page: usize) {
        self.0[page / 64] |= 1 << (page % 64);
    }

    pub fn has(&self, page: usize) -> bool {
        self.0[page / 64] & 1 << (page % 64) != 0
    }

    pub fn is_empty(&self) -> bool {
        self.0 == [0; CHUNK / PAGE / 64]
    }
}

pub trait Source {
    /// Reads the chunk at `offset` into `chunk`. Returns the pages that were read; all others are zero, and their bytes
    /// in `chunk` are undefined.
    fn read(&mut self, offset: u64, chunk: &mut [u8]) -> Result<Pages>;
}

/// A file; its holes are not read.
pub struct FileSource {
    fd: OwnedFd,
    /// The range with data that was found last; it starts at `u64::MAX` if the rest of the file is a hole.
    known: Option<(u64, u64)>,
}

impl FileSource {
    pub fn new(fd: OwnedFd) -> FileSource {
        FileSource { fd, known: None }
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The first range with data that ends after `offset`; None if there is none.
    fn data_after(&mut self, offset: u64) -> Result<Option<(u64, u64)>> {
        if let Some((start, end)) = self.known.filter(|(_, end)| *end > offset) {
            return Ok((start < u64::MAX).then_some((start, end)));
        }
        let fd = self.fd.as_raw_fd();
        let found = match seek(fd, offset, libc::SEEK_DATA) {
            Ok(start) => (start, seek(fd, start, libc::SEEK_HOLE)?),
            Err(Errno(libc::ENXIO)) => (u64::MAX, u64::MAX),
            // A block device, or a file system that cannot report holes.
            Err(Errno(libc::EINVAL)) => (offset, u64::MAX - 1),
            Err(errno) => return Err(errno),
        };
        self.known = Some(found);
        Ok((found.0 < u64::MAX).then_some(found))
    }

    /// Reads the file's content of the pages in `wanted`.
    fn read_pages(
        &mut self,
        offset: u64,
        chunk: &mut [u8],
        wanted: impl Fn(usize) -> bool,
        read: &mut Pages,
    ) -> Result<()> {
        let end = offset + chunk.len() as u64;
        let mut at = offset;
        while let Some((start, stop)) = self.data_after(at)?.filter(|(start, _)| *start < end) {
            // Whole pages: direct I/O on a disk accepts nothing else.
            let first = (start.max(at) - offset) as usize / PAGE;
            let last = ((stop.min(end) - offset) as usize).div_ceil(PAGE);
            let mut page = first;
            while page < last {
                let run = (page..last).take_while(|page| wanted(*page)).count();
                if run > 0 {
                    let bytes = page * PAGE..((page + run) * PAGE).min(chunk.len());
                    read_fully(self.fd.as_raw_fd(), offset + bytes.start as u64, &mut chunk[bytes.clone()])?;
                    (page..page + run).for_each(|page| read.set(page));
                }
                page += run.max(1);
            }
            at = offset + (last * PAGE) as u64;
            if at >= end {
                break;
            }
        }
        Ok(())
    }
}

impl Source for FileSource {
    fn read(&mut self, offset: u64, chunk: &mut [u8]) -> Result<Pages> {
        let mut read = Pages::default();
        self.read_pages(offset, chunk, |_| true, &mut read)?;
        Ok(read)
    }
}

/// Guest RAM that is mapped privately, from a file or anonymously: pages that have been written are private to this
/// process, and all others are as in the file, which is read instead. Mapped pages are touched only under the gate.
pub struct PrivateSource {
    pub file: Option<FileSource>,
    pub pagemap: Option<OwnedFd>,
    pub ranges: Vec<MemoryRange>,
    pub gate: Arc<Gate>,
}

/// Bits of a pagemap entry: the page is in memory; is swapped out; belongs to a file (or is shared).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

impl PrivateSource {
    /// Which pages of the chunk at `offset` are private to this process.
    fn own_pages(&self, offset: u64, pages: usize) -> Result<Pages> {
        let mut own = Pages::default();
        let mut entries = [0u8; CHUNK / PAGE * 8];
        for page in self.runs(offset, pages) {
            let Some(pagemap) = &self.pagemap else {
                page.pages().for_each(|page| own.set(page));
                continue;
            };
            let entries = &mut entries[..page.count * 8];
            read_fully(pagemap.as_raw_fd(), page.host / PAGE as u64 * 8, entries)?;
            for (index, entry) in entries.chunks_exact(8).enumerate() {
                let entry = u64::from_ne_bytes(entry.try_into().expect("8 bytes"));
                if entry & SWAPPED != 0 || entry & (PRESENT | OF_FILE) == PRESENT {
                    own.set(page.first + index);
                }
            }
        }
        Ok(own)
    }

    /// The parts of the chunk that are contiguous in memory.
    fn runs(&self, offset: u64, pages: usize) -> impl Iterator<Item = Run> + '_ {
        let end = offset + (pages * PAGE) as u64;
        self.ranges.iter().filter_map(move |range| {
            let (start, stop) = (range.offset.max(offset), (range.offset + range.size).min(end));
            (start < stop).then(|| Run {
                first: (start - offset) as usize / PAGE,
                count: (stop - start) as usize / PAGE,
                host: range.host + (start - range.offset),
            })
        })
    }
}

/// Pages of a chunk, from `first` on, and where they are mapped.
struct Run {
    first: usize,
    count: usize,
    host: u64,
}

impl Run {
    fn pages(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

impl Source for PrivateSource {
    fn read(&mut self, offset: u64, chunk: &mut [u8]) -> Result<Pages> {
        let pages = chunk.len() / PAGE;
        let mut read = Pages::default();
        let own = self.gate.touching(|| {
            let own = self.own_pages(offset, pages)?;
            for run in self.runs(offset, pages) {
                for page in run.pages().filter(|page| own.has(*page)) {
                    let from = run.host + ((page - run.first) * PAGE) as u64;
                    let to = &mut chunk[page * PAGE..][..PAGE];
                    // SAFETY: mapped while the gate is open; nothing writes to it during the copy, and if a guest did,
                    // only its own copy would be torn.
                    unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), PAGE) };
                }
            }
            Ok(own)
        })?;
        (0..pages).filter(|page| own.has(*page)).for_each(|page| read.set(page));
        if let Some(file) = &mut self.file {
            file.read_pages(offset, chunk, |page| !own.has(page), &mut read)?;
        }
        Ok(read)
    }
}

fn seek(fd: RawFd, offset: u64, whence: i32) -> Result<u64> {
    let offset = i64::try_from(offset).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: no pointers.
    let result = unsafe { libc::lseek(fd, offset, whence) };
    u64::try_from(result).map_err(|_| Errno::last())
}

/// ENODATA if the file ends before the last byte.
pub fn read_fully(fd: RawFd, offset: u64, bytes: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        // SAFETY: the length is the slice's.
        let read =
            unsafe { libc::pread(fd, rest.as_mut_ptr().cast(), rest.len(), (offset + done as u64) as i64) };
        match read {
            0 => return Err(Errno(libc::ENODATA)),
            1.. => done += read as usize,
            _ if Errno::last() == Errno(libc::EINTR) => {}
            _ => return Err(Errno::last()),
        }
    }
    Ok(())
}
