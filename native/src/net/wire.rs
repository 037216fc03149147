//! A card's connection to a network: its files, and what applies to all of its queues.

use super::filter::ReceiveFilter;
use super::header::HEADER_BYTES;
use crate::epoll::{self, EventFd};
use crate::errno::{Errno, Result, check};
use crate::limiter::{Limiter, RateLimits};
use crate::queue_thread::duplicate;
use crate::seccomp::Call;
use crate::sync::lock;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};

/// The most queue pairs of a card.
const MAX_PAIRS: usize = 64;

/// What a read of a wire has come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// Bytes, a header included.
    Frame(usize),
    /// Nothing now.
    Later,
    /// The frame is lost: the interface is down, or takes no such frame.
    Lost,
    /// There is nobody at the other end any more.
    HungUp,
}

pub struct Wire {
    /// One for each queue pair.
    fds: Vec<OwnedFd>,
    /// Frames have a virtio_net_hdr in front.
    has_header: bool,
    /// The cable is plugged in.
    link: AtomicBool,
    /// Queue pairs that the driver uses.
    pairs: AtomicU32,
    filter: Mutex<Arc<ReceiveFilter>>,
    /// Counts the filters, so that threads notice another one.
    filters: AtomicU32,
    hung_up: AtomicBool,
    /// Signaled when somebody hangs up.
    notice: OwnedFd,
    pub receive_limiter: Limiter,
    pub transmit_limiter: Limiter,
    threads: Mutex<Vec<Weak<EventFd>>>,
}

impl Wire {
    /// The fds are duplicated, and must be non-blocking. EINVAL for too many.
    pub fn new(fds: &[RawFd], has_header: bool, notice: RawFd) -> Result<Wire> {
        if fds.len() > MAX_PAIRS {
            return Err(Errno(libc::EINVAL));
        }
        Ok(Wire {
            fds: fds.iter().map(|fd| duplicate(*fd)).collect::<Result<_>>()?,
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

    /// The filter, and its number: `filter_number` is another one when there is another filter.
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

    /// The other end is gone: its threads stop using it, and the machine thread is told.
    pub fn hang_up(&self) {
        if !self.hung_up.swap(true, SeqCst) {
            epoll::signal(self.notice.as_raw_fd());
        }
    }

    /// What its threads signal.
    pub fn signals(&self) -> Vec<RawFd> {
        vec![self.notice.as_raw_fd()]
    }

    fn wake(&self) {
        lock(&self.threads).iter().filter_map(Weak::upgrade).for_each(|thread| thread.signal());
    }
}

/// The system calls of a thread that reads, or writes, a file.
pub fn calls(file: Option<RawFd>, call: fn(RawFd) -> Call) -> Vec<Call> {
    file.map(call).into_iter().collect()
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
        // Of what was not written, a socket that nobody reads any more says EPIPE.
        Moved::HungUp if written == Ok(0) => Moved::Lost,
        other => other,
    }
}

fn moved(result: Result<i32>) -> Moved {
    match result {
        Ok(0) => Moved::HungUp,
        Ok(count) => Moved::Frame(count as usize),
        Err(Errno(libc::EAGAIN | libc::EINTR)) => Moved::Later,
        // EBADFD: of a TAP interface that is gone, or a queue that is detached for now.
        Err(Errno(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN)) => Moved::HungUp,
        Err(_) => Moved::Lost,
    }
}
