//! A driver around a real queue of a card whose wire is a socket, for tests.

use super::{Receiver, SharedFds, Transmitter, Wire};
use crate::counters::{Block, Counters, HEADER_WORDS, queue as words};
use crate::epoll::EventFd;
use crate::frame_ring::{self, FrameRings};
use crate::memory::GuestRam;
use crate::queue::testing::{Driver, ram};
use crate::queue_thread::{QueueConfig, QueueThread, Stopped, Surroundings};
use crate::reactor::Reactor;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vm_memory::{Bytes, GuestAddress};

const SIZE: u32 = 16;
pub const DATA: u64 = 0x2_0000;

pub struct Fixture {
    pub driver: Driver<'static>,
    pub ram: Arc<GuestRam>,
    pub wire: Arc<Wire>,
    /// The other end of the wire.
    pub peer: OwnedFd,
    pub notice: EventFd,
    pub kick: EventFd,
    pub call: EventFd,
    pub counters: Block,
    reactor: Arc<Reactor>,
    pub queue: Option<QueueThread>,
    transmits: bool,
    /// The other end of the shared memory, and the eventfd that signals room in it.
    pub shared: Option<(Arc<FrameRings>, EventFd)>,
}

/// Two connected non-blocking sockets that preserve frame boundaries.
pub fn pair() -> (OwnedFd, OwnedFd) {
    let mut fds = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: an array of two fds, which nothing else owns.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()), 0);
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    }
}

pub fn send(fd: RawFd, frame: &[u8]) -> bool {
    // SAFETY: reads the slice.
    unsafe { libc::send(fd, frame.as_ptr().cast(), frame.len(), libc::MSG_NOSIGNAL) == frame.len() as isize }
}

/// The bytes, with the kernel's overhead, that the other end of a socket has not read yet.
fn unread(fd: RawFd) -> i32 {
    let mut bytes = 0;
    // SAFETY: writes one int.
    assert_eq!(unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut bytes) }, 0);
    bytes
}

impl Fixture {
    pub fn new(transmits: bool, features: u64, has_header: bool) -> Fixture {
        Fixture::of(transmits, features, has_header, false)
    }

    /// A wire whose frames go through shared memory.
    pub fn sharing(transmits: bool, features: u64) -> Fixture {
        Fixture::of(transmits, features, false, true)
    }

    fn of(transmits: bool, features: u64, has_header: bool, shares: bool) -> Fixture {
        let ram = Arc::new(ram());
        // Leaked, so that the driver can borrow it.
        let shared: &'static Arc<GuestRam> = Box::leak(Box::new(ram.clone()));
        let block: &'static [u64] = Box::leak(vec![0; HEADER_WORDS + words::WORDS].into_boxed_slice());
        // SAFETY: the words are leaked.
        let counters = unsafe { Counters::new(block.as_ptr(), block.len(), 0, 1) }.unwrap();
        let mut driver = Driver::new(shared, SIZE);
        driver.layout.features = features;
        let (own, peer) = pair();
        let notice = EventFd::new().unwrap();
        let (memory, room) = (frame_ring::memory(), EventFd::new().unwrap());
        let fds = SharedFds { memory: memory.as_raw_fd(), room: room.as_raw_fd() };
        let wire =
            Wire::new(&[own.as_raw_fd()], shares.then_some(fds), has_header, notice.as_raw_fd()).unwrap();
        let mut fixture = Fixture {
            driver,
            ram,
            wire: Arc::new(wire),
            peer,
            notice,
            kick: EventFd::new().unwrap(),
            call: EventFd::new().unwrap(),
            counters: counters.queue(0).unwrap(),
            reactor: Arc::new(Reactor::new().unwrap()),
            queue: None,
            transmits,
            shared: shares.then(|| (FrameRings::map(memory.as_raw_fd()).unwrap(), room)),
        };
        fixture.start();
        fixture
    }

    pub fn start(&mut self) {
        let layout = self.driver.layout;
        let config = QueueConfig {
            descriptors: layout.descriptors,
            available: layout.available,
            used: layout.used,
            features: layout.features,
            kick_fd: self.kick.as_raw_fd(),
            call_fd: self.call.as_raw_fd(),
            size: layout.size,
            counter_slot: 0,
            last_avail: layout.position.available,
            used_index: layout.position.used,
            ..QueueConfig::default()
        };
        let surroundings = Surroundings {
            ram: self.ram.clone(),
            counters: self.counters,
            reactor: self.reactor.clone(),
            seccomp: true,
        };
        let (wire, features) = (self.wire.clone(), layout.features);
        let queue = match self.transmits {
            true => {
                let server = Transmitter::new(wire, 0, features);
                QueueThread::start_server(&config, &[], server, surroundings)
            }
            false => QueueThread::start_server(&config, &[], Receiver::new(wire, 0, features), surroundings),
        };
        self.queue = Some(queue.unwrap());
    }

    /// Stops the queue, so that the next `start` resumes at its position.
    pub fn stop(&mut self) {
        let mut queue = self.queue.take().unwrap();
        assert!(queue.end(), "the queue is stuck");
        let Stopped { position, unfinished } = queue.stopped();
        assert!(unfinished.is_empty());
        self.driver.layout.position = position;
    }

    pub fn await_used(&self, index: u16) {
        self.until("used", || (self.driver.used_index().wrapping_sub(index) as i16) >= 0);
    }

    pub fn await_counter(&self, word: usize, value: u64) {
        self.until("counted", || self.counters.get(word) >= value);
    }

    pub fn until(&self, what: &str, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !ready() {
            let failure = self.queue.as_ref().and_then(QueueThread::failure);
            assert!(Instant::now() < deadline && failure.is_none(), "not {what}: {failure:?}");
            std::thread::yield_now();
        }
    }

    pub fn await_failure(&self) -> (bool, String) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(failure) = self.queue.as_ref().and_then(QueueThread::failure) {
                return failure;
            }
            assert!(Instant::now() < deadline, "the queue is still served");
            std::thread::yield_now();
        }
    }

    /// Waits until the queue has processed all that the driver offered and the peer sent, or has failed. The driver
    /// must have kicked. Frames that come out of the wire are dropped.
    pub fn await_rest(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        // A queue takes a kick only when it has nothing left to do; a receive queue with buffers waits for frames.
        let rests =
            || self.counters.get(words::KICKS) > 0 || !self.transmits && unread(self.peer.as_raw_fd()) == 0;
        while !rests() && self.queue.as_ref().and_then(QueueThread::failure).is_none() {
            assert!(Instant::now() < deadline, "the queue is still busy");
            while self.try_take().is_some() {}
            std::thread::yield_now();
        }
    }

    pub fn send(&self, frame: &[u8]) {
        assert!(send(self.peer.as_raw_fd(), frame));
    }

    /// The next frame that comes out of the wire; None if there is none.
    pub fn try_take(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 70_000];
        // SAFETY: writes into the vector.
        let count = unsafe { libc::recv(self.peer.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
        frame.truncate(usize::try_from(count).ok()?);
        Some(frame)
    }

    pub fn take(&self) -> Vec<u8> {
        let mut frame = None;
        self.until("sent", || {
            frame = self.try_take();
            frame.is_some()
        });
        frame.unwrap()
    }

    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.ram.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub fn read(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }
}
