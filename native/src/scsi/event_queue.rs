//! The event queue of virtio-scsi (virtio 1.3 §5.6.6.3): the controller's unsolicited notifications to its driver.

use super::controller::Controller;
use super::unit::{Address, Unit};
use crate::epoll::EventFd;
use crate::errno::Result;
use crate::queue::{Broken, Chain};
use crate::queue_thread::{Needs, Next, Outcome, Worker};
use crate::seccomp::Call;
use crate::sync::lock;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

/// {le32 event, u8 lun[8], le32 reason}
const EVENT_BYTES: usize = 16;
/// Set in `event` when earlier ones were lost.
const EVENTS_MISSED: u32 = 0x8000_0000;
const NO_EVENT: u32 = 0;
const ASYNC_NOTIFY: u32 = 2;
/// The event bit that a driver can subscribe to (§5.6.6.2).
pub const MEDIA_CHANGE: u32 = 16;
/// The most events that await a buffer.
const MAX_PENDING: usize = 64;

#[derive(Clone, Copy)]
struct Event {
    kind: u32,
    address: Address,
    reason: u32,
}

#[derive(Default)]
struct Pending {
    events: VecDeque<Event>,
    missed: bool,
}

pub struct Events {
    pending: Mutex<Pending>,
    /// Signaled when there is an event.
    ready: EventFd,
}

impl Events {
    pub fn new() -> Result<Events> {
        Ok(Events { pending: Mutex::default(), ready: EventFd::new()? })
    }

    pub fn fd(&self) -> RawFd {
        self.ready.as_raw_fd()
    }

    /// Sends an event (`VIRTIO_SCSI_T_*`) to the driver as soon as it provides a buffer.
    pub fn push(&self, kind: u32, address: Address, reason: u32) {
        let mut pending = lock(&self.pending);
        if pending.events.len() < MAX_PENDING {
            pending.events.push_back(Event { kind, address, reason });
        } else {
            pending.missed = true;
        }
        drop(pending);
        self.ready.signal();
    }

    /// Notifies the driver of a medium change if it has subscribed to that.
    pub fn medium_changed(&self, unit: &Unit) {
        if unit.drive(|drive| drive.subscribed) {
            self.push(ASYNC_NOTIFY, unit.address, MEDIA_CHANGE);
        }
    }

    /// Whether there are events that the driver has not received.
    pub fn has_any(&self) -> bool {
        let pending = lock(&self.pending);
        pending.missed || !pending.events.is_empty()
    }

    /// Drops pending events; with `missed`, the driver learns that it has missed some.
    pub fn reset(&self, missed: bool) {
        *lock(&self.pending) = Pending { events: VecDeque::new(), missed };
        if missed {
            self.ready.signal();
        }
    }

    /// The next event in the driver's format.
    fn take(&self) -> Option<[u8; EVENT_BYTES]> {
        let mut pending = lock(&self.pending);
        let missed = std::mem::take(&mut pending.missed);
        let event = pending.events.pop_front();
        if event.is_none() && !missed {
            return None;
        }
        let Event { kind, address, reason } =
            event.unwrap_or(Event { kind: NO_EVENT, address: Address { target: 0, lun: 0 }, reason: 0 });
        let mut bytes = [0; EVENT_BYTES];
        let flag = if missed { EVENTS_MISSED } else { 0 };
        bytes[0..4].copy_from_slice(&(kind | flag).to_le_bytes());
        if kind != NO_EVENT {
            bytes[4..12].copy_from_slice(&address.encode());
        }
        bytes[12..16].copy_from_slice(&reason.to_le_bytes());
        Some(bytes)
    }
}

/// Serves the event queue: each of its requests is a buffer for one event.
pub struct EventWorker(pub Arc<Controller>);

impl Worker for EventWorker {
    const NAME: &'static str = "scsi-ev";
    type Request<'m> = [u8; EVENT_BYTES];
    type Pool = ();

    fn needs(&self) -> Needs {
        let ready = self.0.events.fd();
        Needs {
            files: vec![ready],
            sources: vec![0],
            calls: vec![Call::read_eventfd(ready)],
            ..Needs::default()
        }
    }

    fn begin<'m>(
        &self,
        chain: &mut Chain<'m>,
        _: &mut Self::Request<'m>,
    ) -> std::result::Result<u64, Broken> {
        match chain.writable.len() < EVENT_BYTES as u64 {
            true => Err(Broken("gave a buffer that is too small for an event".into())),
            false => Ok(0),
        }
    }

    fn next<'m>(&self, _: &Chain<'m>, request: &mut Self::Request<'m>, _: &mut ()) -> Next {
        let events = &self.0.events;
        // Drained before checking, so that later events signal again.
        events.ready.drain();
        match events.take() {
            Some(event) => {
                *request = event;
                Next::Finished
            }
            None => Next::Wait,
        }
    }

    fn completed<'m>(&self, _: &Chain<'m>, _: &mut Self::Request<'m>, _: i32) {}

    fn end<'m>(&self, chain: &Chain<'m>, request: &mut Self::Request<'m>, _: &mut ()) -> Outcome {
        chain.writable.copy_from(0, request);
        Outcome { written: EVENT_BYTES as u32, to_guest: EVENT_BYTES as u64, ..Outcome::default() }
    }

    fn shrink(&self, _: &mut Self::Request<'_>) {}

    fn shrink_pool(&self, _: &mut ()) {}
}
