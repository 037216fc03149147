//! Sending guest RAM, and other bytes, over a stream to another host (src/vmm/migration/stream.ts has the format).

use super::abi::failure;
use super::copy::{Failed, failed};
use super::source::{Pages, Source};
use super::{CHUNK, PAGE, Shared};
use crate::clock::now_ns;
use crate::errno::{Errno, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of a frame's header: "VR", a zero byte, the kind, the length of the payload (32 bits) and an offset (64 bits),
/// all little-endian.
pub const HEADER: usize = 16;

/// The kinds of frames that a job sends.
pub mod frame {
    /// The bytes of RAM at an offset.
    pub const PAGES: u8 = 2;
    /// As many zero bytes of RAM; it has no payload.
    pub const ZEROS: u8 = 3;
    /// Bytes of the machine's state at an offset.
    pub const STATE: u8 = 4;
}

/// How long a wait may last before the job looks whether it was canceled.
const PATIENCE_NS: u64 = 50_000_000;

/// A socket, and how fast to write to it.
pub struct Stream {
    pub target: OwnedFd,
    /// Bytes per second; 0 for as fast as possible.
    pub rate: u64,
}

/// The pages of RAM to send: one bit per page; None for all that are not zero.
pub type Wanted = Option<Vec<u8>>;

/// Sends the wanted pages of RAM of `size` bytes. Zero pages are sent as such, or not at all if all pages are wanted:
/// the receiver's RAM is zero then.
pub fn send_pages(
    stream: &Stream,
    source: &mut dyn Source,
    size: u64,
    wanted: &Wanted,
    shared: &Shared,
) -> std::result::Result<(), Failed> {
    let mut pace = Pace::new(stream.rate);
    let mut buffer = FrameBuffer::new();
    let mut offset = 0;
    while offset < size {
        if shared.gate.is_closed() {
            return Err(canceled(offset));
        }
        let length = (size - offset).min(CHUNK as u64) as usize;
        let pages = wanted.as_ref().map(|bits| wanted_pages(bits, offset, length));
        if pages.as_ref().is_some_and(Pages::is_empty) {
            offset += length as u64;
            shared.done.fetch_add(length as u64, Relaxed);
            continue;
        }
        let read = source.read(offset, &mut buffer.chunk()[..length]).map_err(|errno| match errno {
            Errno(libc::ECANCELED) => failed(failure::NONE, offset)(errno),
            errno => failed(failure::READ, offset)(errno),
        })?;
        let is_wanted = |page| pages.as_ref().is_none_or(|pages| pages.has(page));
        let filled = filled_pages(&buffer.chunk()[..length], read, is_wanted);
        let count = length.div_ceil(PAGE);
        let mut page = 0;
        while page < count {
            if !is_wanted(page) {
                page += 1;
                continue;
            }
            let is_filled = filled.has(page);
            let run =
                (page..count).take_while(|page| is_wanted(*page) && filled.has(*page) == is_filled).count();
            let at = offset + (page * PAGE) as u64;
            let bytes = ((page + run) * PAGE).min(length) - page * PAGE;
            if is_filled {
                let framed = buffer.frame(frame::PAGES, at, page * PAGE, bytes);
                send(stream, framed, &mut pace, shared).map_err(|errno| lost(errno, at))?;
            } else if pages.is_some() {
                let head = header(frame::ZEROS, bytes as u32, at);
                send(stream, &head, &mut pace, shared).map_err(|errno| lost(errno, at))?;
            }
            page += run;
        }
        offset += length as u64;
        shared.done.fetch_add(length as u64, Relaxed);
    }
    Ok(())
}

/// Sends a machine's state.
pub fn send_state(stream: &Stream, bytes: &[u8], shared: &Shared) -> std::result::Result<(), Failed> {
    let mut pace = Pace::new(0);
    for (index, piece) in bytes.chunks(CHUNK).enumerate() {
        let at = (index * CHUNK) as u64;
        let head = header(frame::STATE, piece.len() as u32, at);
        for part in [&head[..], piece] {
            send(stream, part, &mut pace, shared).map_err(|errno| lost(errno, at))?;
        }
        shared.done.fetch_add(piece.len() as u64, Relaxed);
    }
    Ok(())
}

fn lost(errno: Errno, offset: u64) -> Failed {
    match errno {
        Errno(libc::ECANCELED) => canceled(offset),
        errno => failed(failure::WRITE, offset)(errno),
    }
}

fn canceled(offset: u64) -> Failed {
    failed(failure::NONE, offset)(Errno(libc::ECANCELED))
}

fn wanted_pages(bits: &[u8], offset: u64, length: usize) -> Pages {
    let first = offset as usize / PAGE;
    let mut pages = Pages::default();
    for page in 0..length.div_ceil(PAGE) {
        let index = first + page;
        if bits.get(index / 8).is_some_and(|byte| byte & 1 << (index % 8) != 0) {
            pages.set(page);
        }
    }
    pages
}

/// The wanted pages that are not zero. Those that were not read are.
fn filled_pages(chunk: &[u8], read: Pages, is_wanted: impl Fn(usize) -> bool) -> Pages {
    static ZEROS: [u8; PAGE] = [0; PAGE];
    let mut filled = Pages::default();
    for (page, bytes) in chunk.chunks(PAGE).enumerate() {
        if read.has(page) && is_wanted(page) && bytes != &ZEROS[..bytes.len()] {
            filled.set(page);
        }
    }
    filled
}

pub fn header(kind: u8, length: u32, offset: u64) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..4].copy_from_slice(&[b'V', b'R', 0, kind]);
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes[8..].copy_from_slice(&offset.to_le_bytes());
    bytes
}

/// Sends all of `bytes`, as fast as the pace allows.
fn send(stream: &Stream, bytes: &[u8], pace: &mut Pace, shared: &Shared) -> Result<()> {
    let fd = stream.target.as_raw_fd();
    let mut done = 0;
    while done < bytes.len() {
        if shared.gate.is_closed() {
            return Err(Errno(libc::ECANCELED));
        }
        let wait = pace.wait_ns();
        if wait > 0 {
            pause(None, wait);
            continue;
        }
        let rest = &bytes[done..bytes.len().min(done.saturating_add(pace.piece()))];
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the length is the slice's.
        let sent = unsafe { libc::send(fd, rest.as_ptr().cast(), rest.len(), flags) };
        match sent {
            1.. => {
                done += sent as usize;
                pace.sent(sent as u64);
                shared.written.fetch_add(sent as u64, Relaxed);
            }
            _ => match Errno::last() {
                Errno(libc::EAGAIN | libc::EINTR | libc::ENOBUFS) => pause(Some(fd), PATIENCE_NS),
                errno => return Err(errno),
            },
        }
    }
    Ok(())
}

/// Waits for this time at most, or until the socket takes more.
fn pause(writable: Option<i32>, ns: u64) {
    let ns = ns.min(PATIENCE_NS);
    let limit = libc::timespec { tv_sec: 0, tv_nsec: ns as i64 };
    let mut poll = libc::pollfd { fd: writable.unwrap_or(-1), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid entry, and no signal mask. Any failure only makes the wait shorter.
    unsafe { libc::ppoll(&mut poll, 1, &limit, std::ptr::null()) };
}

/// Keeps what is sent below a rate.
struct Pace {
    rate: u64,
    /// When the bytes that were sent are paid for.
    due_ns: u64,
}

impl Pace {
    fn new(rate: u64) -> Pace {
        Pace { rate, due_ns: 0 }
    }

    /// How long to wait before more is sent.
    fn wait_ns(&self) -> u64 {
        if self.rate == 0 { 0 } else { self.due_ns.saturating_sub(now_ns()) }
    }

    /// The most bytes to send at a time: of 10 ms, or a page.
    fn piece(&self) -> usize {
        if self.rate == 0 { usize::MAX } else { ((self.rate / 100) as usize).max(PAGE) }
    }

    fn sent(&mut self, bytes: u64) {
        if self.rate > 0 {
            let cost = (u128::from(bytes) * 1_000_000_000 / u128::from(self.rate)) as u64;
            self.due_ns = self.due_ns.max(now_ns()).saturating_add(cost);
        }
    }
}

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// A chunk, page-aligned, with room for a header before it.
struct FrameBuffer(Vec<Page>);

impl FrameBuffer {
    fn new() -> FrameBuffer {
        FrameBuffer(vec![Page([0; PAGE]); 1 + CHUNK / PAGE])
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: a Page is PAGE bytes without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * PAGE) }
    }

    fn chunk(&mut self) -> &mut [u8] {
        &mut self.bytes()[PAGE..]
    }

    /// The frame of `length` bytes at `start` of the chunk. Its header overwrites what is before them: a page that
    /// was sent, or is not wanted.
    fn frame(&mut self, kind: u8, offset: u64, start: usize, length: usize) -> &[u8] {
        let from = PAGE + start - HEADER;
        let bytes = &mut self.bytes()[from..from + HEADER + length];
        bytes[..HEADER].copy_from_slice(&header(kind, length as u32, offset));
        bytes
    }
}
