//! A queue thread's interface to the kernel: its operations in progress, their cost, and waiting for them.

use super::needs::{self, CONTROL, KICK};
use super::{MAX_IN_FLIGHT, Shared};
use crate::errno::{Errno, Result, errno_of};
use crate::queue::Broken;
use io_uring::{IoUring, opcode, squeue, types};

/// The most that the kernel may work on at a time, as the sum of the operations' costs. A
/// single operation may exceed it.
const MAX_COST: u64 = 16 << 20;
/// Entries in addition to those of requests and event sources: the polls for kick, control and one more file, their
/// removal, and canceling.
const OTHER_ENTRIES: u32 = 7;

/// `user_data` of the polls and of operations on other operations; for requests it is the slot's number.
const KICKED: u64 = u64::MAX;
const CONTROLLED: u64 = u64::MAX - 1;
const CANCEL: u64 = u64::MAX - 2;
const FILE: u64 = u64::MAX - 3;
/// Plus the index of the source.
const SOURCE: u64 = 1 << 32;

/// Why a queue is no longer served.
pub enum Fault {
    Broken(Broken),
    Failed(Errno),
    /// The thread was abandoned: it must no longer touch guest memory or counters.
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

/// Entries for a queue of `size` whose worker has `sources` event sources.
pub fn ring_entries(size: u32, sources: usize) -> u32 {
    slots(size) + OTHER_ENTRIES + 2 * sources as u32
}

/// What the kernel has completed.
pub enum Completion {
    /// The driver has kicked.
    Kick,
    /// The handle needs the thread's attention.
    Control,
    /// The event source with this index is readable.
    Source(u16),
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
    /// Requests that are in the kernel, and their cost.
    submitted: usize,
    cost: u64,
    kick_armed: bool,
    control_armed: bool,
    file_armed: bool,
    sources_armed: Vec<bool>,
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
            control_armed: false,
            file_armed: false,
            sources_armed: Vec::new(),
            canceled: false,
            abandoned: false,
        }
    }

    /// Whether any request is in the kernel.
    pub fn is_busy(&self) -> bool {
        self.submitted > 0
    }

    /// Whether the kernel has as much as it may have at a time.
    pub fn is_full(&self) -> bool {
        self.cost >= MAX_COST
    }

    /// Requests a completion when the handle needs attention.
    pub fn await_control(&mut self) {
        self.control_armed = true;
        self.enqueue(poll(CONTROL).user_data(CONTROLLED));
    }

    /// Requests a completion when source `index`, the file `file` of the worker, is readable.
    pub fn await_source(&mut self, index: u16, file: u16) {
        self.sources_armed.resize(self.sources_armed.len().max(usize::from(index) + 1), false);
        self.sources_armed[usize::from(index)] = true;
        self.enqueue(poll(needs::file(file)).user_data(SOURCE + u64::from(index)));
    }

    /// Notes when `file` becomes readable, for a loop that waits for nothing else.
    pub fn await_file(&mut self, file: types::Fixed) {
        self.file_armed = true;
        self.enqueue(poll(file).user_data(FILE));
    }

    pub fn awaits_file(&self) -> bool {
        self.file_armed
    }

    /// Requests a completion at the next kick.
    pub fn await_kick(&mut self) {
        if !self.kick_armed {
            self.kick_armed = true;
            self.enqueue(poll(KICK).user_data(KICKED));
        }
    }

    /// Starts an operation for the request in `slot`, whose buffers stay in place until it has completed.
    pub fn begin(&mut self, slot: u16, entry: squeue::Entry, cost: u64) {
        self.submitted += 1;
        self.cost += cost;
        self.enqueue(entry.user_data(slot.into()));
    }

    /// Notes that an operation of this cost has completed.
    pub fn ended(&mut self, cost: u64) {
        self.submitted -= 1;
        self.cost -= cost;
    }

    /// Asks the kernel to cancel its operations, which ends those that wait for an event (Linux 5.19).
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
                KICKED => {
                    self.kick_armed = false;
                    // Otherwise the poll was canceled.
                    if entry.result() >= 0 {
                        to.push(Completion::Kick);
                    }
                }
                CONTROLLED => {
                    self.control_armed = false;
                    to.push(Completion::Control);
                }
                CANCEL => {}
                FILE => self.file_armed = false,
                source @ SOURCE.. => {
                    let index = (source - SOURCE) as u16;
                    self.sources_armed[usize::from(index)] = false;
                    if entry.result() >= 0 {
                        to.push(Completion::Source(index));
                    }
                }
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
        match result.map_err(|error| errno_of(&error)) {
            // Interrupted, or temporarily out of memory: entries that were not taken stay queued for the next call.
            Ok(_) | Err(Errno(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => Ok(Waited::Enough),
            Err(Errno(libc::ETIME)) => Ok(Waited::TimedOut),
            Err(errno) => Err(errno.into()),
        }
    }

    fn enqueue(&mut self, entry: squeue::Entry) {
        // SAFETY: the entry points to a slot's data, which the slot doesn't touch until the kernel has completed the
        // operation, and which outlives that (see `drain`); guest memory outlives the thread.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.expect("an entry for each slot and poll");
    }

    /// Waits until the kernel uses neither buffers nor files, touching only what belongs to the thread.
    pub fn drain(&mut self) -> Result<()> {
        self.cancel();
        let polls = [(self.kick_armed, KICKED), (self.control_armed, CONTROLLED), (self.file_armed, FILE)];
        let sources = (0..).zip(&self.sources_armed).map(|(index, armed)| (*armed, SOURCE + index));
        let armed: Vec<_> = polls.into_iter().chain(sources).filter(|(armed, _)| *armed).collect();
        for (_, user_data) in armed {
            let remove = opcode::PollRemove::new(user_data).build();
            self.enqueue(remove.flags(squeue::Flags::FIXED_FILE).user_data(CANCEL));
        }
        let mut completions = Vec::new();
        while self.submitted > 0 || self.polls() {
            match self.wait(None) {
                Ok(_) | Err(Fault::Abandoned) => {}
                Err(Fault::Failed(errno)) => return Err(errno),
                Err(Fault::Broken(_)) => unreachable!("waiting takes nothing from the driver"),
            }
            self.take_completions(&mut completions);
            let requests = completions.drain(..).filter(|done| matches!(done, Completion::Request { .. }));
            self.submitted -= requests.count();
        }
        Ok(())
    }

    /// Unregisters the files, once nothing uses the ring any more.
    pub fn release_files(&mut self) {
        let unregistered = self.shared.gate.in_kernel(|| self.ring.submitter().unregister_files());
        self.abandoned |= unregistered.is_none();
    }

    fn polls(&self) -> bool {
        self.kick_armed || self.control_armed || self.file_armed || self.sources_armed.contains(&true)
    }

    /// Whether the thread has been abandoned.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned
    }
}

/// Completes once `file` is readable.
fn poll(file: types::Fixed) -> squeue::Entry {
    opcode::PollAdd::new(file, libc::POLLIN as u32).build()
}
