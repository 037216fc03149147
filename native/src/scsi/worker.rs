//! The request queues of virtio-scsi (virtio 1.3 §5.6.6.1).

use super::command::{Action, CDB_BYTES, Command, DiskAction, Refusal, Transfer};
use super::controller::Controller;
use super::inquiry;
use super::medium::Medium;
use super::sense::{self, Sense, key};
use super::tasks::{Cut, TaskId};
use super::unit::{Address, Unit};
use crate::clock::now_ns;
use crate::image::{
    Access, BouncePool, Direction, DiskError, DiskOperation, DiskRequest, OPERATIONS, SECTOR, Step,
};
use crate::limiter::Limiter;
use crate::queue::{Broken, Buffers, Chain};
use crate::queue_thread::{Needs, Next, Outcome, Parting, Worker};
use crate::seccomp::Call;
use std::sync::Arc;

/// {u8 lun[8], le64 id, u8 task_attr, u8 prio, u8 crn}, then the CDB.
const HEADER_BYTES: usize = 19;
/// {le32 sense_len, le32 residual, le16 status_qualifier, u8 status, u8 response}, then the sense data.
const STATUS_BYTES: u64 = 12;

/// Values of `response`.
pub mod response {
    pub const OK: u8 = 0;
    pub const OVERRUN: u8 = 1;
    pub const ABORTED: u8 = 2;
    pub const BAD_TARGET: u8 = 3;
    pub const RESET: u8 = 4;
    pub const FAILURE: u8 = 9;
}

const GOOD: u8 = 0x00;
const CHECK_CONDITION: u8 = 0x02;

const INQUIRY: u8 = 0x12;
const REPORT_LUNS: u8 = 0xa0;
const REQUEST_SENSE: u8 = 0x03;

/// The largest CDB size that a driver may set.
const MAX_CDB_BYTES: usize = 255;
/// Slices for which an idle request keeps memory.
const KEPT_BUFFERS: usize = 2;
/// The most bytes of a WRITE SAME that one disk request writes.
const FILL_BYTES: u64 = 1 << 20;

pub struct ScsiWorker {
    controller: Arc<Controller>,
}

/// A request in progress.
#[derive(Default)]
pub struct Request<'m> {
    /// Buffers for its outcome.
    status_at: Buffers<'m>,
    /// Bytes of all its data buffers.
    data_bytes: u64,
    task: Option<(Arc<Unit>, TaskId)>,
    work: Work,
    disk: DiskRequest,
    /// The block of a WRITE SAME, repeated as often as one disk request writes it.
    blocks: Buffers<'m>,
    /// Its rate limit allows it.
    allowed: bool,
    /// Start time on the monotonic clock.
    began_ns: u64,
}

#[derive(Default)]
enum Work {
    Disk {
        direction: Direction,
        transfer: Transfer,
    },
    /// `done` bytes have been written.
    Fill {
        transfer: Transfer,
        done: u64,
    },
    /// Data for the driver.
    Reply(Vec<u8>),
    /// The command has ended.
    Over(Verdict),
    #[default]
    None,
}

/// The outcome reported to the driver for a command that moves no data.
#[derive(Clone, Copy)]
enum Verdict {
    Good,
    Sense(Sense),
    /// One of `response`.
    Response(u8),
}

/// The decoded work of a CDB, and the disk operation that it needs.
type Decoded = (Work, Option<DiskOperation>);

impl ScsiWorker {
    pub fn new(controller: Arc<Controller>) -> ScsiWorker {
        ScsiWorker { controller }
    }

    /// Decodes a command, whose data buffers are the rest of the chain.
    fn decode<'m>(
        &self,
        header: &[u8; HEADER_BYTES],
        cdb: [u8; CDB_BYTES],
        chain: &Chain<'m>,
        request: &mut Request<'m>,
    ) -> Decoded {
        // Both directions at once would need VIRTIO_SCSI_F_INOUT.
        if chain.readable.len() > 0 && chain.writable.len() > 0 {
            return over(Verdict::Response(response::FAILURE));
        }
        let field = header[0..8].try_into().expect("eight bytes");
        let tag = u64::from_le_bytes(header[8..16].try_into().expect("eight bytes"));
        let Some(address) = Address::decode(&field) else {
            return over(Verdict::Response(response::BAD_TARGET));
        };
        let Some(unit) = self.controller.unit(address) else { return self.absent(address, cdb, chain) };
        let id = unit.tasks.begin(tag);
        let decoded = self.run(&unit, cdb, chain);
        request.task = Some((unit, id));
        decoded
    }

    fn run(&self, unit: &Unit, cdb: [u8; CDB_BYTES], chain: &Chain) -> Decoded {
        let (data_out, data_in) = (&chain.readable, chain.writable.len());
        let command = Command { controller: &self.controller, unit, cdb, data_out, data_in };
        match command.run() {
            Ok(Action::Done) => over(Verdict::Good),
            Ok(Action::Reply(data)) => (Work::Reply(data), None),
            Ok(Action::Disk(DiskAction { operation, transfer })) => {
                (Work::Disk { direction: operation.direction(), transfer }, Some(operation))
            }
            Ok(Action::Fill(transfer)) => {
                let start = transfer.start;
                (Work::Fill { transfer, done: 0 }, Some(DiskOperation::Write(start)))
            }
            Err(Refusal::Sense(sense)) => over(Verdict::Sense(sense)),
            Err(Refusal::Overrun) => over(Verdict::Response(response::OVERRUN)),
        }
    }

    /// A command to an address without a unit (SPC-4 §5.12): its target may have others, which the command may list.
    fn absent(&self, address: Address, cdb: [u8; CDB_BYTES], chain: &Chain) -> Decoded {
        let units = self.controller.units(Some(address.target));
        let Some(other) = units.first() else { return over(Verdict::Response(response::BAD_TARGET)) };
        let reply = |data: Vec<u8>, allocation: u16| match u64::from(allocation) > chain.writable.len() {
            true => over(Verdict::Response(response::OVERRUN)),
            false => (Work::Reply(data.into_iter().take(allocation.into()).collect()), None),
        };
        match cdb[0] {
            INQUIRY if cdb[1] & 1 == 0 => reply(inquiry::absent(), u16::from_be_bytes([cdb[3], cdb[4]])),
            REQUEST_SENSE => reply(sense::UNIT_NOT_SUPPORTED.encode(cdb[1] & 1 != 0), cdb[4].into()),
            REPORT_LUNS => self.run(other, cdb, chain),
            _ => over(Verdict::Sense(sense::UNIT_NOT_SUPPORTED)),
        }
    }
}

fn over(verdict: Verdict) -> Decoded {
    (Work::Over(verdict), None)
}

impl Worker for ScsiWorker {
    const NAME: &'static str = "scsi";
    type Request<'m> = Request<'m>;
    type Pool = BouncePool;

    fn needs(&self) -> Needs {
        Needs {
            table: Some(self.controller.files.clone()),
            operations: OPERATIONS.to_vec(),
            calls: self.controller.written_by_requests().map(Call::signal_eventfd).to_vec(),
            ..Needs::default()
        }
    }

    fn part(&self, ends: bool) -> Vec<Parting> {
        let media = self.controller.units(None).into_iter().filter_map(|unit| unit.loaded());
        let parting = |medium: Arc<Medium>| {
            let ticket = medium.image.part(ends)?;
            Some(Parting { ticket, first_file: medium.first_file })
        };
        media.filter_map(parting).collect()
    }

    fn limiters(&self) -> Vec<Arc<Limiter>> {
        self.controller.limiters()
    }

    fn begin<'m>(&self, chain: &mut Chain<'m>, request: &mut Request<'m>) -> Result<u64, Broken> {
        let (cdb_size, sense_size) = self.controller.sizes();
        let mut header = [0; HEADER_BYTES];
        let mut given = [0; MAX_CDB_BYTES];
        let given = &mut given[..cdb_size as usize];
        if !chain.readable.take_front(&mut header) || !chain.readable.take_front(given) {
            return Err(Broken("made a SCSI request without a whole command".into()));
        }
        request.status_at.clear();
        if !chain.writable.move_front(STATUS_BYTES + u64::from(sense_size), &mut request.status_at) {
            return Err(Broken("made a SCSI request without room for its outcome".into()));
        }
        let mut cdb = [0; CDB_BYTES];
        let len = given.len().min(CDB_BYTES);
        cdb[..len].copy_from_slice(&given[..len]);
        request.data_bytes = chain.readable.len() + chain.writable.len();
        request.allowed = false;
        request.began_ns = now_ns();
        let (work, operation) = self.decode(&header, cdb, chain, request);
        match &work {
            Work::Disk { transfer, .. } => {
                chain.readable.truncate(transfer.len);
                chain.writable.truncate(transfer.len);
                request.disk.at_files(transfer.medium.first_file);
            }
            Work::Fill { transfer, .. } => {
                let (unit, _) = request.task.as_ref().expect("a unit with blocks");
                repeat(&chain.readable, unit.identity.block.into(), transfer.len, &mut request.blocks);
                request.disk.at_files(transfer.medium.first_file);
            }
            _ => {}
        }
        request.work = work;
        request.disk.start(operation);
        // The limits are the media's; `next` checks them.
        Ok(0)
    }

    fn next<'m>(&self, chain: &Chain<'m>, request: &mut Request<'m>, pool: &mut BouncePool) -> Next {
        let (transfer, bytes) = match &request.work {
            Work::Disk { transfer, direction: Direction::None } => (transfer, 0),
            Work::Disk { transfer, .. } | Work::Fill { transfer, .. } => (transfer, transfer.len),
            _ => return Next::Finished,
        };
        if let Some((unit, id)) = &request.task
            && let Some(cut) = unit.tasks.cut_of(*id)
        {
            let response = if cut == Cut::Reset { response::RESET } else { response::ABORTED };
            self.give_up(&mut request.work, Verdict::Response(response));
            return Next::Finished;
        }
        if transfer.medium.is_removed() {
            self.give_up(&mut request.work, Verdict::Sense(sense::NO_MEDIUM));
            return Next::Finished;
        }
        let limiter = &transfer.medium.limiter;
        if !request.allowed && limiter.is_active() {
            let now = now_ns();
            let wait = limiter.wait(now);
            if wait > 0 {
                return Next::Hold(now.saturating_add(wait));
            }
            limiter.take(bytes, now);
        }
        request.allowed = true;
        match self.next_step(chain, request, pool) {
            Step::Submit(entry, cost) => Next::Submit(entry, cost),
            Step::AwaitBounce => Next::Wait,
            Step::Pause(error) => {
                let disk = request.task.as_ref().map_or(0, |(unit, _)| unit.number());
                Next::Pause(DiskError { disk, ..error })
            }
            Step::Finished => Next::Finished,
        }
    }

    fn completed<'m>(&self, chain: &Chain<'m>, request: &mut Request<'m>, result: i32) {
        let Request { work, disk, blocks, .. } = request;
        match work {
            Work::Disk { direction, .. } => disk.completed(data(*direction, chain), result),
            Work::Fill { .. } => disk.completed(blocks, result),
            _ => {}
        }
    }

    fn end<'m>(&self, chain: &Chain<'m>, request: &mut Request<'m>, pool: &mut BouncePool) -> Outcome {
        let work = std::mem::take(&mut request.work);
        let task = request.task.take();
        let disk_error = request.disk.take_error();
        let failed = request.disk.has_failed();
        let mut outcome = Outcome { freed: request.disk.release_bounce(pool), ..Outcome::default() };
        let verdict = match &work {
            Work::Disk { transfer, .. } | Work::Fill { transfer, .. } if failed => {
                let (unit, _) = task.as_ref().expect("a unit with a disk");
                outcome.error = disk_error
                    .filter(|_| !transfer.medium.is_removed())
                    .map(|error| DiskError { disk: unit.number(), ..error });
                failure(outcome.error, unit)
            }
            Work::Over(verdict) => *verdict,
            Work::None => Verdict::Response(response::FAILURE),
            _ => Verdict::Good,
        };
        match &work {
            Work::Disk { direction: Direction::ToGuest, .. } => outcome.to_guest = request.disk.moved(),
            Work::Disk { direction: Direction::FromGuest, .. } => outcome.from_guest = request.disk.moved(),
            Work::Fill { .. } if !failed => outcome.from_guest = chain.readable.len(),
            Work::Reply(data) => outcome.to_guest = chain.writable.copy_from(0, data) as u64,
            _ => {}
        }
        let residual = request.data_bytes - outcome.to_guest - outcome.from_guest;
        let descriptors = task.as_ref().is_some_and(|(unit, _)| unit.modes().descriptor_sense);
        write_status(&request.status_at, verdict, residual, descriptors);
        outcome.written = (request.status_at.len() + outcome.to_guest).min(u32::MAX.into()) as u32;
        outcome.failed = verdict.is_failure();
        self.release(work);
        if let Some((unit, id)) = task {
            unit.count(&outcome, now_ns().saturating_sub(request.began_ns));
            if unit.tasks.end(id) {
                self.controller.task_ended.signal();
            }
        }
        outcome
    }

    fn shrink(&self, request: &mut Request<'_>) {
        request.disk.shrink();
        request.status_at.clear();
        request.status_at.shrink(KEPT_BUFFERS);
        request.blocks.clear();
        request.blocks.shrink(0);
    }

    fn shrink_pool(&self, pool: &mut BouncePool) {
        pool.shrink();
    }
}

impl ScsiWorker {
    /// Ends a command that may not take another step.
    fn give_up(&self, work: &mut Work, verdict: Verdict) {
        self.release(std::mem::replace(work, Work::Over(verdict)));
    }

    /// Releases a command's resources. The last user of a removed medium signals that.
    fn release(&self, work: Work) {
        let removed = match &work {
            Work::Disk { transfer, .. } | Work::Fill { transfer, .. } => transfer.medium.is_removed(),
            _ => false,
        };
        drop(work);
        if removed {
            self.controller.signal_machine();
        }
    }

    fn next_step<'m>(&self, chain: &Chain<'m>, request: &mut Request<'m>, pool: &mut BouncePool) -> Step {
        let Request { work, disk, blocks, .. } = request;
        match work {
            Work::Disk { direction, transfer } => {
                disk.next(&*transfer.medium.image, data(*direction, chain), transfer.durable, pool)
            }
            Work::Fill { transfer, done } => loop {
                let step = disk.next(&*transfer.medium.image, blocks, transfer.durable, pool);
                if !matches!(step, Step::Finished) || disk.has_failed() {
                    return step;
                }
                *done += blocks.len();
                if *done >= transfer.len {
                    return Step::Finished;
                }
                blocks.truncate(transfer.len - *done);
                disk.start(Some(DiskOperation::Write(transfer.start + *done)));
            },
            _ => Step::Finished,
        }
    }
}

/// Fills `blocks` with the first `block` bytes of `data`, repeated as often as they fit into `len` bytes or into one
/// disk request.
fn repeat<'m>(data: &Buffers<'m>, block: u64, len: u64, blocks: &mut Buffers<'m>) {
    blocks.clear();
    while blocks.len() < len.min(FILL_BYTES) {
        let mut left = block as usize;
        for slice in data.from(0) {
            let part = slice.subslice(0, left.min(slice.len())).expect("a part of the slice");
            left -= part.len();
            if !part.is_empty() {
                blocks.push(part);
            }
        }
    }
}

fn data<'c, 'm>(direction: Direction, chain: &'c Chain<'m>) -> &'c Buffers<'m> {
    match direction {
        Direction::FromGuest | Direction::None => &chain.readable,
        Direction::ToGuest => &chain.writable,
    }
}

/// The outcome reported to the driver for a failed access.
fn failure(error: Option<DiskError>, unit: &Unit) -> Verdict {
    let Some(DiskError { access, errno, sector, .. }) = error else {
        return Verdict::Sense(sense::NO_MEDIUM);
    };
    let block = sector * SECTOR / u64::from(unit.identity.block);
    Verdict::Sense(match errno {
        libc::ENOSPC | libc::EDQUOT => sense::NO_SPACE,
        libc::ENOMEM => sense::TARGET_FAILURE,
        _ if access == Access::Read => sense::UNRECOVERED_READ.at(block),
        _ if access == Access::Flush => sense::WRITE_ERROR,
        _ => sense::WRITE_ERROR.at(block),
    })
}

impl Verdict {
    /// Normal events in the life of a drive do not count.
    fn is_failure(&self) -> bool {
        match self {
            Verdict::Good => false,
            Verdict::Sense(sense) => !matches!(sense.key, key::UNIT_ATTENTION | key::NOT_READY),
            Verdict::Response(_) => true,
        }
    }
}

/// Writes the outcome of a request (virtio 1.3 §5.6.6.1).
fn write_status(to: &Buffers, verdict: Verdict, residual: u64, descriptors: bool) {
    let (response, status, sense) = match verdict {
        Verdict::Good => (response::OK, GOOD, None),
        Verdict::Sense(sense) => (response::OK, CHECK_CONDITION, Some(sense)),
        Verdict::Response(response) => (response, GOOD, None),
    };
    let mut data = sense.map(|sense| sense.encode(descriptors)).unwrap_or_default();
    data.truncate((to.len() - STATUS_BYTES) as usize);
    let mut head = [0; STATUS_BYTES as usize];
    head[0..4].copy_from_slice(&(data.len() as u32).to_le_bytes());
    head[4..8].copy_from_slice(&u32::try_from(residual).unwrap_or(u32::MAX).to_le_bytes());
    head[10] = status;
    head[11] = response;
    to.copy_from(0, &head);
    to.copy_from(STATUS_BYTES, &data);
}
