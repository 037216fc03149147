//! A queue thread's dealings with the kernel: the operations that it has, what they cost, and waiting for them.

use super::Shared;
use super::uring::{self, errno};
use super::worker::MAX_IN_FLIGHT;
use crate::errno::{Errno, Result};
use crate::queue::Broken;
use io_uring::{IoUring, opcode, squeue, types};

/// What the kernel may work on at a time, as the sum of the operations' costs. One operation may exceed it.
const MAX_COST: u64 = 16 << 20;
/// Entries besides those of requests: the two polls, their removal, and canceling.
const OTHER_ENTRIES: u32 = 5;

/// `user_data` of the polls and of operations on other operations; for requests it is the slot's number.
const KICK: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;
const CANCEL: u64 = u64::MAX - 2;

/// Why a queue is no longer served.
pub enum Fault {
    Broken(Broken),
    Failed(Errno),
    /// Nobody waits for the thread anymore: it may no longer touch guest memory or counters.
    Abandoned,
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

pub type Served<T> = std::result::Result<T, Fault>;

/// The most requests in flight for a queue of `size`.
pub fn slots(size: u32) -> u32 {
    size.clamp(1, MAX_IN_FLIGHT)
}

pub fn ring_entries(size: u32) -> u32 {
    slots(size) + OTHER_ENTRIES
}

/// What the kernel has completed.
pub enum Completion {
    /// The driver has kicked.
    Kick,
    /// The queue is asked to stop.
    Stop,
    /// The operation of the request in this slot.
    Request { slot: u16, result: i32 },
}

#[derive(PartialEq)]
pub enum Waited {
    Enough,
    TimedOut,
}

pub struct Kernel<'r> {
    ring: &'r mut IoUring,
    shared: &'r Shared,
    /// Requests that the kernel has, and what they cost.
    submitted: usize,
    cost: u64,
    kick_armed: bool,
    stop_armed: bool,
    canceled: bool,
    abandoned: bool,
}

impl<'r> Kernel<'r> {
    pub fn new(ring: &'r mut IoUring, shared: &'r Shared) -> Kernel<'r> {
        Kernel {
            ring,
            shared,
            submitted: 0,
            cost: 0,
            kick_armed: false,
            stop_armed: false,
            canceled: false,
            abandoned: false,
        }
    }

    /// Whether it has a request.
    pub fn is_busy(&self) -> bool {
        self.submitted > 0
    }

    /// Whether it has all that it may have at a time.
    pub fn is_full(&self) -> bool {
        self.cost >= MAX_COST
    }

    /// A completion when the queue is asked to stop.
    pub fn await_stop(&mut self) {
        self.stop_armed = true;
        self.enqueue(poll(uring::STOP).user_data(STOP));
    }

    /// A completion at the next kick.
    pub fn await_kick(&mut self) {
        if !self.kick_armed {
            self.kick_armed = true;
            self.enqueue(poll(uring::KICK).user_data(KICK));
        }
    }

    /// An operation of the request in `slot`, whose buffers stay where they are until it has completed.
    pub fn begin(&mut self, slot: u16, entry: squeue::Entry, cost: u64) {
        self.submitted += 1;
        self.cost += cost;
        self.enqueue(entry.user_data(slot.into()));
    }

    /// An operation of this cost has completed.
    pub fn ended(&mut self, cost: u64) {
        self.submitted -= 1;
        self.cost -= cost;
    }

    /// Asks it to end the requests that it has, which helps with those that wait for something (Linux 5.19).
    pub fn cancel(&mut self) {
        if self.submitted > 0 && !self.canceled {
            self.canceled = true;
            let cancel = opcode::AsyncCancel2::new(types::CancelBuilder::any().all()).build();
            self.enqueue(cancel.flags(squeue::Flags::FIXED_FILE).user_data(CANCEL));
        }
    }

    pub fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty() || self.ring.submission().taskrun()
    }

    /// Adds the available completions to `to`.
    pub fn take_completions(&mut self, to: &mut Vec<Completion>) {
        for entry in self.ring.completion() {
            match entry.user_data() {
                KICK => {
                    self.kick_armed = false;
                    // Otherwise canceled.
                    if entry.result() >= 0 {
                        to.push(Completion::Kick);
                    }
                }
                STOP => {
                    self.stop_armed = false;
                    to.push(Completion::Stop);
                }
                CANCEL => {}
                slot => to.push(Completion::Request { slot: slot as u16, result: entry.result() }),
            }
        }
    }

    /// Submits new operations and lets the kernel post completions.
    pub fn submit(&mut self) -> Served<()> {
        if self.ring.submission().is_empty() && !self.ring.submission().taskrun() {
            return Ok(());
        }
        self.enter(0, None).map(|_| ())
    }

    /// Submits, and waits for a completion.
    pub fn wait(&mut self, limit: Option<&types::Timespec>) -> Served<Waited> {
        self.enter(1, limit)
    }

    fn enter(&mut self, wanted: usize, limit: Option<&types::Timespec>) -> Served<Waited> {
        let Kernel { ring, shared, .. } = self;
        let result = shared.gate.in_kernel(|| match limit {
            None => ring.submit_and_wait(wanted),
            Some(limit) => {
                ring.submitter().submit_with_args(wanted, &types::SubmitArgs::new().timespec(limit))
            }
        });
        let Some(result) = result else {
            self.abandoned = true;
            return Err(Fault::Abandoned);
        };
        match result.map_err(|error| errno(&error)) {
            // Interrupted, or temporarily out of memory: entries not taken stay queued for the next call.
            Ok(_) | Err(Errno(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => Ok(Waited::Enough),
            Err(Errno(libc::ETIME)) => Ok(Waited::TimedOut),
            Err(errno) => Err(errno.into()),
        }
    }

    fn enqueue(&mut self, entry: squeue::Entry) {
        // SAFETY: the entry points to data of a slot, which doesn't touch it until the kernel has completed
        // the operation, and outlives that (see `drain`); guest memory outlives the thread.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.expect("an entry for each slot and poll");
    }

    /// Waits until it uses neither buffers nor files, touching only what belongs to the thread.
    pub fn drain(&mut self) -> Result<()> {
        self.cancel();
        for (armed, user_data) in [(self.kick_armed, KICK), (self.stop_armed, STOP)] {
            if armed {
                let remove = opcode::PollRemove::new(user_data).build();
                self.enqueue(remove.flags(squeue::Flags::FIXED_FILE).user_data(CANCEL));
            }
        }
        let mut completions = Vec::new();
        while self.submitted > 0 || self.kick_armed || self.stop_armed {
            match self.wait(None) {
                Ok(_) | Err(Fault::Abandoned) => {}
                Err(Fault::Failed(errno)) => return Err(errno),
                Err(Fault::Broken(_)) => unreachable!("waiting takes nothing from the driver"),
            }
            self.take_completions(&mut completions);
            let requests = completions.drain(..).filter(|done| matches!(done, Completion::Request { .. }));
            self.submitted -= requests.count();
        }
        let unregistered = self.shared.gate.in_kernel(|| self.ring.submitter().unregister_files());
        self.abandoned |= unregistered.is_none();
        Ok(())
    }

    /// Whether the thread has been left behind.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned
    }
}

/// Completes once `file` is readable.
fn poll(file: types::Fixed) -> squeue::Entry {
    opcode::PollAdd::new(file, libc::POLLIN as u32).build()
}
