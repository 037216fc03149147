//! The machine thread waits here. vCPU and queue threads post events with atomics; the waiter checks those
//! first, spins briefly if the next exit is probably near, and only then sleeps in epoll, where the first post
//! wakes it through an eventfd.

#[cfg(test)]
mod tests;

use crate::clock::now_ns;
use crate::epoll::{Epoll, EventFd, Ready, drain};
use crate::errno::{Errno, Result};
use crate::event::{Event, kind};
use crate::mailbox::Mailbox;
use crate::spin::Spin;
use crate::sync::lock;
use crate::vcpu::{Carried, Ran};
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

pub const MAX_VCPUS: usize = 64;
/// A vCPU that was in KVM for less than this before its exit is expected to exit again as soon.
const NEAR_NS: u64 = 30_000;
/// The longest spin for the next exit. Long enough for a vCPU that must first be woken for its answer.
const SPIN_NS: u64 = 50_000;
/// Under a constant stream of posts, fds are still checked once per this many waits.
const FD_TURN: u32 = 8;
const READY_FDS: usize = 32;

/// Bits of `Posted::other`.
const QUEUE: u32 = 1;
const CLOSED: u32 = 2;

/// Written by posting threads and checked by the waiting thread.
#[derive(Default)]
#[repr(align(128))]
struct Posted {
    /// One bit per vCPU with events in its mailbox.
    vcpus: AtomicU64,
    other: AtomicU32,
    /// The machine thread sleeps, or is about to: a post must signal `wake`.
    sleeping: AtomicBool,
}

#[derive(Clone, Copy)]
struct Watch {
    token: u64,
    drain: bool,
}

/// The source of queue threads' events: that a queue is no longer served, and disk errors.
pub trait QueueEvents: Send + Sync {
    /// An event that has not been reported yet.
    fn next_event(&self) -> Option<Event>;
}

pub struct Reactor {
    mailboxes: [Mailbox; MAX_VCPUS],
    posted: Posted,
    wake: EventFd,
    epoll: Epoll,
    watches: Mutex<HashMap<RawFd, Watch>>,
    waiter: Mutex<Waiter>,
}

/// State used only by the waiting thread.
struct Waiter {
    spin: Spin,
    /// The last wait returned an exit of a vCPU that had been in KVM only briefly.
    exit_near: bool,
    waits: u32,
}

impl Reactor {
    pub fn new() -> Result<Reactor> {
        let (wake, epoll) = (EventFd::new()?, Epoll::new()?);
        epoll.add(wake.as_raw_fd(), Ready::Readable)?;
        Ok(Reactor {
            mailboxes: [const { Mailbox::new() }; MAX_VCPUS],
            posted: Posted::default(),
            wake,
            epoll,
            watches: Mutex::default(),
            waiter: Mutex::new(Waiter { spin: Spin::new(SPIN_NS), exit_near: false, waits: 0 }),
        })
    }

    /// The fd that posting threads write to.
    pub fn wake_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    pub fn mailbox(&self, vcpu: usize) -> &Mailbox {
        &self.mailboxes[vcpu]
    }

    /// Signals events in a vCPU's mailbox. May be called in a signal handler.
    pub fn post_vcpu(&self, vcpu: usize) {
        self.posted.vcpus.fetch_or(1 << vcpu, SeqCst);
        self.wake_sleeper();
    }

    /// Signals that a queue has an event. May be called in a signal handler.
    pub fn post_queue(&self) {
        self.post_other(QUEUE);
    }

    /// Makes the current wait and all later ones fail with ECANCELED.
    pub fn close(&self) {
        self.post_other(CLOSED);
    }

    /// Reports `fd` while it is ready; with `drain` it is an eventfd that is drained for the event. Calling it again
    /// with the same token changes what the fd is watched for.
    pub fn watch(&self, fd: RawFd, token: u64, ready: Ready, drain: bool) -> Result<()> {
        let mut watches = lock(&self.watches);
        match self.epoll.add(fd, ready) {
            Err(Errno(libc::EEXIST)) if watches.get(&fd).is_some_and(|watch| watch.token == token) => {
                self.epoll.modify(fd, ready)?
            }
            result => result?,
        }
        watches.insert(fd, Watch { token, drain });
        Ok(())
    }

    pub fn unwatch(&self, fd: RawFd) -> Result<()> {
        let known = lock(&self.watches).remove(&fd).is_some();
        // A closed fd has already left the epoll set.
        let _ = self.epoll.remove(fd);
        if known { Ok(()) } else { Err(Errno(libc::ENOENT)) }
    }

    /// Wakes the waiting thread, or makes the machine thread leave the guest that it runs.
    pub fn interrupt(&self) {
        self.wake_sleeper();
    }

    /// Makes readable the eventfd that all waits include.
    pub fn wake(&self) {
        self.wake.signal();
    }

    /// Waits until an fd is ready, without taking any event; at most `timeout_ns` (None: forever).
    pub fn await_fds(&self, timeout_ns: Option<u64>) -> Result<()> {
        self.epoll.wait(&mut [MaybeUninit::uninit()], timeout_ns).map(|_| ())
    }

    /// Fills `out` with events, waiting at most until `deadline_ns` (None for forever, 0 for not at all) for the first,
    /// and running the vCPU `carried` in the meantime. Only one thread may wait at a time.
    pub fn wait(
        &self,
        out: &mut [Event],
        deadline_ns: Option<u64>,
        queues: &dyn QueueEvents,
        carried: Option<&Carried>,
    ) -> Result<usize> {
        if out.is_empty() {
            return Err(Errno(libc::EINVAL));
        }
        let mut waiter = self.waiter.try_lock().map_err(|_| Errno(libc::EBUSY))?;
        let mut batch = Batch { out, filled: 0 };
        loop {
            self.take_posted(&mut batch, queues)?;
            if batch.filled == 0 && std::mem::take(&mut waiter.exit_near) {
                // With as many vCPUs as CPUs, one of them may be waiting for this CPU.
                waiter.spin.until_yielding(|| self.has_posted());
                self.take_posted(&mut batch, queues)?;
            }
            if batch.filled > 0 {
                waiter.exit_near = self.is_exit_near(&batch);
                waiter.waits = waiter.waits.wrapping_add(1);
                if waiter.waits % FD_TURN == 0 {
                    self.take_fds(&mut batch, Some(0))?;
                }
                return Ok(batch.filled);
            }
            if let Some(carried) = carried
                && deadline_ns != Some(0)
            {
                match self.run(carried, deadline_ns) {
                    Ran::Exit(exit) => {
                        batch.push(exit);
                        return Ok(batch.filled);
                    }
                    Ran::Interrupted => {
                        self.take_fds(&mut batch, Some(0))?;
                        if batch.filled == 0 && !self.has_posted() && is_over(deadline_ns) {
                            return Ok(0);
                        }
                        continue;
                    }
                    Ran::Idle => {}
                }
            }
            let left = deadline_ns.map(|at| if at == 0 { 0 } else { at.saturating_sub(now_ns()) });
            self.sleep(&mut batch, left)?;
            if batch.filled == 0 && !self.has_posted() && left == Some(0) {
                return Ok(0);
            }
        }
    }

    /// Runs the guest in place of sleeping: a post interrupts it as it would wake a sleeper.
    fn run(&self, carried: &Carried, deadline_ns: Option<u64>) -> Ran {
        self.posted.sleeping.store(true, SeqCst);
        let ran = if self.has_posted() { Ran::Interrupted } else { carried.run(deadline_ns) };
        // A post that sees the old value causes a needless wake-up at worst.
        self.posted.sleeping.store(false, Release);
        ran
    }

    pub fn is_closed(&self) -> bool {
        self.posted.other.load(SeqCst) & CLOSED != 0
    }

    fn post_other(&self, what: u32) {
        self.posted.other.fetch_or(what, SeqCst);
        self.wake_sleeper();
    }

    /// Pairs with `sleep` and `run`: either the sleeper sees the post before it sleeps, or this sees that it sleeps.
    fn wake_sleeper(&self) {
        if self.posted.sleeping.load(SeqCst) && self.posted.sleeping.swap(false, SeqCst) {
            self.wake.signal();
        }
    }

    fn has_posted(&self) -> bool {
        self.posted.vcpus.load(SeqCst) != 0 || self.posted.other.load(SeqCst) != 0
    }

    fn is_exit_near(&self, batch: &Batch) -> bool {
        let exits = batch.out[..batch.filled].iter().filter(|event| event.kind == kind::EXIT);
        exits.map(|exit| self.mailboxes[exit.index as usize].ran_ns()).any(|ran| ran < NEAR_NS)
    }

    fn take_posted(&self, batch: &mut Batch, queues: &dyn QueueEvents) -> Result<()> {
        if self.posted.other.load(SeqCst) != 0 {
            self.take_other(batch, queues)?;
        }
        let waiting = self.posted.vcpus.load(SeqCst) != 0;
        let mut vcpus = if waiting { self.posted.vcpus.swap(0, SeqCst) } else { 0 };
        while vcpus != 0 {
            let vcpu = vcpus.trailing_zeros();
            if !self.mailboxes[vcpu as usize].take_news(vcpu, |event| batch.push(event)) {
                self.posted.vcpus.fetch_or(vcpus, SeqCst);
                break;
            }
            vcpus &= vcpus - 1;
        }
        Ok(())
    }

    fn take_other(&self, batch: &mut Batch, queues: &dyn QueueEvents) -> Result<()> {
        let other = self.posted.other.fetch_and(CLOSED, SeqCst);
        if other & CLOSED != 0 {
            return Err(Errno(libc::ECANCELED));
        }
        if other & QUEUE != 0 {
            while batch.has_room() {
                match queues.next_event() {
                    Some(event) => batch.push(event),
                    None => return Ok(()),
                };
            }
            self.posted.other.fetch_or(QUEUE, SeqCst);
        }
        Ok(())
    }

    fn sleep(&self, batch: &mut Batch, timeout_ns: Option<u64>) -> Result<()> {
        self.posted.sleeping.store(true, SeqCst);
        let timeout_ns = if self.has_posted() { Some(0) } else { timeout_ns };
        let result = self.take_fds(batch, timeout_ns);
        self.posted.sleeping.store(false, SeqCst);
        result
    }

    fn take_fds(&self, batch: &mut Batch, timeout_ns: Option<u64>) -> Result<()> {
        let mut ready = [const { MaybeUninit::uninit() }; READY_FDS];
        let room = batch.room().min(READY_FDS);
        if room == 0 {
            return Ok(());
        }
        let ready = self.epoll.wait(&mut ready[..room], timeout_ns)?;
        for entry in ready {
            let fd = entry.u64 as RawFd;
            if fd == self.wake.as_raw_fd() {
                self.wake.drain();
                continue;
            }
            let watch = lock(&self.watches).get(&fd).copied();
            let Some(watch) = watch else { continue };
            let count = if watch.drain { drain(fd) } else { 0 };
            if watch.drain && count == 0 {
                continue;
            }
            batch.push(Event { kind: kind::FD, index: 0, data: watch.token, aux: count });
        }
        Ok(())
    }
}

fn is_over(deadline_ns: Option<u64>) -> bool {
    deadline_ns.is_some_and(|at| at <= now_ns())
}

/// The caller's events, filled from the front.
struct Batch<'a> {
    out: &'a mut [Event],
    filled: usize,
}

impl Batch<'_> {
    fn room(&self) -> usize {
        self.out.len() - self.filled
    }

    fn has_room(&self) -> bool {
        self.room() > 0
    }

    fn push(&mut self, event: Event) -> bool {
        let room = self.has_room();
        if room {
            self.out[self.filled] = event;
            self.filled += 1;
        }
        room
    }
}
