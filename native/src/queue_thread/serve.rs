//! The loop of a queue thread: takes requests from the ring, lets the worker carry them out with io_uring, and returns
//! them. Kicks are suppressed while there is work, or may be some soon.
//!
//! A request is carried out in steps of bounded size, and the kernel's share at a time is bounded too: a driver may
//! request any amount of data, but the host works on a small part of it at a time, and a stop waits for no more than
//! that. What a limit doesn't allow yet stays in the driver's ring.

use super::kernel::{Completion, Kernel, Served, Waited, slots};
use super::needs::{self, Needs};
use super::worker::{Next, Outcome, Parting, Worker};
use super::{Shared, pack};
use crate::clock::now_ns;
use crate::counters::{Block, queue as words};
use crate::epoll;
use crate::image::DiskError;
use crate::memory::GuestRam;
use crate::queue::{Broken, Chain, Ring};
use crate::spin::Spin;
use io_uring::{IoUring, types};
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// The longest spin for the next request or completion before sleeping.
const SPIN_NS: u64 = 50_000;
/// After this long without a request, memory that large ones needed is freed.
const IDLE_NS: u64 = 1_000_000_000;
/// Buffers for which an idle slot keeps memory.
pub const KEPT_BUFFERS: usize = 8;

/// What the loop borrows.
pub struct Context<'r, W> {
    pub worker: &'r W,
    pub needs: &'r Needs,
    pub shared: &'r Shared,
    pub counters: Block,
    /// Notifies the machine thread of a disk error.
    pub report: &'r dyn Fn(),
}

impl<W> Clone for Context<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Context<'_, W> {}

/// How the loop ended.
pub struct End {
    /// The chains that were taken and not given back.
    pub unfinished: Vec<u8>,
    /// Another loop serves the queue from here.
    pub goes_on: bool,
}

/// A slot for a request.
struct Slot<'m, W: Worker> {
    chain: Chain<'m>,
    request: W::Request<'m>,
    in_progress: bool,
    taken_ns: u64,
    /// Cost of its operation in the kernel.
    cost: u64,
}

/// A wait for a limit: when it began and when it ends.
struct Throttled {
    since: u64,
    until: u64,
}

/// A request delayed by a limit.
struct Held {
    slot: u16,
    since: u64,
    until: u64,
}

pub struct Loop<'m, 'r, R: Ring<'m>, W: Worker> {
    kernel: Kernel<'r>,
    queue: R,
    ram: &'m GuestRam,
    context: Context<'r, W>,
    slots: Vec<Slot<'m, W>>,
    free: Vec<u16>,
    /// Requests whose next step waits until others have ended, because of its cost.
    ready: VecDeque<u16>,
    /// Requests that wait for part of the pool, or for an event source.
    waiting: VecDeque<u16>,
    held: Vec<Held>,
    pool: W::Pool,
    throttled: Option<Throttled>,
    spin: Spin,
    stopping: bool,
    /// Another loop uses the io_uring after this one.
    goes_on: bool,
    /// There is memory to free when idle.
    bulky: bool,
    completions: Vec<Completion>,
}

impl<'m, 'r, R: Ring<'m>, W: Worker> Loop<'m, 'r, R, W> {
    /// A queue of `size` in `ram`.
    pub fn new(
        ring: &'r mut IoUring,
        queue: R,
        ram: &'m GuestRam,
        size: u32,
        context: Context<'r, W>,
    ) -> Self {
        let count = slots(size) as u16;
        let slot = |_| Slot {
            chain: Chain::default(),
            request: W::Request::default(),
            in_progress: false,
            taken_ns: 0,
            cost: 0,
        };
        Loop {
            kernel: Kernel::new(ring, context.shared),
            queue,
            ram,
            context,
            slots: (0..count).map(slot).collect(),
            free: (0..count).rev().collect(),
            ready: VecDeque::new(),
            waiting: VecDeque::new(),
            held: Vec::new(),
            pool: W::Pool::default(),
            throttled: None,
            spin: Spin::new(SPIN_NS),
            stopping: false,
            goes_on: false,
            bulky: false,
            completions: Vec::with_capacity(2 * usize::from(count)),
        }
    }

    /// Serves the queue until it is asked to stop or guest memory changes, beginning with the chains in
    /// `unfinished`, which were taken before. Then no request begins a new step; once none is in the kernel,
    /// returns the unfinished ones.
    pub fn run(&mut self, unfinished: &[u8]) -> Served<End> {
        self.kernel.await_control();
        for (index, file) in (0..).zip(&self.context.needs.sources) {
            self.kernel.await_source(index, *file);
        }
        self.queue.disable_kicks();
        self.retake_requests(unfinished)?;
        loop {
            self.collect();
            self.release_held();
            // Makes room first: nothing is taken while requests are ready. What the kernel
            // completed was complete by now.
            let now = if self.ready.is_empty() { None } else { Some(now_ns()) };
            self.begin_steps(now);
            self.take_requests()?;
            self.notify_driver();
            self.kernel.submit()?;
            if self.stopping && !self.kernel.is_busy() {
                self.goes_on = !self.context.shared.stop.load(SeqCst);
                self.part()?;
                return Ok(End { unfinished: self.unfinished(), goes_on: self.goes_on });
            }
            let can_take = self.can_take();
            if !self.work() && !self.spin(can_take) {
                self.sleep(can_take)?;
            }
        }
    }

    /// Waits until work begun outside the ring has ended, too.
    fn part(&mut self) -> Served<()> {
        for Parting { ticket, first_file } in self.context.worker.part(!self.goes_on) {
            while !ticket.has_ended() {
                self.kernel.await_file(needs::file(first_file + ticket.file()));
                while self.kernel.awaits_file() {
                    self.kernel.wait(None)?;
                    self.kernel.take_completions(&mut Vec::new());
                }
            }
        }
        Ok(())
    }

    /// Does a part of the worker's own work, if some is due. Returns whether it was.
    fn work(&self) -> bool {
        let Context { worker, .. } = self.context;
        let is_due = !self.stopping && worker.due().is_some_and(|due| due <= now_ns());
        if is_due {
            self.context.counters.add(words::BYTES_FROM_GUEST, worker.work(self.ram));
        }
        is_due
    }

    /// Returns whether there is something to do soon.
    fn spin(&mut self, can_take: bool) -> bool {
        let Loop { spin, kernel, queue, .. } = self;
        // While the queue is throttled, only the kernel can have news.
        let worthwhile = self.throttled.is_none() || kernel.is_busy();
        worthwhile && spin.until(|| kernel.has_completions() || (can_take && queue.has_available()))
    }

    /// Requests stay in the driver's ring while enough of them wait here.
    fn can_take(&self) -> bool {
        let room = !self.free.is_empty() && self.ready.is_empty() && !self.kernel.is_full();
        room && !self.stopping && self.throttled.is_none()
    }

    /// Waits in the kernel for a completion, a kick, the end of a throttled time, the worker's own work, or the handle.
    fn sleep(&mut self, can_take: bool) -> Served<()> {
        if can_take {
            if self.queue.enable_kicks() {
                self.queue.disable_kicks();
                return Ok(());
            }
            self.kernel.await_kick();
        }
        let idle = self.bulky && self.free.len() == self.slots.len();
        let held = self.held.iter().map(|held| held.until);
        let throttled = self.throttled.as_ref().map(|throttled| throttled.until);
        let due = if self.stopping { None } else { self.context.worker.due() };
        let limited = held.chain(throttled).chain(due).min();
        let limit = limited.map(|until| until.saturating_sub(now_ns())).or(idle.then_some(IDLE_NS));
        let waited = self.kernel.wait(limit.map(timespec).as_ref())?;
        if waited == Waited::TimedOut && limited.is_none() {
            self.shrink();
        }
        self.queue.disable_kicks();
        Ok(())
    }

    /// Retakes what was taken in an earlier run of the queue, without charging limits again.
    fn retake_requests(&mut self, mut unfinished: &[u8]) -> Served<()> {
        while !unfinished.is_empty() {
            let retake =
                |queue: &mut R, chain: &mut Chain<'m>| queue.retake(&mut unfinished, chain).map(|()| true);
            if self.take_request(now_ns(), retake)?.is_none() {
                return Err(Broken("left more chains unfinished than a queue takes".into()).into());
            }
        }
        self.count_in_flight();
        Ok(())
    }

    /// Takes what the driver offers while there are free slots. Bounded, so that a driver that keeps offering
    /// can't starve completions.
    fn take_requests(&mut self) -> Served<()> {
        self.end_throttled();
        let mut taken = 0;
        let mut now = 0;
        for _ in 0..self.slots.len() {
            if !self.can_take() {
                break;
            }
            if now == 0 && self.queue.has_available() {
                now = now_ns();
            }
            if now > 0 && self.must_wait(now) {
                break;
            }
            let Some(bytes) = self.take_offered(now)? else { break };
            if let Some(limiter) = self.context.worker.limiter() {
                limiter.take(bytes, now);
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

    /// Takes the next chain that the driver offers, if any, like `take_request`. A chain that may have been offered
    /// after guest memory changed is left to the loop that has the new memory.
    fn take_offered(&mut self, now: u64) -> Served<Option<u64>> {
        let shared = self.context.shared;
        let bytes = self.take_request(now, |queue, chain| {
            let before = queue.position();
            let taken = queue.take(chain);
            if shared.has_memory_changed() {
                queue.put_back(before);
                return Ok(false);
            }
            taken
        })?;
        if shared.has_memory_changed() && !self.stopping {
            self.stop();
        }
        Ok(bytes)
    }

    /// Whether a limit makes the next chain, if any, wait in the ring.
    fn must_wait(&mut self, now: u64) -> bool {
        let wait = self.context.worker.limiter().map_or(0, |limiter| limiter.wait(now));
        if wait == 0 || !self.queue.has_available() {
            return false;
        }
        self.throttled = Some(Throttled { since: now, until: now.saturating_add(wait) });
        self.context.counters.add(words::THROTTLED, 1);
        true
    }

    /// Ends a throttled time that has passed.
    fn end_throttled(&mut self) {
        let Some(throttled) = &self.throttled else { return };
        let now = now_ns();
        if now >= throttled.until || self.stopping {
            self.context.counters.add(words::THROTTLED_NS, now - throttled.since);
            self.throttled = None;
        }
    }

    /// Delays a request whose next step a limit does not allow before `until`.
    fn hold(&mut self, slot: u16, until: u64) {
        self.context.counters.add(words::THROTTLED, 1);
        self.held.push(Held { slot, since: now_ns(), until });
    }

    /// Retries the requests that have been delayed long enough.
    fn release_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let now = now_ns();
        let Loop { held, ready, context, .. } = self;
        held.retain(|Held { slot, since, until }| {
            let over = *until <= now;
            if over {
                context.counters.add(words::THROTTLED_NS, now.saturating_sub(*since));
                ready.push_back(*slot);
            }
            !over
        });
    }

    /// Begins the request whose chain `take` puts into a free slot. Returns the bytes that it counts for, or None if
    /// there was none.
    fn take_request(
        &mut self,
        now: u64,
        take: impl FnOnce(&mut R, &mut Chain<'m>) -> std::result::Result<bool, Broken>,
    ) -> Served<Option<u64>> {
        let Some(&index) = self.free.last() else { return Ok(None) };
        let slot = &mut self.slots[usize::from(index)];
        if !take(&mut self.queue, &mut slot.chain)? {
            return Ok(None);
        }
        let bytes = self.context.worker.begin(&mut slot.chain, &mut slot.request)?;
        slot.in_progress = true;
        slot.taken_ns = now;
        self.bulky |= slot.chain.descriptors as usize > KEPT_BUFFERS;
        self.free.pop();
        self.ready.push_back(index);
        self.begin_steps(None);
        Ok(Some(bytes))
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
                Completion::Control => self.controlled(),
                Completion::Source(index) => {
                    self.ready.append(&mut self.waiting);
                    if !self.stopping {
                        self.kernel.await_source(index, self.context.needs.sources[usize::from(index)]);
                    }
                }
                Completion::Request { slot, result } => self.answered(slot, result),
            }
        }
        self.completions = completions;
    }

    /// Reacts to the handle: stops, or notices that guest memory or the limits have changed.
    fn controlled(&mut self) {
        self.context.shared.control.drain();
        if self.context.shared.stop.load(SeqCst) || self.context.shared.has_memory_changed() {
            self.stop();
            return;
        }
        if let Some(throttled) = &mut self.throttled {
            throttled.until = 0;
        }
        self.held.iter_mut().for_each(|held| held.until = 0);
        self.kernel.await_control();
    }

    /// No request begins a new step from now on.
    fn stop(&mut self) {
        self.stopping = true;
        self.kernel.cancel();
    }

    fn answered(&mut self, index: u16, result: i32) {
        let slot = &mut self.slots[usize::from(index)];
        self.kernel.ended(slot.cost);
        self.context.worker.completed(&slot.chain, &mut slot.request, result);
        self.ready.push_back(index);
    }

    /// Begins the next steps of ready requests, in turn, as far as the costs allow. Requests that are finished count as
    /// finished at `now`, or when they end if it is None.
    fn begin_steps(&mut self, now: Option<u64>) {
        while !self.kernel.is_full() || self.stopping {
            let Some(index) = self.ready.pop_front() else { break };
            let slot = &mut self.slots[usize::from(index)];
            match self.context.worker.next(&slot.chain, &mut slot.request, &mut self.pool) {
                Next::Finished => self.finish(index, now),
                // The request stays unfinished.
                _ if self.stopping => {}
                Next::Submit(entry, cost) => {
                    slot.cost = cost;
                    self.kernel.begin(index, entry, cost);
                }
                Next::Wait => self.waiting.push_back(index),
                Next::Hold(until) => self.hold(index, until),
                Next::Pause(error) => self.note(error),
            }
        }
    }

    fn finish(&mut self, index: u16, now: Option<u64>) {
        let Context { worker, counters, .. } = self.context;
        let slot = &mut self.slots[usize::from(index)];
        let outcome = worker.end(&slot.chain, &mut slot.request, &mut self.pool);
        let Outcome { written, to_guest, from_guest, failed, error, freed } = outcome;
        self.queue.give_back(&slot.chain, written);
        slot.in_progress = false;
        counters.add(words::BYTES_TO_GUEST, to_guest);
        counters.add(words::BYTES_FROM_GUEST, from_guest);
        counters.add(words::ERRORS, failed.into());
        let took = now.unwrap_or_else(now_ns).saturating_sub(slot.taken_ns);
        counters.histogram(words::LATENCY, took);
        counters.add(words::LATENCY_NS, took);
        if let Some(error) = error {
            self.note(error);
        }
        self.free.push(index);
        if freed {
            self.bulky = true;
            self.ready.extend(self.waiting.pop_front());
        }
    }

    fn note(&self, error: DiskError) {
        self.context.counters.add(words::DISK_ERRORS, 1);
        if self.context.shared.errors.note(error) {
            (self.context.report)();
        }
    }

    /// The chains that were taken and not given back.
    fn unfinished(&self) -> Vec<u8> {
        let mut saved = Vec::new();
        let taken = self.slots.iter().filter(|slot| slot.in_progress);
        taken.for_each(|slot| self.queue.save(&slot.chain, &mut saved));
        saved
    }

    /// Publishes the completed requests, and interrupts the driver if it asked for an interrupt.
    fn notify_driver(&mut self) {
        let Context { shared, counters, .. } = self.context;
        shared.position.store(pack(self.queue.position()), Relaxed);
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

    /// Frees the memory that large requests needed. No request is in flight.
    fn shrink(&mut self) {
        self.bulky = false;
        self.context.worker.shrink_pool(&mut self.pool);
        for slot in &mut self.slots {
            slot.chain.clear();
            slot.chain.shrink(KEPT_BUFFERS);
            self.context.worker.shrink(&mut slot.request);
        }
    }
}

impl<'m, R: Ring<'m>, W: Worker> Drop for Loop<'m, '_, R, W> {
    fn drop(&mut self) {
        if self.kernel.drain().is_err() {
            // The kernel may still write to the buffers: leak them.
            std::mem::forget((std::mem::take(&mut self.slots), std::mem::take(&mut self.pool)));
        }
        if !self.goes_on {
            self.kernel.release_files();
        }
        if !self.kernel.is_abandoned() {
            self.context.counters.set(words::IN_FLIGHT, 0);
        }
    }
}

fn timespec(ns: u64) -> types::Timespec {
    types::Timespec::new().sec(ns / 1_000_000_000).nsec((ns % 1_000_000_000) as u32)
}
