//! How a job carries out its parts.

use super::abi::{JobPart, MAY_CLONE, MemoryRange, action, failure};
use super::crc32c::crc32c;
use super::send::{Stream, Wanted, send_pages, send_state};
use super::source::{FileSource, Pages, PrivateSource, Source, read_fully};
use super::{CHUNK, Gate, JobFiles, PAGE, Shared};
use crate::errno::{Errno, Result, check};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// linux/fs.h.
pub const FICLONE: u64 = 0x4004_9409;

/// A part that owns its fds.
pub struct Part {
    work: Work,
    size: u64,
}

enum Work {
    Copy { source: FileSource, target: OwnedFd, sums: Option<OwnedFd>, may_clone: bool },
    CopyPrivate { source: PrivateSource, target: OwnedFd, sums: Option<OwnedFd> },
    Verify { source: FileSource, sums: OwnedFd },
    Write { bytes: Vec<u8>, target: OwnedFd },
    Send { source: FileSource, stream: Stream, wanted: Wanted },
    SendPrivate { source: PrivateSource, stream: Stream, wanted: Wanted },
    SendState { bytes: Vec<u8>, stream: Stream },
    Sync { file: OwnedFd },
}

/// What failed in a part, and at which offset.
pub struct Failed {
    pub failure: u32,
    pub errno: Errno,
    pub offset: u64,
}

impl Part {
    /// `bytes` are what a part may write.
    ///
    /// # Safety
    /// Private memory is readable while the gate is open.
    pub unsafe fn new(part: &JobPart, bytes: &[u8], gate: &Arc<Gate>) -> Result<Part> {
        let ranges = part.ranges.get(..part.range_count as usize).ok_or(Errno(libc::EINVAL))?;
        let size = part.size;
        let source = || duplicate(part.source_fd).map(FileSource::new);
        let private = || {
            let whole = |range: &MemoryRange| {
                [range.host, range.offset, range.size].iter().all(|value| value % PAGE as u64 == 0)
                    && range.offset.checked_add(range.size).is_some_and(|end| end <= size)
                    && range.host.checked_add(range.size).is_some()
            };
            if size % PAGE as u64 != 0 || !ranges.iter().all(whole) {
                return Err(Errno(libc::EINVAL));
            }
            let file = optional(part.source_fd)?.map(FileSource::new);
            let pagemap = optional(part.pagemap_fd)?;
            Ok(PrivateSource { file, pagemap, ranges: ranges.to_vec(), gate: gate.clone() })
        };
        let stream = || Ok(Stream { target: duplicate(part.target_fd)?, rate: part.rate });
        let wanted = || (!bytes.is_empty()).then(|| bytes.to_vec());
        let work = match part.action {
            action::COPY => Work::Copy {
                source: source()?,
                target: duplicate(part.target_fd)?,
                sums: optional(part.sums_fd)?,
                may_clone: part.flags & MAY_CLONE != 0,
            },
            action::COPY_PRIVATE => Work::CopyPrivate {
                source: private()?,
                target: duplicate(part.target_fd)?,
                sums: optional(part.sums_fd)?,
            },
            action::VERIFY => Work::Verify { source: source()?, sums: duplicate(part.sums_fd)? },
            action::WRITE => {
                let bytes = bytes.to_vec();
                if bytes.len() as u64 != size {
                    return Err(Errno(libc::EINVAL));
                }
                Work::Write { bytes, target: duplicate(part.target_fd)? }
            }
            action::SEND => Work::Send { source: source()?, stream: stream()?, wanted: wanted() },
            action::SEND_PRIVATE => {
                Work::SendPrivate { source: private()?, stream: stream()?, wanted: wanted() }
            }
            action::SEND_STATE => Work::SendState { bytes: bytes.to_vec(), stream: stream()? },
            action::SYNC => Work::Sync { file: duplicate(part.source_fd)? },
            _ => return Err(Errno(libc::EINVAL)),
        };
        Ok(Part { work, size })
    }

    pub fn files(&self) -> JobFiles {
        let raw = |fd: &Option<OwnedFd>| fd.as_ref().map(OwnedFd::as_raw_fd);
        let some = |fds: [Option<RawFd>; 2]| fds.into_iter().flatten().collect();
        let of = |read, written| JobFiles { read: some(read), written: some(written), ..JobFiles::default() };
        let private =
            |source: &PrivateSource| [source.file.as_ref().map(FileSource::fd), raw(&source.pagemap)];
        let sending = |read, stream: &Stream| JobFiles {
            sent_to: vec![stream.target.as_raw_fd()],
            ..of(read, [None; 2])
        };
        match &self.work {
            Work::Copy { source, target, sums, .. } => {
                of([Some(source.fd()), None], [Some(target.as_raw_fd()), raw(sums)])
            }
            Work::CopyPrivate { source, target, sums } => {
                of(private(source), [Some(target.as_raw_fd()), raw(sums)])
            }
            Work::Verify { source, sums } => of([Some(source.fd()), Some(sums.as_raw_fd())], [None; 2]),
            Work::Write { target, .. } => of([None; 2], [Some(target.as_raw_fd()), None]),
            Work::Send { source, stream, .. } => sending([Some(source.fd()), None], stream),
            Work::SendPrivate { source, stream, .. } => sending(private(source), stream),
            Work::SendState { stream, .. } => sending([None; 2], stream),
            Work::Sync { file } => JobFiles { synced: vec![file.as_raw_fd()], ..JobFiles::default() },
        }
    }

    /// Returns whether it shares its source's blocks.
    pub fn run(&mut self, shared: &Shared) -> std::result::Result<bool, Failed> {
        let size = self.size;
        match &mut self.work {
            Work::Copy { source, target, sums, may_clone } => {
                if *may_clone && clone(source.fd(), target.as_raw_fd()) {
                    shared.done.fetch_add(size, Relaxed);
                    return Ok(true);
                }
                copy(source, size, target, sums.as_ref(), shared)?;
            }
            Work::CopyPrivate { source, target, sums } => {
                copy(source, size, target, sums.as_ref(), shared)?;
            }
            Work::Verify { source, sums } => verify(source, size, sums, shared)?,
            Work::Send { source, stream, wanted } => send_pages(stream, source, size, wanted, shared)?,
            Work::SendPrivate { source, stream, wanted } => send_pages(stream, source, size, wanted, shared)?,
            Work::SendState { bytes, stream } => send_state(stream, bytes, shared)?,
            Work::Sync { file } => sync(file).map_err(failed(failure::WRITE, 0))?,
            Work::Write { bytes, target } => {
                write_fully(target.as_raw_fd(), 0, bytes).map_err(failed(failure::WRITE, 0))?;
                shared.done.fetch_add(size, Relaxed);
                shared.written.fetch_add(size, Relaxed);
            }
        }
        Ok(false)
    }
}

/// Any failure means that the two files cannot share blocks.
fn clone(source: RawFd, target: RawFd) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::ioctl(target, FICLONE, source) == 0 }
}

/// A file system that cannot sync has nothing to wait for.
fn sync(file: &OwnedFd) -> Result<()> {
    // SAFETY: no pointers.
    match unsafe { libc::fdatasync(file.as_raw_fd()) } {
        0 => Ok(()),
        _ if Errno::last() == Errno(libc::EINVAL) => Ok(()),
        _ => Err(Errno::last()),
    }
}

pub fn failed(failure: u32, offset: u64) -> impl Fn(Errno) -> Failed {
    move |errno| Failed { failure, errno, offset }
}

/// Calls `each` with the chunks of a source: their offset, their bytes and the pages that may be nonzero.
fn chunks(
    source: &mut dyn Source,
    size: u64,
    shared: &Shared,
    mut each: impl FnMut(u64, &[u8], Pages) -> std::result::Result<(), Failed>,
) -> std::result::Result<(), Failed> {
    let mut buffer = Buffer::new();
    let mut offset = 0;
    while offset < size {
        if shared.gate.is_closed() {
            return Err(failed(failure::NONE, offset)(Errno(libc::ECANCELED)));
        }
        let length = (size - offset).min(CHUNK as u64);
        let chunk = &mut buffer.bytes()[..length as usize];
        let pages = source.read(offset, chunk).map_err(|errno| match errno {
            Errno(libc::ECANCELED) => failed(failure::NONE, offset)(errno),
            errno => failed(failure::READ, offset)(errno),
        })?;
        each(offset, chunk, pages)?;
        offset += length;
        shared.done.fetch_add(length, Relaxed);
    }
    Ok(())
}

fn copy(
    source: &mut dyn Source,
    size: u64,
    target: &OwnedFd,
    sums: Option<&OwnedFd>,
    shared: &Shared,
) -> std::result::Result<(), Failed> {
    let mut table = Vec::with_capacity(size.div_ceil(CHUNK as u64) as usize * 4);
    chunks(source, size, shared, |offset, chunk, pages| {
        let (crc, filled) = examine(chunk, pages);
        table.extend_from_slice(&crc.to_le_bytes());
        for run in runs(chunk.len(), filled) {
            let at = offset + run.start as u64;
            write_fully(target.as_raw_fd(), at, &chunk[run.clone()]).map_err(failed(failure::WRITE, at))?;
            shared.written.fetch_add(run.len() as u64, Relaxed);
        }
        Ok(())
    })?;
    match sums {
        Some(sums) => write_fully(sums.as_raw_fd(), 0, &table).map_err(failed(failure::WRITE, size)),
        None => Ok(()),
    }
}

fn verify(
    source: &mut dyn Source,
    size: u64,
    sums: &OwnedFd,
    shared: &Shared,
) -> std::result::Result<(), Failed> {
    let mut table = vec![0; size.div_ceil(CHUNK as u64) as usize * 4];
    read_fully(sums.as_raw_fd(), 0, &mut table).map_err(failed(failure::READ, 0))?;
    let mut table = table.chunks_exact(4);
    chunks(source, size, shared, |offset, chunk, pages| {
        let (crc, _) = examine(chunk, pages);
        match table.next() == Some(&crc.to_le_bytes()) {
            true => Ok(()),
            false => Err(failed(failure::DIFFERENT, offset)(Errno(libc::EBADMSG))),
        }
    })
}

static ZEROS: [u8; PAGE] = [0; PAGE];

/// The checksum of a chunk, and its nonzero pages.
fn examine(chunk: &[u8], pages: Pages) -> (u32, Pages) {
    let mut filled = Pages::default();
    if pages.is_empty() && chunk.len() == CHUNK {
        return (zeros_crc(), filled);
    }
    let mut crc = 0;
    for (page, bytes) in chunk.chunks(PAGE).enumerate() {
        let zeros = &ZEROS[..bytes.len()];
        // Runs at memory speed: it becomes a call of memcmp.
        if pages.has(page) && bytes != zeros {
            filled.set(page);
            crc = crc32c(crc, bytes);
        } else {
            crc = crc32c(crc, zeros);
        }
    }
    (crc, filled)
}

/// The checksum of a chunk of zeros.
fn zeros_crc() -> u32 {
    static CRC: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *CRC.get_or_init(|| (0..CHUNK / PAGE).fold(0, |crc, _| crc32c(crc, &ZEROS)))
}

/// The byte ranges of runs of adjacent pages.
fn runs(length: usize, pages: Pages) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = length.div_ceil(PAGE);
    let mut page = 0;
    std::iter::from_fn(move || {
        page += (page..count).take_while(|page| !pages.has(*page)).count();
        let run = (page..count).take_while(|page| pages.has(*page)).count();
        let start = page;
        page += run;
        (run > 0).then(|| start * PAGE..(page * PAGE).min(length))
    })
}

fn write_fully(fd: RawFd, offset: u64, bytes: &[u8]) -> Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &bytes[done..];
        // SAFETY: the length is the slice's.
        let written =
            unsafe { libc::pwrite(fd, rest.as_ptr().cast(), rest.len(), (offset + done as u64) as i64) };
        match written {
            1.. => done += written as usize,
            0 => return Err(Errno(libc::ENOSPC)),
            _ if Errno::last() == Errno(libc::EINTR) => {}
            _ => return Err(Errno::last()),
        }
    }
    Ok(())
}

/// A chunk's memory, page-aligned.
struct Buffer(Vec<Page>);

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

impl Buffer {
    fn new() -> Buffer {
        Buffer(vec![Page([0; PAGE]); CHUNK / PAGE])
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: a Page is PAGE bytes without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), CHUNK) }
    }
}

fn optional(fd: RawFd) -> Result<Option<OwnedFd>> {
    if fd < 0 { Ok(None) } else { duplicate(fd).map(Some) }
}

pub fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: no pointers; a non-negative result is a new fd that nothing else owns.
    unsafe { check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}
