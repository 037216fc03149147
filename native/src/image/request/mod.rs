//! One request in progress to an image: what remains to be done, as io_uring operations.

mod by_port;
mod operation;
mod transfer;

use super::bounce::{BOUNCE_BYTES, Bounce, BouncePool};
use super::errors::{Access, DiskError};
use super::policy::ErrorAction;
use super::{Durability, Image, Location, Pin, Place, SECTOR, Task, Ticket, WrittenZeros};
use crate::queue::Buffers;
use crate::queue_thread;
use io_uring::{opcode, squeue, types};
pub use operation::{Direction, DiskOperation, Range};

/// The most bytes that one step deallocates or zeroes without writing them.
const RANGE_STEP_BYTES: u64 = 64 << 20;
/// The minimum cost of an operation without buffers.
const CALL_COST: u64 = 1 << 20;
/// Buffers for which an idle request keeps memory.
const KEPT_BUFFERS: usize = 8;

/// What a request needs next.
pub enum Step {
    /// The operation, and its cost in bytes, charged to the queue's budget.
    Submit(squeue::Entry, u64),
    /// Waits until a bounce buffer is free.
    AwaitBounce,
    /// The VM is paused because of this error. The request stays as it is until it is restarted from its beginning.
    Pause(DiskError),
    Finished,
}

/// The buffers and iovecs don't move while the kernel uses them; the request isn't touched until then.
#[derive(Default)]
pub struct DiskRequest {
    operation: Option<DiskOperation>,
    /// The index of the image's first file among the files of the ring's worker.
    first_file: u16,
    progress: Progress,
    bounce: Option<Bounce>,
    iovecs: Vec<libc::iovec>,
    /// Bytes of a write that turned out to be zeros.
    zeros: u64,
    looked_for_zeros: bool,
    failed: bool,
    error: Option<DiskError>,
    /// The task that the image's port does for it.
    ticket: Option<(Ticket, Task)>,
    /// Keeps the clusters that the kernel works on in place.
    pin: Option<Pin>,
    /// The image's files may end before its last cluster does.
    zeros_past_end: bool,
}

#[derive(Default)]
struct Progress {
    /// Bytes transferred, or finished in the current range.
    done: u64,
    /// Bytes of the current range that are being deallocated or zeroed.
    step: u64,
    /// Number of finished ranges.
    ranges: usize,
    /// The backing store can't zero ranges: write zeros instead.
    write_zeros: bool,
    /// A sync was submitted for what has been done.
    syncing: bool,
    synced: bool,
}

impl DiskRequest {
    pub fn start(&mut self, operation: Option<DiskOperation>) {
        self.operation = operation;
        self.progress = Progress::default();
        self.zeros = 0;
        self.looked_for_zeros = false;
        self.failed = false;
        self.error = None;
        self.ticket = None;
        self.pin = None;
    }

    /// The image's files start at this index among those of the ring's worker: 0 where a worker has one image.
    pub fn at_files(&mut self, first: u16) {
        self.first_file = first;
    }

    /// File `index` of the image, for an operation.
    fn file(&self, index: u16) -> types::Fixed {
        queue_thread::file(self.first_file + index)
    }

    /// Frees memory that small requests don't need. Not while the request is in progress.
    pub fn shrink(&mut self) {
        self.iovecs.clear();
        self.iovecs.shrink_to(KEPT_BUFFERS);
    }

    /// Whether the request has failed, for any reason.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// The disk error that failed the request.
    pub fn take_error(&mut self) -> Option<DiskError> {
        self.error.take()
    }

    /// Bytes of data moved by a read or a write.
    pub fn moved(&self) -> u64 {
        match self.zeros {
            0 => self.progress.done,
            _ if self.failed => 0,
            zeros => zeros,
        }
    }

    /// Turns a write of nothing but zeros into a write-zeroes operation, if the image asks for it. A driver that
    /// changes its buffers at the same time gets one or the other.
    fn look_for_zeros(&mut self, image: &dyn Image, data: &Buffers) {
        if std::mem::replace(&mut self.looked_for_zeros, true) {
            return;
        }
        let unmap = match image.state().written_zeros() {
            WrittenZeros::AsOther => return,
            WrittenZeros::Zeroed => false,
            WrittenZeros::Unmapped => image.state().can_discard,
        };
        let Some(DiskOperation::Write(start)) = self.operation else { return };
        let len = data.len();
        if len > 0 && data.are_zeros() {
            self.operation = Some(DiskOperation::WriteZeroes(vec![Range { start, len, unmap }]));
            self.zeros = len;
        }
    }

    /// Returns whether it had a bounce buffer.
    pub fn release_bounce(&mut self, pool: &mut BouncePool) -> bool {
        let bounce = self.bounce.take();
        bounce.map(|bounce| pool.give_back(bounce)).is_some()
    }

    /// The next step. With `durable`, written data must be durable when the request has finished.
    pub fn next(&mut self, image: &dyn Image, data: &Buffers, durable: bool, pool: &mut BouncePool) -> Step {
        let durable = match image.state().durability() {
            Durability::Asked => durable,
            Durability::Always => true,
            Durability::Never => false,
        };
        self.look_for_zeros(image, data);
        loop {
            if let Some(file) = self.take_answer(data) {
                let poll = opcode::PollAdd::new(self.file(file), libc::POLLIN as u32);
                return Step::Submit(poll.build(), 0);
            }
            if let Some(error) = self.error.filter(|_| self.failed) {
                match image.state().policy.action(&error) {
                    ErrorAction::Report => {}
                    ErrorAction::Hold => return Step::Pause(error),
                    ErrorAction::Ignore => self.ignore(data),
                }
            }
            if let Some(step) = self.next_step(image, data, durable, pool) {
                return step;
            }
        }
    }

    /// None if the caller must ask again.
    fn next_step(
        &mut self,
        image: &dyn Image,
        data: &Buffers,
        durable: bool,
        pool: &mut BouncePool,
    ) -> Option<Step> {
        let Some(operation) = self.operation.as_ref().filter(|_| !self.failed) else {
            return Some(Step::Finished);
        };
        if let Some(port) = image.port() {
            self.zeros_past_end = true;
            return self.next_with_port(image, port, data, durable, pool);
        }
        Some(match operation {
            DiskOperation::Flush if !flushes(image) => Step::Finished,
            DiskOperation::Flush => self.next_sync(),
            DiskOperation::Read(start) => {
                let start = *start;
                return self.next_transfer(start, None, image, data, pool);
            }
            DiskOperation::Write(start) => {
                let start = *start;
                return self.next_transfer(start, Some(durable), image, data, pool);
            }
            DiskOperation::Discard(ranges) | DiskOperation::WriteZeroes(ranges) => {
                match ranges[self.progress.ranges..].iter().find(|range| range.len > 0).copied() {
                    Some(range) => self.next_range(range, image, durable, pool),
                    // Deallocated zeros are metadata, which no write makes durable.
                    None if durable && matches!(operation, DiskOperation::WriteZeroes(_)) => self.next_sync(),
                    None => Step::Finished,
                }
            }
        })
    }

    /// Completes the request without an error for the guest.
    fn ignore(&mut self, data: &Buffers) {
        self.failed = false;
        self.error = None;
        self.progress.synced = true;
        match &self.operation {
            Some(DiskOperation::Read(_) | DiskOperation::Write(_)) => self.progress.done = data.len(),
            Some(DiskOperation::Discard(ranges) | DiskOperation::WriteZeroes(ranges)) => {
                self.progress.ranges = ranges.len();
            }
            _ => {}
        }
    }

    /// Handles the completion of the operation from `next`.
    pub fn completed(&mut self, data: &Buffers, result: i32) {
        self.pin = None;
        if self.ticket.is_some() {
            // A poll: the port may have finished its task.
            return;
        }
        let reads = matches!(self.operation, Some(DiskOperation::Read(_))) && self.bounce.is_none();
        if reads && result < 0 {
            // The kernel may have moved some data before it failed.
            data.written(self.progress.done, self.iovecs.iter().map(|iovec| iovec.iov_len as u64).sum());
        }
        if [libc::EAGAIN, libc::EINTR, libc::ECANCELED].contains(&-result) {
            return;
        }
        let syncing = std::mem::take(&mut self.progress.syncing);
        match &self.operation {
            _ if syncing && result >= 0 => self.progress.synced = true,
            _ if syncing => self.fail(result),
            Some(DiskOperation::Read(_)) if result > 0 => self.received(data, result as u64),
            Some(DiskOperation::Read(_)) if result == 0 && self.zeros_past_end => {
                let len = self.iovecs.iter().map(|iovec| iovec.iov_len as u64).sum();
                self.progress.done += data.zero(self.progress.done, len);
            }
            Some(DiskOperation::Write(_)) if result > 0 => self.progress.done += result as u64,
            // Discarding is a hint: a store that doesn't support it keeps its bytes.
            Some(DiskOperation::Discard(_)) if result >= 0 || not_supported(result) => self.finish_step(),
            Some(DiskOperation::WriteZeroes(_)) if !self.progress.write_zeros && not_supported(result) => {
                self.progress.write_zeros = true;
            }
            Some(DiskOperation::WriteZeroes(_)) if !self.progress.write_zeros && result >= 0 => {
                self.finish_step();
            }
            Some(DiskOperation::WriteZeroes(_)) if result > 0 => self.progress.done += result as u64,
            _ => self.fail(result),
        }
    }

    fn fail(&mut self, result: i32) {
        self.failed = true;
        self.error = self.disk_error(-result.min(0));
    }

    /// The operation in progress has failed with `errno`.
    fn disk_error(&self, errno: i32) -> Option<DiskError> {
        let in_range = |ranges: &[Range]| {
            let mut left = ranges[self.progress.ranges..].iter();
            left.find(|range| range.len > 0).map_or(0, |range| range.start)
        };
        let (access, start) = match self.operation.as_ref()? {
            DiskOperation::Read(start) => (Access::Read, *start),
            DiskOperation::Write(start) => (Access::Write, *start),
            DiskOperation::Flush => (Access::Flush, 0),
            DiskOperation::Discard(ranges) => (Access::Discard, in_range(ranges)),
            DiskOperation::WriteZeroes(ranges) => (Access::WriteZeroes, in_range(ranges)),
        };
        Some(DiskError { access, errno, sector: (start + self.progress.done) / SECTOR, disk: 0 })
    }

    fn next_sync(&mut self) -> Step {
        if self.progress.synced {
            return Step::Finished;
        }
        self.progress.syncing = true;
        Step::Submit(opcode::Fsync::new(self.file(0)).flags(types::FsyncFlags::DATASYNC).build(), CALL_COST)
    }

    fn next_range(&mut self, range: Range, image: &dyn Image, durable: bool, pool: &mut BouncePool) -> Step {
        if self.progress.write_zeros {
            return self.next_zeros(range, image, durable, pool);
        }
        let discard = matches!(self.operation, Some(DiskOperation::Discard(_)));
        let mode = match discard || (range.unmap && image.state().can_discard) {
            true => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
            false => libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
        };
        // Steps end at multiples of their size, so that they don't split a block of the backing store.
        let start = range.start + self.progress.done;
        let step_end = (start / RANGE_STEP_BYTES + 1) * RANGE_STEP_BYTES;
        let at = raw_location(image, start, step_end.min(range.start + range.len) - start);
        self.progress.step = at.len;
        let entry = opcode::Fallocate::new(self.file(at.file), at.len).offset(at.offset).mode(mode);
        Step::Submit(entry.build(), CALL_COST)
    }

    fn next_zeros(&mut self, range: Range, image: &dyn Image, durable: bool, pool: &mut BouncePool) -> Step {
        let left = range.len - self.progress.done;
        if left == 0 {
            self.finish_range();
            return self.next(image, &Buffers::default(), durable, pool);
        }
        if self.bounce.is_none() {
            self.bounce = pool.take();
        }
        let Some(bounce) = &mut self.bounce else { return Step::AwaitBounce };
        let at = raw_location(image, range.start + self.progress.done, left.min(BOUNCE_BYTES as u64));
        let len = at.len as usize;
        bounce.bytes()[..len].fill(0);
        self.iovecs.clear();
        self.iovecs.push(libc::iovec { iov_base: bounce.as_ptr().cast(), iov_len: len });
        Step::Submit(self.writev(at.file, at.offset, durable), at.len)
    }

    /// The ranges of a discard or write-zeroes request.
    fn ranges(&self) -> &[Range] {
        match &self.operation {
            Some(DiskOperation::Discard(ranges) | DiskOperation::WriteZeroes(ranges)) => ranges,
            _ => &[],
        }
    }

    /// Finishes the current step of a range, which has been deallocated or zeroed.
    fn finish_step(&mut self) {
        self.progress.done += self.progress.step;
        let current = self.ranges()[self.progress.ranges..].iter().find(|range| range.len > 0);
        if current.is_none_or(|range| self.progress.done >= range.len) {
            self.finish_range();
        }
    }

    fn finish_range(&mut self) {
        let rest = &self.ranges()[self.progress.ranges..];
        let present = rest.iter().position(|range| range.len > 0).unwrap_or(0);
        self.progress.ranges = (self.progress.ranges + present + 1).min(self.ranges().len());
        self.progress.done = 0;
    }
}

/// Whether a flush has any effect.
fn flushes(image: &dyn Image) -> bool {
    !image.state().readonly && image.state().durability() != Durability::Never
}

/// Where bytes are in an image without a port.
fn raw_location(image: &dyn Image, start: u64, len: u64) -> Location {
    match image.locate(start, len, true) {
        Place::Bytes(at) => at,
        _ => Location { file: 0, offset: start, len },
    }
}

/// The backing store lacks the operation, or doesn't support it for a range of this granularity.
fn not_supported(result: i32) -> bool {
    [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL].contains(&-result)
}
