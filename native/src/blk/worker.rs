//! The loop of a queue thread: takes requests from the ring, moves the data between disk and guest memory
//! with io_uring, and returns the requests. Kicks are suppressed while there is work, or may soon be some.
//!
//! A request is carried out in steps of bounded size, and what the kernel has at a time is bounded too: a driver may ask for
//! any amount of data, but the host works on a small part of it at once, and a stop waits for no more than that.

use super::Shared;
use super::bounce::BouncePool;
use super::disk::Disk;
use super::kernel::{Completion, Kernel, Served, Waited, slots};
use super::request::{STATUS_OK, parse};
use super::slot::{KEPT_BUFFERS, Next, Slot};
use crate::clock::now_ns;
use crate::counters::{Block, queue as words};
use crate::epoll;
use crate::queue::{Broken, SplitQueue};
use crate::spin::Spin;
use io_uring::{IoUring, types};
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;
use vm_memory::Bytes;

/// The longest spin for the next request or completion before sleeping.
const SPIN_NS: u64 = 50_000;
/// After this long without a request, memory that large ones needed is given back.
const IDLE: types::Timespec = types::Timespec::new().sec(1);
/// The most requests taken and not yet returned.
pub const MAX_IN_FLIGHT: u32 = 256;

/// What a worker borrows.
#[derive(Clone, Copy)]
pub struct Context<'r> {
    pub disk: &'r Disk,
    pub shared: &'r Shared,
    pub counters: Block,
    /// Notifies the machine thread of a disk error.
    pub report: &'r dyn Fn(),
}

pub struct Worker<'m, 'r> {
    kernel: Kernel<'r>,
    queue: SplitQueue<'m>,
    context: Context<'r>,
    slots: Vec<Slot<'m>>,
    free: Vec<u16>,
    /// Requests whose next step awaits the end of others', because they cost enough.
    ready: VecDeque<u16>,
    awaiting_bounce: VecDeque<u16>,
    pool: BouncePool,
    spin: Spin,
    stopping: bool,
    /// There is memory to give back when idle.
    bulky: bool,
    completions: Vec<Completion>,
}

impl<'m, 'r> Worker<'m, 'r> {
    pub fn new(
        ring: &'r mut IoUring,
        queue: SplitQueue<'m>,
        size: u32,
        context: Context<'r>,
    ) -> Worker<'m, 'r> {
        let count = slots(size) as u16;
        Worker {
            kernel: Kernel::new(ring, context.shared),
            queue,
            context,
            slots: (0..count).map(|_| Slot::default()).collect(),
            free: (0..count).rev().collect(),
            ready: VecDeque::new(),
            awaiting_bounce: VecDeque::new(),
            pool: BouncePool::default(),
            spin: Spin::new(SPIN_NS),
            stopping: false,
            bulky: false,
            completions: Vec::with_capacity(2 * usize::from(count)),
        }
    }

    /// Serves the queue until the stop eventfd is signaled, beginning with the chains at `unfinished`, which were taken
    /// before. Then no request begins a new step; once the kernel has none of them, returns the unfinished ones.
    pub fn run(&mut self, unfinished: &[u16]) -> Served<Vec<u16>> {
        self.kernel.await_stop();
        self.queue.disable_kicks();
        for head in unfinished {
            self.take_request(now_ns(), |queue, slot| queue.retake(*head, &mut slot.chain).map(|()| true))?;
        }
        self.count_in_flight();
        loop {
            self.collect();
            self.take_requests()?;
            self.begin_steps();
            self.tell_driver();
            self.kernel.submit()?;
            if self.stopping && !self.kernel.is_busy() {
                return Ok(self.unfinished());
            }
            let can_take = self.can_take();
            let Worker { spin, kernel, queue, .. } = self;
            if !spin.until(|| kernel.has_completions() || (can_take && queue.has_available())) {
                self.sleep(can_take)?;
            }
        }
    }

    /// Requests stay in the driver's ring while enough of them are waiting here.
    fn can_take(&self) -> bool {
        !self.stopping && !self.free.is_empty() && self.ready.is_empty() && !self.kernel.is_full()
    }

    /// Waits in the kernel for a completion, a kick or a stop request.
    fn sleep(&mut self, can_take: bool) -> Served<()> {
        if can_take {
            if self.queue.enable_kicks() {
                self.queue.disable_kicks();
                return Ok(());
            }
            self.kernel.await_kick();
        }
        let idle = self.bulky && self.free.len() == self.slots.len();
        if self.kernel.wait(idle.then_some(&IDLE))? == Waited::TimedOut {
            self.shrink();
        }
        self.queue.disable_kicks();
        Ok(())
    }

    /// Takes what the driver offers while there are free slots. Bounded, so that a driver that keeps offering
    /// can't starve completions.
    fn take_requests(&mut self) -> Served<()> {
        let mut taken = 0;
        let mut now = 0;
        for _ in 0..self.slots.len() {
            if !self.can_take() {
                break;
            }
            if now == 0 && self.queue.has_available() {
                now = now_ns();
            }
            if !self.take_request(now, |queue, slot| queue.take(&mut slot.chain))? {
                break;
            }
            taken += 1;
        }
        if taken > 0 {
            self.context.counters.add(words::BATCHES, 1);
            self.context.counters.add(words::REQUESTS, taken);
            self.context.counters.add(words::KICKS_SUPPRESSED, u64::from(!self.queue.forget_kick()));
            self.count_in_flight();
        }
        Ok(())
    }

    /// Begins the request that `take` puts into a free slot. Returns whether there was one.
    fn take_request(
        &mut self,
        now: u64,
        take: impl FnOnce(&mut SplitQueue<'m>, &mut Slot<'m>) -> std::result::Result<bool, Broken>,
    ) -> Served<bool> {
        let Some(&index) = self.free.last() else { return Ok(false) };
        let slot = &mut self.slots[usize::from(index)];
        if !take(&mut self.queue, slot)? {
            return Ok(false);
        }
        let (operation, status) = parse(&mut slot.chain, self.context.disk)?;
        slot.start(operation, status, now);
        self.bulky |= slot.chain.descriptors as usize > KEPT_BUFFERS;
        self.free.pop();
        self.ready.push_back(index);
        self.begin_steps();
        Ok(true)
    }

    /// Handles the available completions.
    fn collect(&mut self) {
        let mut completions = std::mem::take(&mut self.completions);
        self.kernel.take_completions(&mut completions);
        for completion in completions.drain(..) {
            match completion {
                Completion::Kick => {
                    let kicks = epoll::drain(self.context.shared.kick.as_raw_fd());
                    self.context.counters.add(words::KICKS, kicks);
                }
                Completion::Stop => {
                    self.stopping = true;
                    self.kernel.cancel();
                }
                Completion::Request { slot, result } => self.answered(slot, result),
            }
        }
        self.completions = completions;
    }

    fn answered(&mut self, index: u16, result: i32) {
        let slot = &mut self.slots[usize::from(index)];
        self.kernel.ended(slot.cost);
        match slot.answered(result) {
            Some(status) => self.finish(index, status),
            None => self.ready.push_back(index),
        }
    }

    /// Begins the next step of the requests that are ready, in turn, as far as the costs allow it.
    fn begin_steps(&mut self) {
        while !self.kernel.is_full() || self.stopping {
            let Some(index) = self.ready.pop_front() else { break };
            let slot = &mut self.slots[usize::from(index)];
            match slot.next(self.context.disk, &mut self.pool) {
                Next::Finished(status) => self.finish(index, status),
                // It stays unfinished.
                _ if self.stopping => {}
                Next::Submit(entry, cost) => {
                    slot.cost = cost;
                    self.kernel.begin(index, entry, cost);
                }
                Next::AwaitBounce => self.awaiting_bounce.push_back(index),
            }
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
        let counters = self.context.counters;
        counters.add(words::BYTES_TO_GUEST, to_guest);
        counters.add(words::BYTES_FROM_GUEST, from_guest);
        counters.add(words::ERRORS, u64::from(status != STATUS_OK));
        let took = now_ns() - slot.taken_ns;
        counters.histogram(words::LATENCY, took);
        counters.add(words::LATENCY_NS, took);
        if let Some(error) = slot.take_error() {
            counters.add(words::DISK_ERRORS, 1);
            if self.context.shared.errors.note(error) {
                (self.context.report)();
            }
        }
        self.free.push(index);
        if let Some(bounce) = slot.release_bounce() {
            self.bulky = true;
            self.pool.give_back(bounce);
            self.ready.extend(self.awaiting_bounce.pop_front());
        }
    }

    /// The heads of the chains that were taken and not given back.
    fn unfinished(&self) -> Vec<u16> {
        let taken = self.slots.iter().filter(|slot| slot.status.is_some());
        taken.map(|slot| slot.chain.head).collect()
    }

    /// Publishes the completed requests, and interrupts the driver if it asked for that.
    fn tell_driver(&mut self) {
        let Context { shared, counters, .. } = self.context;
        shared.position.store(super::pack(self.queue.position()), Relaxed);
        if !self.queue.publish() {
            return;
        }
        self.count_in_flight();
        if self.queue.wants_interrupt() {
            counters.add(words::INTERRUPTS, 1);
            epoll::signal(shared.call.as_raw_fd());
        } else {
            counters.add(words::INTERRUPTS_SUPPRESSED, 1);
        }
    }

    fn count_in_flight(&self) {
        let in_flight = (self.slots.len() - self.free.len()) as u64;
        self.context.counters.set(words::IN_FLIGHT, in_flight);
        self.context.counters.raise(words::MAX_IN_FLIGHT, in_flight);
    }

    /// Gives back the memory that large requests needed. No request is in flight.
    fn shrink(&mut self) {
        self.bulky = false;
        self.pool.shrink();
        self.slots.iter_mut().for_each(Slot::shrink);
    }
}

impl Drop for Worker<'_, '_> {
    fn drop(&mut self) {
        if self.kernel.drain().is_err() {
            // The kernel may still write to the buffers: leak them.
            std::mem::forget((std::mem::take(&mut self.slots), std::mem::take(&mut self.pool)));
        }
        if !self.kernel.is_abandoned() {
            self.context.counters.set(words::IN_FLIGHT, 0);
        }
    }
}
