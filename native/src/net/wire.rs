//! A card's connection to a network: its files, and the state shared by all of its queues.

use super::filter::ReceiveFilter;
use super::header::HEADER_BYTES;
use crate::epoll::{self, EventFd};
use crate::errno::{Errno, Result, check};
use crate::frame_ring::{Direction, FrameRings, Putter, Taker};
use crate::limiter::{Limiter, RateLimits};
use crate::queue_thread::duplicate;
use crate::seccomp::Call;
use crate::sync::lock;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};

/// The most queue pairs of a card.
const MAX_PAIRS: usize = 64;

/// The outcome of a read or write of a wire.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// Bytes, including the header.
    Frame(usize),
    /// Nothing to read, or no room, now.
    Later,
    /// The frame is lost: the interface is down, or does not take such a frame.
    Lost,
    /// The other end is gone.
    HungUp,
}

/// Memory shared with the process at the wire's other end, which carries the frames of the first queue pair. The socket
/// then carries one-byte messages that wake that process, or the thread that receives.
struct Shared {
    sent: Putter,
    received: Taker,
    /// Signaled when the other end has taken frames and there is room again.
    room: OwnedFd,
}

/// The fds that a wire with shared memory is made of.
#[derive(Clone, Copy)]
pub struct SharedFds {
    pub memory: RawFd,
    pub room: RawFd,
}

pub struct Wire {
    /// One per queue pair.
    fds: Vec<OwnedFd>,
    shared: Option<Shared>,
    /// Frames have a virtio_net_hdr in front.
    has_header: bool,
    /// Whether the cable is plugged in.
    link: AtomicBool,
    /// Number of queue pairs that the driver uses.
    pairs: AtomicU32,
    filter: Mutex<Arc<ReceiveFilter>>,
    /// Incremented with each new filter, so that threads notice it.
    filters: AtomicU32,
    hung_up: AtomicBool,
    /// Signaled when the other end hangs up.
    notice: OwnedFd,
    pub receive_limiter: Limiter,
    pub transmit_limiter: Limiter,
    threads: Mutex<Vec<Weak<EventFd>>>,
}

impl Wire {
    /// The fds are duplicated, and must be non-blocking. EINVAL if there are too many, or if
    /// the memory cannot be shared.
    pub fn new(fds: &[RawFd], shared: Option<SharedFds>, has_header: bool, notice: RawFd) -> Result<Wire> {
        if fds.len() > MAX_PAIRS || shared.is_some() && fds.len() != 1 {
            return Err(Errno(libc::EINVAL));
        }
        let shared = shared.map(Shared::new).transpose()?;
        Ok(Wire {
            fds: fds.iter().map(|fd| duplicate(*fd)).collect::<Result<_>>()?,
            shared,
            has_header,
            link: AtomicBool::new(true),
            pairs: AtomicU32::new(1),
            filter: Mutex::default(),
            filters: AtomicU32::new(0),
            hung_up: AtomicBool::new(false),
            notice: duplicate(notice)?,
            receive_limiter: Limiter::new(&RateLimits::default()),
            transmit_limiter: Limiter::new(&RateLimits::default()),
            threads: Mutex::default(),
        })
    }

    pub fn has_header(&self) -> bool {
        self.has_header
    }

    /// Bytes in front of each frame.
    pub fn header_bytes(&self) -> usize {
        if self.has_header { HEADER_BYTES } else { 0 }
    }

    /// The file of a queue pair; None if the network has none for it.
    pub fn file(&self, pair: u32) -> Option<RawFd> {
        self.fds.get(pair as usize).map(AsRawFd::as_raw_fd)
    }

    /// Whether a thread can check for frames without a system call.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Called when a thread begins to read. A machine that takes over from another process maps the memory while that
    /// process still uses it, so the positions have changed since.
    pub fn begin_reading(&self) {
        if let Some(shared) = &self.shared {
            shared.received.resume();
        }
    }

    /// Like `begin_reading`, for a thread that writes.
    pub fn begin_writing(&self) {
        if let Some(shared) = &self.shared {
            shared.sent.resume();
        }
    }

    /// Reads one frame of a queue pair that has a file.
    pub fn read(&self, pair: u32, to: &[libc::iovec]) -> Moved {
        match (&self.shared, self.file(pair)) {
            // SAFETY: the iovecs are of memory that the caller may have written.
            (Some(shared), Some(_)) => unsafe { shared.received.take(to) }.map_or(Moved::Later, Moved::Frame),
            (None, Some(file)) => read(file, to),
            (_, None) => Moved::Later,
        }
    }

    /// Writes one frame.
    pub fn write(&self, pair: u32, from: &[libc::iovec]) -> Moved {
        match (&self.shared, self.file(pair)) {
            (Some(shared), Some(_)) => {
                let len = from.iter().map(|part| part.iov_len).sum();
                // SAFETY: the iovecs are of memory that the caller may have read.
                if unsafe { shared.sent.put(from) } { Moved::Frame(len) } else { Moved::Later }
            }
            (None, Some(file)) => write(file, from),
            (_, None) => Moved::Lost,
        }
    }

    /// Wakes the other end for the frames that were written, if it sleeps.
    pub fn wrote(&self) {
        if self.shared.as_ref().is_some_and(|shared| shared.sent.must_wake()) {
            self.wake_other_end();
        }
    }

    /// Wakes the other end because frames were read, if it waits for room.
    pub fn took(&self) {
        if self.shared.as_ref().is_some_and(|shared| shared.received.must_wake()) {
            self.wake_other_end();
        }
    }

    /// A socket that is full has messages already, which wake the other end.
    fn wake_other_end(&self) {
        let message = [0u8];
        if let Some(file) = self.file(0) {
            write(file, &[libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: 1 }]);
        }
    }

    /// Called before a thread sleeps until the wire's file is readable. False if there are frames in shared memory.
    pub fn sleep(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.received.sleep())
    }

    /// Notes that the thread is awake; `woken` if the file is readable. Returns whether the other end still exists.
    pub fn rise(&self, woken: bool) -> bool {
        let Some(shared) = &self.shared else { return true };
        shared.received.rise();
        let mut message = [0u8; 16];
        let to = [libc::iovec { iov_base: message.as_mut_ptr().cast(), iov_len: message.len() }];
        !woken || self.file(0).is_none_or(|file| read(file, &to) != Moved::HungUp)
    }

    /// The files and events that a thread without room waits for; none if there is room.
    pub fn await_room(&self, pair: u32) -> Vec<(RawFd, i16)> {
        let file = self.file(pair).into_iter();
        match &self.shared {
            // The file can only report that the other end is gone.
            Some(shared) if shared.sent.await_room() => {
                file.map(|file| (file, 0)).chain([(shared.room.as_raw_fd(), libc::POLLIN)]).collect()
            }
            Some(_) => Vec::new(),
            None => file.map(|file| (file, libc::POLLOUT)).collect(),
        }
    }

    /// Called after a wait for room.
    pub fn awaited_room(&self) {
        if let Some(shared) = &self.shared {
            epoll::drain(shared.room.as_raw_fd());
        }
    }

    /// The system calls of a thread that reads or writes the wire.
    pub fn calls(&self, pair: u32, writes: bool) -> Vec<Call> {
        let Some(file) = self.file(pair) else { return Vec::new() };
        match (&self.shared, writes) {
            (None, false) => vec![Call::readv(file)],
            (None, true) => vec![Call::writev(file)],
            (Some(_), false) => vec![Call::readv(file), Call::writev(file)],
            (Some(shared), true) => vec![Call::writev(file), Call::read_eventfd(shared.room.as_raw_fd())],
        }
    }

    /// Whether frames of a queue pair are carried now.
    pub fn carries(&self, pair: u32) -> bool {
        self.link.load(SeqCst) && self.is_used(pair)
    }

    /// Whether the driver uses a queue pair.
    pub fn is_used(&self, pair: u32) -> bool {
        pair < self.pairs.load(SeqCst) && !self.is_hung_up()
    }

    pub fn is_hung_up(&self) -> bool {
        self.hung_up.load(SeqCst)
    }

    pub fn set_link(&self, up: bool) {
        self.link.store(up, SeqCst);
        self.wake();
    }

    pub fn set_pairs(&self, pairs: u32) {
        self.pairs.store(pairs, SeqCst);
        self.wake();
    }

    pub fn set_filter(&self, filter: ReceiveFilter) {
        *lock(&self.filter) = Arc::new(filter);
        self.filters.fetch_add(1, SeqCst);
    }

    /// The filter and its number; when `filter_number` differs, there is a new filter.
    pub fn filter(&self) -> (u32, Arc<ReceiveFilter>) {
        let number = self.filter_number();
        (number, lock(&self.filter).clone())
    }

    pub fn filter_number(&self) -> u32 {
        self.filters.load(SeqCst)
    }

    pub fn add_thread(&self, control: Weak<EventFd>) {
        let mut threads = lock(&self.threads);
        threads.retain(|thread| thread.strong_count() > 0);
        threads.push(control);
    }

    /// Handles that the other end is gone: its threads stop using it, and the machine thread is notified.
    pub fn hang_up(&self) {
        if !self.hung_up.swap(true, SeqCst) {
            epoll::signal(self.notice.as_raw_fd());
        }
    }

    /// The eventfds that its threads signal.
    pub fn signals(&self) -> Vec<RawFd> {
        vec![self.notice.as_raw_fd()]
    }

    fn wake(&self) {
        lock(&self.threads).iter().filter_map(Weak::upgrade).for_each(|thread| thread.signal());
    }
}

impl Shared {
    fn new(fds: SharedFds) -> Result<Shared> {
        let rings = FrameRings::map(fds.memory)?;
        Ok(Shared {
            sent: rings.putter(Direction::ToNetwork),
            received: rings.taker(Direction::ToMachine),
            room: duplicate(fds.room)?,
        })
    }
}

/// Reads one frame.
pub fn read(file: RawFd, to: &[libc::iovec]) -> Moved {
    // SAFETY: the iovecs are of memory that the caller may have written.
    moved(check(unsafe { libc::readv(file, to.as_ptr(), to.len() as i32) } as i32))
}

/// Writes one frame.
pub fn write(file: RawFd, from: &[libc::iovec]) -> Moved {
    // SAFETY: the iovecs are of memory that the caller may have read.
    let written = check(unsafe { libc::writev(file, from.as_ptr(), from.len() as i32) } as i32);
    match moved(written) {
        // For what it cannot write, a socket without a reader returns EPIPE.
        Moved::HungUp if written == Ok(0) => Moved::Lost,
        other => other,
    }
}

fn moved(result: Result<i32>) -> Moved {
    match result {
        Ok(0) => Moved::HungUp,
        Ok(count) => Moved::Frame(count as usize),
        Err(Errno(libc::EAGAIN | libc::EINTR)) => Moved::Later,
        // EBADFD: the TAP interface is gone, or the queue is detached for now.
        Err(Errno(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN)) => Moved::HungUp,
        Err(_) => Moved::Lost,
    }
}
