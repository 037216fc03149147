//! The control queue of virtio-scsi (virtio 1.3 §5.6.6.2): task management, and asynchronous notification.

use super::controller::Controller;
use super::event_queue::MEDIA_CHANGE;
use super::tasks::{Cut, TaskId};
use super::unit::{Address, Unit};
use super::worker::response;
use crate::queue::{Broken, Chain};
use crate::queue_thread::{Needs, Next, Outcome, Worker};
use crate::seccomp::Call;
use std::os::fd::AsRawFd;
use std::sync::Arc;

const TASK_MANAGEMENT: u32 = 0;
const QUERY_NOTIFICATION: u32 = 1;
const SUBSCRIBE_NOTIFICATION: u32 = 2;

/// {le32 type, le32 subtype, u8 lun[8], le64 id} and {u8 response}
const MANAGEMENT_BYTES: usize = 24;
/// {le32 type, u8 lun[8], le32 event_requested} and {le32 event_actual, u8 response}
const NOTIFICATION_BYTES: usize = 16;

mod function {
    pub const ABORT_TASK: u32 = 0;
    pub const ABORT_TASK_SET: u32 = 1;
    pub const CLEAR_ACA: u32 = 2;
    pub const CLEAR_TASK_SET: u32 = 3;
    pub const I_T_NEXUS_RESET: u32 = 4;
    pub const LOGICAL_UNIT_RESET: u32 = 5;
    pub const QUERY_TASK: u32 = 6;
    pub const QUERY_TASK_SET: u32 = 7;
}

const FUNCTION_COMPLETE: u8 = 0;
const FUNCTION_SUCCEEDED: u8 = 10;
const FUNCTION_REJECTED: u8 = 11;
const INCORRECT_LUN: u8 = 12;

pub struct ControlWorker(pub Arc<Controller>);

#[derive(Default)]
pub struct Request {
    /// Commands that must have ended first.
    awaited: Vec<(Arc<Unit>, TaskId)>,
    answer: Vec<u8>,
}

impl ControlWorker {
    /// Ends commands of the units early.
    fn cut(&self, units: &[Arc<Unit>], tag: Option<u64>, cut: Cut, request: &mut Request) {
        for unit in units {
            let ids = unit.tasks.cut(tag, cut);
            request.awaited.extend(ids.into_iter().map(|id| (unit.clone(), id)));
        }
        // Those that wait for a limit check again.
        self.0.wake_queues();
    }

    /// SAM-5 §7.
    fn manage(&self, function: u32, address: Address, tag: u64, request: &mut Request) -> u8 {
        let Some(units) = self.addressed(function, address) else {
            return if self.0.has_target(address.target) { INCORRECT_LUN } else { response::BAD_TARGET };
        };
        let has = |tag| units.iter().any(|unit| unit.tasks.has_tag(tag));
        let found = |is_there| if is_there { FUNCTION_SUCCEEDED } else { FUNCTION_COMPLETE };
        match function {
            function::ABORT_TASK => self.cut(&units, Some(tag), Cut::Aborted, request),
            function::ABORT_TASK_SET | function::CLEAR_TASK_SET => {
                self.cut(&units, None, Cut::Aborted, request);
            }
            function::I_T_NEXUS_RESET | function::LOGICAL_UNIT_RESET => {
                units.iter().for_each(|unit| unit.reset());
                self.cut(&units, None, Cut::Reset, request);
            }
            // No command establishes an ACA condition.
            function::CLEAR_ACA => {}
            function::QUERY_TASK => return found(has(Some(tag))),
            function::QUERY_TASK_SET => return found(has(None)),
            _ => return FUNCTION_REJECTED,
        }
        FUNCTION_COMPLETE
    }

    /// The units that a function applies to: all of a target for a reset of the I_T nexus.
    fn addressed(&self, function: u32, address: Address) -> Option<Vec<Arc<Unit>>> {
        match function {
            function::I_T_NEXUS_RESET => {
                Some(self.0.units(Some(address.target))).filter(|units| !units.is_empty())
            }
            _ => self.0.unit(address).map(|unit| vec![unit]),
        }
    }

    fn notification(&self, kind: u32, address: Option<Address>, requested: u32) -> Vec<u8> {
        let unit = address.and_then(|address| self.0.unit(address));
        let (actual, response) = match unit {
            None => (0, response::BAD_TARGET),
            Some(unit) => {
                let offered = if unit.identity.removable { MEDIA_CHANGE } else { 0 };
                let actual = requested & offered;
                if kind == SUBSCRIBE_NOTIFICATION {
                    unit.drive(|drive| drive.subscribed = actual & MEDIA_CHANGE != 0);
                }
                (actual, response::OK)
            }
        };
        [&actual.to_le_bytes()[..], &[response]].concat()
    }
}

impl Worker for ControlWorker {
    const NAME: &'static str = "scsi-ct";
    type Request<'m> = Request;
    type Pool = ();

    fn needs(&self) -> Needs {
        let ended = self.0.task_ended.as_raw_fd();
        Needs {
            files: vec![ended],
            sources: vec![0],
            calls: vec![Call::read_eventfd(ended), Call::signal_eventfd(self.0.machine_fd())],
            ..Needs::default()
        }
    }

    fn begin<'m>(&self, chain: &mut Chain<'m>, request: &mut Request) -> Result<u64, Broken> {
        request.awaited.clear();
        let too_short = || Broken("made a control request that is too short".into());
        let mut kind = [0; 4];
        if chain.readable.copy_to(0, &mut kind) < kind.len() {
            return Err(too_short());
        }
        let kind = u32::from_le_bytes(kind);
        let mut bytes = [0; MANAGEMENT_BYTES];
        let word =
            |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let address =
            |bytes: &[u8], at: usize| Address::decode(bytes[at..at + 8].try_into().expect("eight bytes"));
        let room = match kind {
            TASK_MANAGEMENT => {
                if !chain.readable.take_front(&mut bytes) {
                    return Err(too_short());
                }
                let tag = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes"));
                let answer = match address(&bytes, 8) {
                    Some(address) => self.manage(word(&bytes, 4), address, tag, request),
                    None => response::BAD_TARGET,
                };
                request.answer = vec![answer];
                1
            }
            QUERY_NOTIFICATION | SUBSCRIBE_NOTIFICATION => {
                let bytes = &mut bytes[..NOTIFICATION_BYTES];
                if !chain.readable.take_front(bytes) {
                    return Err(too_short());
                }
                request.answer = self.notification(kind, address(bytes, 4), word(bytes, 12));
                5
            }
            // Only what all answers share: a response, the last byte.
            _ => {
                request.answer = vec![response::FAILURE];
                1
            }
        };
        match chain.writable.len() < room {
            true => Err(Broken("made a control request without room for its answer".into())),
            false => Ok(0),
        }
    }

    fn next<'m>(&self, _: &Chain<'m>, request: &mut Request, _: &mut ()) -> Next {
        if request.awaited.is_empty() {
            return Next::Finished;
        }
        // Drained before checking, so that commands that end later signal again.
        self.0.task_ended.drain();
        request.awaited.retain(|(unit, id)| unit.tasks.has(*id));
        if request.awaited.is_empty() { Next::Finished } else { Next::Wait }
    }

    fn completed<'m>(&self, _: &Chain<'m>, _: &mut Request, _: i32) {}

    fn end<'m>(&self, chain: &Chain<'m>, request: &mut Request, _: &mut ()) -> Outcome {
        let written = chain.writable.copy_from(0, &request.answer);
        Outcome { written: written as u32, to_guest: written as u64, ..Outcome::default() }
    }

    fn shrink(&self, request: &mut Request) {
        request.awaited = Vec::new();
    }

    fn shrink_pool(&self, _: &mut ()) {}
}
