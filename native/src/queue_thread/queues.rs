//! The virtqueues of one VM that are served by native threads, by handle.

use super::{QueueThread, Stopped};
use crate::counters::NO_COUNTERS;
use crate::errno::{Errno, Result};
use crate::event::{BROKEN_BY_GUEST, Event, THREAD_DIED, kind};
use crate::image::DiskErrors;
use crate::memory::GuestRam;
use crate::reactor::QueueEvents;
use crate::sync::lock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The longest wait for a thread while holding the table's lock.
const STOP_SLICE: Duration = Duration::from_millis(10);

struct Entry {
    queue: QueueThread,
    /// Its QUEUE_BROKEN event has been reported.
    broken_reported: bool,
    /// Its QUEUE_ENDED event has been reported.
    end_reported: bool,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<u32, Entry>,
    /// Stopped queues whose threads are still in a disk request.
    stuck: Vec<QueueThread>,
    /// Handles are never reused, so an event can't refer to a later queue.
    next: u32,
    closed: bool,
}

#[derive(Default)]
pub struct Queues(Mutex<Table>);

impl Queues {
    /// Adds the queue that `start` creates. EBUSY if another one uses the same counter slot, EINPROGRESS if that one is
    /// stuck.
    pub fn add(&self, counter_slot: u32, start: impl FnOnce() -> Result<QueueThread>) -> Result<u32> {
        let mut table = lock(&self.0);
        if table.closed {
            return Err(Errno(libc::ECANCELED));
        }
        table.forget_ended();
        let is_same = |queue: &QueueThread| queue.counter_slot == counter_slot && counter_slot != NO_COUNTERS;
        if table.entries.values().any(|entry| is_same(&entry.queue)) {
            return Err(Errno(libc::EBUSY));
        }
        if table.stuck.iter().any(is_same) {
            return Err(Errno(libc::EINPROGRESS));
        }
        let handle = table.next;
        table.next =
            handle.checked_add(1).filter(|next| *next <= i32::MAX as u32).ok_or(Errno(libc::ENFILE))?;
        table.entries.insert(handle, Entry { queue: start()?, broken_reported: false, end_reported: false });
        Ok(handle)
    }

    /// Asks the queue's thread to end, without waiting: a QUEUE_ENDED event follows. Returns whether it had already
    /// ended, so that the caller must signal the event.
    pub fn request_stop(&self, handle: u32) -> Result<bool> {
        let table = lock(&self.0);
        if table.closed {
            return Ok(false);
        }
        let queue = &table.get(handle)?.queue;
        queue.request_stop();
        Ok(queue.has_ended())
    }

    /// Makes all threads serve their queues from other memory.
    pub fn use_memory(&self, ram: &Arc<GuestRam>) {
        lock(&self.0).entries.values().for_each(|entry| entry.queue.use_memory(ram.clone()));
    }

    /// Asks all threads to end, so that waiting for them one by one takes no longer than for one.
    pub fn request_stop_of_all(&self) {
        lock(&self.0).entries.values().for_each(|entry| entry.queue.request_stop());
    }

    /// Asks the thread to end and waits for that, at most `limit`. Returns where it stopped and forgets the queue; None
    /// if it hasn't ended, or `close` has come first.
    pub fn stop(&self, handle: u32, limit: Duration) -> Result<Option<Stopped>> {
        let deadline = Instant::now() + limit;
        loop {
            // The queue stays in the table, so that `close` finds it.
            let mut table = lock(&self.0);
            if table.closed {
                return Ok(None);
            }
            let queue = table.get_mut(handle)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if queue.end_within(left.min(STOP_SLICE)) {
                let stopped = queue.stopped();
                table.entries.remove(&handle);
                return Ok(Some(stopped));
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Forgets the queue and abandons its thread if that is stuck in a disk request. Returns where it stopped if it has
    /// ended instead.
    pub fn abandon(&self, handle: u32) -> Result<Option<Stopped>> {
        let mut table = lock(&self.0);
        if table.closed {
            return Ok(None);
        }
        let mut queue = table.entries.remove(&handle).ok_or(Errno(libc::ENOENT))?.queue;
        if queue.abandon() {
            return Ok(Some(queue.stopped()));
        }
        table.stuck.push(queue);
        Ok(None)
    }

    /// Why a queue is no longer served; empty while it is.
    pub fn error(&self, handle: u32) -> Result<String> {
        let table = lock(&self.0);
        Ok(table.get(handle)?.queue.failure().map(|(_, text)| text).unwrap_or_default())
    }

    /// Fills in its unreported kinds of disk errors, or, at the end of a period, those that have recurred. Returns
    /// their number.
    pub fn disk_errors(&self, handle: u32, end_period: bool, out: &mut [DiskErrors]) -> Result<usize> {
        let table = lock(&self.0);
        if table.closed {
            return Ok(0);
        }
        let errors = table.get(handle)?.queue.errors();
        Ok(if end_period { errors.end_period(out) } else { errors.take_new(out) })
    }

    /// Ends all threads except those that are stuck in a disk request.
    pub fn close(&self) {
        let entries = {
            let mut table = lock(&self.0);
            table.closed = true;
            std::mem::take(&mut table.entries)
        };
        entries.values().for_each(|entry| entry.queue.request_stop());
        for (_, Entry { mut queue, .. }) in entries {
            if !queue.end() {
                lock(&self.0).stuck.push(queue);
            }
        }
    }

    /// Counter slots of the queues that are stuck in a disk request.
    pub fn stuck(&self) -> Vec<u32> {
        let mut table = lock(&self.0);
        table.forget_ended();
        table.stuck.iter().map(|queue| queue.counter_slot).filter(|slot| *slot != NO_COUNTERS).collect()
    }

    /// After `close`: the queues whose threads are still running.
    pub fn take_stuck(&self) -> Vec<QueueThread> {
        let mut table = lock(&self.0);
        table.forget_ended();
        std::mem::take(&mut table.stuck)
    }
}

impl Table {
    fn get(&self, handle: u32) -> Result<&Entry> {
        self.entries.get(&handle).ok_or(Errno(libc::ENOENT))
    }

    fn get_mut(&mut self, handle: u32) -> Result<&mut QueueThread> {
        self.entries.get_mut(&handle).map(|entry| &mut entry.queue).ok_or(Errno(libc::ENOENT))
    }

    fn forget_ended(&mut self) {
        self.stuck.retain_mut(|queue| !queue.has_left());
    }
}

impl QueueEvents for Queues {
    fn next_event(&self) -> Option<Event> {
        let mut table = lock(&self.0);
        // So that an abandoned queue's disk is closed as soon as its thread has ended.
        table.forget_ended();
        table.entries.iter_mut().find_map(|(handle, entry)| {
            let event = |kind, data| Event { kind, index: *handle, data, aux: 0 };
            if entry.queue.errors().has_new() {
                return Some(event(kind::DISK_ERRORS, 0));
            }
            if let Some((by_guest, _)) = entry.queue.failure().filter(|_| !entry.broken_reported) {
                entry.broken_reported = true;
                return Some(event(kind::QUEUE_BROKEN, if by_guest { BROKEN_BY_GUEST } else { THREAD_DIED }));
            }
            if entry.queue.has_stopped() && !entry.end_reported {
                entry.end_reported = true;
                return Some(event(kind::QUEUE_ENDED, 0));
            }
            None
        })
    }
}
