//! The virtqueues of one VM that are served by native threads, by handle.

use crate::blk::BlkQueue;
use crate::errno::{Errno, Result};
use crate::event::{BROKEN_BY_GUEST, Event, THREAD_DIED, kind};
use crate::queue::Position;
use crate::reactor::BrokenQueues;
use crate::sync::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;

struct Entry {
    queue: BlkQueue,
    /// Its QUEUE_BROKEN event has been reported.
    reported: bool,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<u32, Entry>,
    /// Handles are never reused, so an event can't refer to a later queue.
    next: u32,
    closed: bool,
}

#[derive(Default)]
pub struct Queues(Mutex<Table>);

impl Queues {
    /// Adds the queue that `start` creates, unless another one uses the same counter slot.
    pub fn add(&self, counter_slot: u32, start: impl FnOnce() -> Result<BlkQueue>) -> Result<u32> {
        let mut table = lock(&self.0);
        if table.closed {
            return Err(Errno(libc::ECANCELED));
        }
        if table.entries.values().any(|entry| entry.queue.counter_slot == counter_slot) {
            return Err(Errno(libc::EBUSY));
        }
        let handle = table.next;
        table.next =
            handle.checked_add(1).filter(|next| *next <= i32::MAX as u32).ok_or(Errno(libc::ENFILE))?;
        table.entries.insert(handle, Entry { queue: start()?, reported: false });
        Ok(handle)
    }

    /// Waits for the requests in flight and ends the thread. Returns its position.
    pub fn stop(&self, handle: u32) -> Result<Position> {
        let entry = lock(&self.0).entries.remove(&handle).ok_or(Errno(libc::ENOENT))?;
        Ok(entry.queue.join())
    }

    /// Why a queue is no longer served; empty while it is.
    pub fn error(&self, handle: u32) -> Result<String> {
        let table = lock(&self.0);
        let entry = table.entries.get(&handle).ok_or(Errno(libc::ENOENT))?;
        Ok(entry.queue.failure().map(|(_, text)| text).unwrap_or_default())
    }

    /// Ends all threads.
    pub fn close(&self) {
        let entries = {
            let mut table = lock(&self.0);
            table.closed = true;
            std::mem::take(&mut table.entries)
        };
        entries.values().for_each(|entry| entry.queue.request_stop());
        drop(entries);
    }
}

impl BrokenQueues for Queues {
    fn next_broken(&self) -> Option<Event> {
        let mut table = lock(&self.0);
        table.entries.iter_mut().filter(|(_, entry)| !entry.reported).find_map(|(handle, entry)| {
            let (by_guest, _) = entry.queue.failure()?;
            entry.reported = true;
            let data = if by_guest { BROKEN_BY_GUEST } else { THREAD_DIED };
            Some(Event { kind: kind::QUEUE_BROKEN, index: *handle, data, aux: 0 })
        })
    }
}
