//! Queues served by non-blocking system calls instead of an io_uring: those of network cards, whose frames
//! are ordered and arrive at any time. A server takes as many chains as it can serve at once, and puts back
//! those that it has not served.

use super::kernel::Served;
use super::{QueueConfig, Shared, pack, unpack};
use crate::clock::now_ns;
use crate::counters::{Block, queue as words};
use crate::epoll;
use crate::errno::{Errno, Result};
use crate::memory::GuestRam;
use crate::queue::{Broken, Chain, PackedQueue, Ring, SplitQueue};
use crate::seccomp::{Call, DirectFds, Filter};
use crate::spin::Spin;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::Weak;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// The longest spin for the driver's next chain before sleeping.
const SPIN_NS: u64 = 50_000;

/// Serves a queue. It is shared with the queue's handle.
pub trait Server: Send + Sync + 'static {
    /// The name of its threads, at most 8 characters; the queue's number is appended.
    const NAME: &'static str;

    /// System calls that it makes, in addition to those of `Post`.
    fn calls(&self) -> Vec<Call>;

    /// Its own eventfds that it signals.
    fn signals(&self) -> Vec<RawFd>;

    /// Wakes the thread through `control` when state that it depends on has changed.
    fn add_thread(&self, control: Weak<crate::epoll::EventFd>);

    /// Serves the queue until `post.must_leave()`. Everything taken is given back or put back.
    fn serve<'m, R: Ring<'m>>(&self, queue: &mut R, post: &mut Post<'_>) -> Served<()>;
}

/// Why a thread has stopped waiting. Several may apply at the same time.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Woken {
    /// A file event that it waited for.
    pub file: bool,
    /// The other end of a file is gone, or its interface.
    pub hung_up: bool,
}

/// What a queue's thread has besides the queue.
pub struct Post<'r> {
    shared: &'r Shared,
    pub counters: Block,
    spin: Spin,
}

impl Post<'_> {
    /// Whether the thread must end, or continue with other memory.
    pub fn must_leave(&self) -> bool {
        self.shared.stop.load(SeqCst) || self.shared.has_memory_changed()
    }

    /// Takes the next chain, if there is one. A chain that may have been offered after guest memory changed is left.
    pub fn take<'m, R: Ring<'m>>(
        &self,
        queue: &mut R,
        chain: &mut Chain<'m>,
    ) -> std::result::Result<bool, Broken> {
        let before = queue.position();
        let taken = queue.take(chain);
        if self.shared.has_memory_changed() {
            queue.put_back(before);
            return Ok(false);
        }
        taken
    }

    /// Publishes what was given back, and interrupts the driver if it asked for an interrupt.
    pub fn publish<'m, R: Ring<'m>>(&self, queue: &mut R) {
        self.shared.position.store(pack(queue.position()), Relaxed);
        if !queue.publish() {
            return;
        }
        if queue.wants_interrupt() {
            self.counters.add(words::INTERRUPTS, 1);
            epoll::signal(self.shared.call.as_raw_fd());
        } else {
            self.counters.add(words::INTERRUPTS_SUPPRESSED, 1);
        }
    }

    /// Spins for the driver's next chain. Returns whether there is one.
    pub fn spin<'m, R: Ring<'m>>(&mut self, queue: &R) -> bool {
        let shared = self.shared;
        self.spin.until_crowded(|| queue.has_available() || shared.stop.load(Relaxed)) && !self.must_leave()
    }

    /// Spins until a file can be read. Returns whether it can. The file's queue is longer than a ring: a yield that costs
    /// a time slice brings many frames.
    pub fn spin_for_file(&mut self, file: RawFd) -> bool {
        let shared = self.shared;
        self.spin.until_yielding(|| is_readable(file) || shared.stop.load(Relaxed)) && !self.must_leave()
    }

    /// Sleeps until the handle needs attention, or until one of these: a kick, with `kick`; an event of one of at most
    /// two files; a time.
    pub fn wait(&self, kick: bool, files: &[(RawFd, i16)], until: Option<u64>) -> Served<Woken> {
        let entry = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let mut fds = [
            entry(self.shared.control.as_raw_fd(), libc::POLLIN),
            entry(if kick { self.shared.kick.as_raw_fd() } else { -1 }, libc::POLLIN),
            entry(-1, 0),
            entry(-1, 0),
        ];
        for (polled, (fd, events)) in fds[2..].iter_mut().zip(files) {
            *polled = entry(*fd, *events);
        }
        let timeout = until.map(|until| timespec(until.saturating_sub(now_ns())));
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let polled = self.shared.gate.in_kernel(|| {
            // SAFETY: valid entries, and a timespec that outlives the call.
            let count = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as u64, timeout, ptr::null()) };
            if count < 0 { Err(Errno::last()) } else { Ok(()) }
        });
        match polled {
            None => return Err(super::Fault::Abandoned),
            Some(Err(Errno(libc::EINTR | libc::EAGAIN))) | Some(Ok(())) => {}
            Some(Err(errno)) => return Err(errno.into()),
        }
        if fds[0].revents != 0 {
            self.shared.control.drain();
        }
        if fds[1].revents != 0 {
            self.counters.add(words::KICKS, epoll::drain(self.shared.kick.as_raw_fd()));
        }
        let events = fds[2].revents | fds[3].revents;
        let gone = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
        Ok(Woken { file: events & (libc::POLLIN | libc::POLLOUT) != 0, hung_up: events & gone != 0 })
    }
}

/// Serves the queue until it is asked to stop, always from the VM's current memory. Returns the unfinished chains, of
/// which there are none.
pub fn serve<S: Server>(
    server: &S,
    shared: &Shared,
    counters: Block,
    mut config: QueueConfig,
    unfinished: &[u8],
) -> Served<Vec<u8>> {
    let mut post = Post { shared, counters, spin: Spin::new(SPIN_NS) };
    let mut unfinished = unfinished;
    loop {
        let ram = shared.take_memory();
        match config.is_packed() {
            true => serve_from::<PackedQueue, S>(&ram, &config, server, &mut post, unfinished)?,
            false => serve_from::<SplitQueue, S>(&ram, &config, server, &mut post, unfinished)?,
        }
        unfinished = &[];
        if shared.stop.load(SeqCst) {
            return Ok(Vec::new());
        }
        config.go_on_at(unpack(shared.position.load(Relaxed)));
    }
}

fn serve_from<'m, R: Ring<'m>, S: Server>(
    ram: &'m GuestRam,
    config: &QueueConfig,
    server: &S,
    post: &mut Post<'_>,
    mut unfinished: &[u8],
) -> Served<()> {
    let mut queue = R::new(ram, &config.layout())?;
    queue.disable_kicks();
    let mut chain = Chain::default();
    // From another program: no server here leaves any. Their frames are lost, but not the buffers.
    while !unfinished.is_empty() {
        queue.retake(&mut unfinished, &mut chain)?;
        queue.give_back(&chain, 0);
    }
    post.publish(&mut queue);
    let served = server.serve(&mut queue, post);
    post.publish(&mut queue);
    served
}

impl Shared {
    /// The system calls of a thread that serves the queue directly.
    pub(super) fn direct_filter<S: Server>(&self, server: &S, wake: RawFd) -> Result<Filter> {
        let signaled = [vec![self.call.as_raw_fd(), wake], server.signals()].concat();
        let fds = DirectFds { read: [self.kick.as_raw_fd(), self.control.as_raw_fd()], signaled };
        Filter::direct(&fds, &server.calls())
    }
}

fn is_readable(fd: RawFd) -> bool {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: a valid entry, and a timespec that outlives the call.
    unsafe { libc::ppoll(&mut entry, 1, &timespec(0), ptr::null()) == 1 }
}

fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}
