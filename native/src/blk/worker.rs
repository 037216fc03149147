//! The loop of a queue thread: takes requests from the ring, moves the data between disk and guest memory
//! with io_uring, and returns the requests. Kicks are suppressed while there is work, or may soon be some.

use super::bounce::BouncePool;
use super::disk::Disk;
use super::request::{STATUS_OK, parse};
use super::slot::{Next, Slot};
use super::uring::errno;
use crate::clock::now_ns;
use crate::counters::{Block, queue as words};
use crate::epoll;
use crate::errno::{Errno, Result};
use crate::queue::{Broken, Position, SplitQueue};
use crate::spin::Spin;
use io_uring::{IoUring, opcode, squeue, types};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use vm_memory::Bytes;

/// The longest spin for the next request or completion before sleeping.
const SPIN_NS: u64 = 50_000;
const MAX_IN_FLIGHT: u32 = 256;
/// Entries for the two polls, besides those of requests.
const POLL_ENTRIES: u32 = 2;

/// `user_data` of the polls; for requests it is the slot's number.
const KICK: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;

/// Why a queue is no longer served.
pub enum Fault {
    Broken(Broken),
    Failed(Errno),
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Fault {
        Fault::Broken(broken)
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault::Failed(errno)
    }
}

/// The most requests in flight for a queue of `size`.
pub fn slots(size: u32) -> u32 {
    size.clamp(1, MAX_IN_FLIGHT)
}

pub fn ring_entries(size: u32) -> u32 {
    slots(size) + POLL_ENTRIES
}

/// The eventfds of a queue: the driver's kick, its interrupt, and the request to stop.
#[derive(Clone, Copy)]
pub struct Signals {
    pub kick: RawFd,
    pub call: RawFd,
    pub stop: RawFd,
}

pub struct Worker<'m, 'r> {
    ring: &'r mut IoUring,
    queue: SplitQueue<'m>,
    disk: &'m Disk,
    signals: Signals,
    counters: Block,
    /// Called after every change, so that the position is known even if the thread dies.
    on_position: &'r dyn Fn(Position),
    slots: Vec<Slot<'m>>,
    free: Vec<u16>,
    awaiting_bounce: VecDeque<u16>,
    pool: BouncePool,
    spin: Spin,
    /// Requests that the kernel has.
    submitted: usize,
    kick_armed: bool,
    stopping: bool,
    results: Vec<(u64, i32)>,
}

impl<'m, 'r> Worker<'m, 'r> {
    pub fn new(
        ring: &'r mut IoUring,
        queue: SplitQueue<'m>,
        size: u32,
        disk: &'m Disk,
        signals: Signals,
        counters: Block,
        on_position: &'r dyn Fn(Position),
    ) -> Worker<'m, 'r> {
        let count = slots(size) as u16;
        Worker {
            ring,
            queue,
            disk,
            signals,
            counters,
            on_position,
            slots: (0..count).map(|_| Slot::default()).collect(),
            free: (0..count).rev().collect(),
            awaiting_bounce: VecDeque::new(),
            pool: BouncePool::default(),
            spin: Spin::new(SPIN_NS),
            submitted: 0,
            kick_armed: false,
            stopping: false,
            results: Vec::with_capacity(2 * usize::from(count)),
        }
    }

    /// Serves the queue until the stop eventfd is signaled and nothing is in flight.
    pub fn run(&mut self) -> std::result::Result<(), Fault> {
        self.enqueue(poll(self.signals.stop, STOP));
        self.queue.disable_kicks();
        loop {
            self.collect();
            if !self.stopping {
                self.take_requests()?;
            }
            self.tell_driver();
            self.submit(0)?;
            if self.stopping && self.free.len() == self.slots.len() {
                return Ok(());
            }
            let can_take = !self.stopping && !self.free.is_empty();
            let Worker { spin, ring, queue, .. } = self;
            if !spin.until(|| has_completions(ring) || (can_take && queue.has_available())) {
                self.sleep(can_take)?;
            }
        }
    }

    /// Waits in the kernel for a completion, a kick or a stop request.
    fn sleep(&mut self, can_take: bool) -> Result<()> {
        if can_take {
            if self.queue.enable_kicks() {
                self.queue.disable_kicks();
                return Ok(());
            }
            if !self.kick_armed {
                self.enqueue(poll(self.signals.kick, KICK));
                self.kick_armed = true;
            }
        }
        self.submit(1)?;
        self.queue.disable_kicks();
        Ok(())
    }

    /// Takes what the driver offers while there are free slots. Bounded, so that a driver that keeps offering
    /// can't starve completions.
    fn take_requests(&mut self) -> std::result::Result<(), Fault> {
        let mut taken = 0;
        let mut now = 0;
        for _ in 0..self.slots.len() {
            let Some(&index) = self.free.last() else { break };
            let slot = &mut self.slots[usize::from(index)];
            if !self.queue.take(&mut slot.chain)? {
                break;
            }
            if taken == 0 {
                now = now_ns();
            }
            let (operation, status) = parse(&mut slot.chain, self.disk)?;
            slot.start(operation, status, now);
            self.free.pop();
            taken += 1;
            self.advance(index);
        }
        if taken > 0 {
            self.counters.add(words::BATCHES, 1);
            self.counters.add(words::REQUESTS, taken);
            self.counters.add(words::KICKS_SUPPRESSED, u64::from(!self.queue.forget_kick()));
            self.count_in_flight();
        }
        Ok(())
    }

    /// Handles the available completions.
    fn collect(&mut self) {
        let mut results = std::mem::take(&mut self.results);
        results.extend(self.ring.completion().map(|entry| (entry.user_data(), entry.result())));
        for (user_data, result) in results.drain(..) {
            match user_data {
                KICK => {
                    self.kick_armed = false;
                    self.counters.add(words::KICKS, epoll::drain(self.signals.kick));
                }
                STOP => self.stopping = true,
                slot => self.answered(slot as u16, result),
            }
        }
        self.results = results;
    }

    fn answered(&mut self, index: u16, result: i32) {
        self.submitted -= 1;
        match self.slots[usize::from(index)].answered(result) {
            Some(status) => self.finish(index, status),
            None => self.advance(index),
        }
    }

    /// Executes the next step of the request in slot `index`.
    fn advance(&mut self, index: u16) {
        match self.slots[usize::from(index)].next(self.disk, &mut self.pool) {
            Next::Submit(entry) => {
                self.enqueue(entry.user_data(index.into()));
                self.submitted += 1;
            }
            Next::AwaitBounce => self.awaiting_bounce.push_back(index),
            Next::Finished(status) => self.finish(index, status),
        }
    }

    fn finish(&mut self, index: u16, status: u8) {
        let slot = &mut self.slots[usize::from(index)];
        let (to_guest, from_guest) = slot.moved();
        if let Some(byte) = slot.status.take() {
            byte.write_obj(status, 0).expect("one byte");
        }
        // After an error the data doesn't count, only the status.
        let written = if status == STATUS_OK { to_guest as u32 + 1 } else { 1 };
        self.queue.give_back(slot.chain.head, written);
        self.counters.add(words::BYTES_TO_GUEST, to_guest);
        self.counters.add(words::BYTES_FROM_GUEST, from_guest);
        self.counters.add(words::ERRORS, u64::from(status != STATUS_OK));
        let took = now_ns() - slot.taken_ns;
        self.counters.histogram(words::LATENCY, took);
        self.counters.add(words::LATENCY_NS, took);
        self.free.push(index);
        if let Some(bounce) = slot.release_bounce() {
            self.pool.give_back(bounce);
            if let Some(waiting) = self.awaiting_bounce.pop_front() {
                self.advance(waiting);
            }
        }
    }

    /// Publishes the completed requests, and interrupts the driver if it asked for that.
    fn tell_driver(&mut self) {
        let position = self.queue.position();
        (self.on_position)(position);
        if !self.queue.publish() {
            return;
        }
        self.count_in_flight();
        if self.queue.wants_interrupt() {
            self.counters.add(words::INTERRUPTS, 1);
            epoll::signal(self.signals.call);
        } else {
            self.counters.add(words::INTERRUPTS_SUPPRESSED, 1);
        }
    }

    fn count_in_flight(&self) {
        let in_flight = (self.slots.len() - self.free.len()) as u64;
        self.counters.set(words::IN_FLIGHT, in_flight);
        self.counters.raise(words::MAX_IN_FLIGHT, in_flight);
    }

    fn enqueue(&mut self, entry: squeue::Entry) {
        // SAFETY: the entry points to data of a slot, which doesn't touch it until the kernel has completed
        // the operation, and outlives that (see `Drop`); guest memory outlives the thread.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.expect("an entry for each slot and poll");
    }

    /// Submits new entries and lets the kernel post completions; waits for `wanted` of them.
    fn submit(&mut self, wanted: usize) -> Result<()> {
        if wanted == 0 && self.ring.submission().is_empty() && !self.ring.submission().taskrun() {
            return Ok(());
        }
        match self.ring.submit_and_wait(wanted).map_err(|error| errno(&error)) {
            // Interrupted, or temporarily out of memory: entries not taken stay queued for the next call.
            Ok(_) | Err(Errno(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Waits until the kernel no longer uses any buffer, without touching the driver's ring.
    fn drain(&mut self) -> Result<()> {
        while self.submitted > 0 {
            self.submit(1)?;
            let answered = self.ring.completion().filter(|entry| entry.user_data() < STOP).count();
            self.submitted -= answered;
        }
        Ok(())
    }
}

impl Drop for Worker<'_, '_> {
    fn drop(&mut self) {
        if self.drain().is_err() {
            // The kernel may still write to the buffers: leak them.
            std::mem::forget(std::mem::take(&mut self.slots));
        }
        self.counters.set(words::IN_FLIGHT, 0);
    }
}

fn has_completions(ring: &mut IoUring) -> bool {
    !ring.completion().is_empty() || ring.submission().taskrun()
}

/// Completes once `fd` is readable.
fn poll(fd: RawFd, user_data: u64) -> squeue::Entry {
    opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).build().user_data(user_data)
}
