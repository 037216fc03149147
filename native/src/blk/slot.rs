//! One request in flight: its operation, its progress, and the next operation to submit to the kernel.

use super::bounce::{BOUNCE_BYTES, Bounce, BouncePool};
use super::disk::{Disk, SECTOR};
use super::errors::{Access, DiskError};
use super::request::{Operation, Range, STATUS_IOERR, STATUS_OK};
use super::uring::DISK;
use crate::queue::{Buffers, Chain};
use io_uring::{opcode, squeue, types};
use vm_memory::VolatileSlice;

/// The most iovecs of one readv or writev (UIO_MAXIOV).
const MAX_IOVECS: usize = 1024;

/// The most bytes that one step of a request moves. A request of any size costs the host no more than this at a time.
pub const STEP_BYTES: u64 = 2 << 20;
/// The most bytes that one step deallocates or zeroes without writing them.
const RANGE_STEP_BYTES: u64 = 64 << 20;
/// What a buffer costs at least, and an operation without buffers.
const BUFFER_COST: u64 = 4096;
const CALL_COST: u64 = 1 << 20;
/// Buffers for which an idle slot keeps memory.
pub const KEPT_BUFFERS: usize = 8;

/// What a request needs next.
pub enum Next {
    /// The operation, and what it costs of the queue's budget, in bytes.
    Submit(squeue::Entry, u64),
    /// A bounce buffer, when one is free.
    AwaitBounce,
    Finished(u8),
}

/// The buffers and iovecs don't move while the kernel uses them; the slot isn't touched until then.
#[derive(Default)]
pub struct Slot<'m> {
    pub chain: Chain<'m>,
    pub status: Option<VolatileSlice<'m>>,
    pub taken_ns: u64,
    progress: Progress,
    bounce: Option<Bounce>,
    iovecs: Vec<libc::iovec>,
    /// Why the request failed, if it was for the disk's sake.
    error: Option<DiskError>,
    /// What its operation in the kernel costs.
    pub cost: u64,
}

#[derive(Default)]
struct Progress {
    operation: Option<Operation>,
    /// Bytes transferred, or finished in the current range.
    done: u64,
    /// Bytes of the current range that are being deallocated or zeroed.
    step: u64,
    /// The ranges that are finished.
    ranges: usize,
    /// The backing store can't zero ranges: write zeros instead.
    write_zeros: bool,
}

impl<'m> Slot<'m> {
    pub fn start(&mut self, operation: Operation, status: VolatileSlice<'m>, taken_ns: u64) {
        self.progress = Progress { operation: Some(operation), ..Progress::default() };
        self.status = Some(status);
        self.taken_ns = taken_ns;
        self.error = None;
    }

    /// Gives back memory that small requests don't need. For a slot that isn't in use.
    pub fn shrink(&mut self) {
        self.chain.readable.clear();
        self.chain.writable.clear();
        self.chain.shrink(KEPT_BUFFERS);
        self.iovecs.clear();
        self.iovecs.shrink_to(KEPT_BUFFERS);
    }

    /// The disk error that failed the request.
    pub fn take_error(&mut self) -> Option<DiskError> {
        self.error.take()
    }

    /// Bytes moved to the guest, and from it.
    pub fn moved(&self) -> (u64, u64) {
        match self.progress.operation {
            Some(Operation::Read(_) | Operation::GetId) => (self.progress.done, 0),
            Some(Operation::Write(_)) => (0, self.progress.done),
            _ => (0, 0),
        }
    }

    pub fn release_bounce(&mut self) -> Option<Bounce> {
        self.bounce.take()
    }

    /// The next step.
    pub fn next(&mut self, disk: &Disk, pool: &mut BouncePool) -> Next {
        let Some(operation) = &self.progress.operation else { return Next::Finished(STATUS_IOERR) };
        match operation {
            Operation::Refuse(status) => Next::Finished(*status),
            Operation::GetId => {
                self.progress.done = self.chain.writable.copy_from(0, &disk.serial) as u64;
                Next::Finished(STATUS_OK)
            }
            Operation::Flush if self.progress.done > 0 || disk.readonly => Next::Finished(STATUS_OK),
            Operation::Flush => {
                Next::Submit(opcode::Fsync::new(DISK).flags(types::FsyncFlags::DATASYNC).build(), CALL_COST)
            }
            Operation::Read(start) => {
                let start = *start;
                self.next_transfer(start, false, disk, pool)
            }
            Operation::Write(start) => {
                let start = *start;
                self.next_transfer(start, true, disk, pool)
            }
            Operation::Discard(ranges) | Operation::WriteZeroes(ranges) => {
                match ranges[self.progress.ranges..].iter().find(|range| range.len > 0).copied() {
                    Some(range) => self.next_range(range, disk, pool),
                    None => Next::Finished(STATUS_OK),
                }
            }
        }
    }

    /// Handles the completion of the operation from `next`. Returns a status if that ends the request.
    pub fn answered(&mut self, result: i32) -> Option<u8> {
        if [libc::EAGAIN, libc::EINTR, libc::ECANCELED].contains(&-result) {
            return None;
        }
        match &self.progress.operation {
            Some(Operation::Flush) if result >= 0 => {
                self.progress.done = 1;
                None
            }
            Some(Operation::Read(_) | Operation::Write(_)) if result > 0 => {
                self.transferred(result as u64);
                None
            }
            Some(Operation::Discard(_)) if result >= 0 || not_supported(result) => {
                // Discarding is a hint: a store that doesn't support it keeps its bytes.
                self.finish_step();
                None
            }
            Some(Operation::WriteZeroes(_)) if !self.progress.write_zeros && not_supported(result) => {
                self.progress.write_zeros = true;
                None
            }
            Some(Operation::WriteZeroes(_)) if !self.progress.write_zeros && result >= 0 => {
                self.finish_step();
                None
            }
            Some(Operation::WriteZeroes(_)) if result > 0 => {
                self.progress.done += result as u64;
                None
            }
            _ => {
                self.error = self.disk_error(-result.min(0));
                Some(STATUS_IOERR)
            }
        }
    }

    /// The operation in progress has failed with `errno`.
    fn disk_error(&self, errno: i32) -> Option<DiskError> {
        let in_range = |ranges: &[Range]| {
            let mut left = ranges[self.progress.ranges..].iter();
            left.find(|range| range.len > 0).map_or(0, |range| range.start)
        };
        let (access, start) = match self.progress.operation.as_ref()? {
            Operation::Read(start) => (Access::Read, *start),
            Operation::Write(start) => (Access::Write, *start),
            Operation::Flush => (Access::Flush, 0),
            Operation::Discard(ranges) => (Access::Discard, in_range(ranges)),
            Operation::WriteZeroes(ranges) => (Access::WriteZeroes, in_range(ranges)),
            Operation::GetId | Operation::Refuse(_) => return None,
        };
        Some(DiskError { access, errno, sector: (start + self.progress.done) / SECTOR })
    }

    fn next_transfer(&mut self, start: u64, write: bool, disk: &Disk, pool: &mut BouncePool) -> Next {
        let done = self.progress.done;
        let data = if write { &self.chain.readable } else { &self.chain.writable };
        let left = data.len() - done;
        if left == 0 {
            return Next::Finished(STATUS_OK);
        }
        if self.bounce.is_none() && !gather(data, done, disk.direct_alignment, &mut self.iovecs) {
            self.bounce = pool.take();
            if self.bounce.is_none() {
                return Next::AwaitBounce;
            }
        }
        if let Some(bounce) = &mut self.bounce {
            let len = left.min(BOUNCE_BYTES as u64) as usize;
            if write {
                data.copy_to(done, &mut bounce.bytes()[..len]);
            }
            self.iovecs.clear();
            self.iovecs.push(libc::iovec { iov_base: bounce.as_ptr().cast(), iov_len: len });
        }
        let entry = if write { self.writev(start + done, disk) } else { self.readv(start + done) };
        Next::Submit(entry, self.transfer_cost())
    }

    /// Bytes, and each buffer counts as a page at least: the kernel works on both.
    fn transfer_cost(&self) -> u64 {
        self.iovecs.iter().map(|iovec| BUFFER_COST.max(iovec.iov_len as u64)).sum()
    }

    fn transferred(&mut self, count: u64) {
        if let (Some(Operation::Read(_)), Some(bounce)) = (&self.progress.operation, &mut self.bounce) {
            let count = count.min(BOUNCE_BYTES as u64) as usize;
            self.chain.writable.copy_from(self.progress.done, &bounce.bytes()[..count]);
        }
        self.progress.done += count;
    }

    fn next_range(&mut self, range: Range, disk: &Disk, pool: &mut BouncePool) -> Next {
        if self.progress.write_zeros {
            return self.next_zeros(range, disk, pool);
        }
        let discard = matches!(self.progress.operation, Some(Operation::Discard(_)));
        let mode = match discard || (range.unmap && disk.can_discard) {
            true => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
            false => libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
        };
        // Steps end at multiples of their size, so that they don't cut a block of the backing store.
        let at = range.start + self.progress.done;
        let step_end = (at / RANGE_STEP_BYTES + 1) * RANGE_STEP_BYTES;
        let step = step_end.min(range.start + range.len) - at;
        self.progress.step = step;
        Next::Submit(opcode::Fallocate::new(DISK, step).offset(at).mode(mode).build(), CALL_COST)
    }

    fn next_zeros(&mut self, range: Range, disk: &Disk, pool: &mut BouncePool) -> Next {
        let left = range.len - self.progress.done;
        if left == 0 {
            self.finish_range();
            return self.next(disk, pool);
        }
        if self.bounce.is_none() {
            self.bounce = pool.take();
        }
        let Some(bounce) = &mut self.bounce else { return Next::AwaitBounce };
        let len = left.min(BOUNCE_BYTES as u64) as usize;
        bounce.bytes()[..len].fill(0);
        self.iovecs.clear();
        self.iovecs.push(libc::iovec { iov_base: bounce.as_ptr().cast(), iov_len: len });
        Next::Submit(self.writev(range.start + self.progress.done, disk), len as u64)
    }

    /// The current step of a range has been deallocated or zeroed.
    fn finish_step(&mut self) {
        self.progress.done += self.progress.step;
        let (Some(Operation::Discard(ranges)) | Some(Operation::WriteZeroes(ranges))) =
            &self.progress.operation
        else {
            return;
        };
        let current = ranges[self.progress.ranges..].iter().find(|range| range.len > 0);
        if current.is_none_or(|range| self.progress.done >= range.len) {
            self.finish_range();
        }
    }

    fn finish_range(&mut self) {
        let (Some(Operation::Discard(ranges)) | Some(Operation::WriteZeroes(ranges))) =
            &self.progress.operation
        else {
            return;
        };
        let rest = &ranges[self.progress.ranges..];
        let present = rest.iter().position(|range| range.len > 0).unwrap_or(0);
        self.progress.ranges += present + 1;
        self.progress.done = 0;
    }

    fn readv(&self, offset: u64) -> squeue::Entry {
        match self.iovecs.as_slice() {
            [one] => opcode::Read::new(DISK, one.iov_base.cast(), one.iov_len as u32).offset(offset).build(),
            many => opcode::Readv::new(DISK, many.as_ptr(), many.len() as u32).offset(offset).build(),
        }
    }

    fn writev(&self, offset: u64, disk: &Disk) -> squeue::Entry {
        let flags = if disk.writes_through() { libc::RWF_DSYNC } else { 0 };
        opcode::Writev::new(DISK, self.iovecs.as_ptr(), self.iovecs.len() as u32)
            .offset(offset)
            .rw_flags(flags)
            .build()
    }
}

/// Collects the data of one step, starting at byte `from`. Returns false when it isn't aligned for O_DIRECT.
fn gather(data: &Buffers, from: u64, alignment: Option<usize>, iovecs: &mut Vec<libc::iovec>) -> bool {
    iovecs.clear();
    let mut left = STEP_BYTES as usize;
    for slice in data.from(from).take(MAX_IOVECS) {
        if left == 0 {
            break;
        }
        let (address, len) = (slice.ptr_guard_mut().as_ptr(), slice.len().min(left));
        left -= len;
        let aligned =
            alignment.is_none_or(|alignment| address.addr() % alignment == 0 && len % SECTOR as usize == 0);
        if !aligned {
            return false;
        }
        iovecs.push(libc::iovec { iov_base: address.cast(), iov_len: len });
    }
    true
}

/// The backing store lacks the operation, or can't do it on a range of this granularity.
fn not_supported(result: i32) -> bool {
    [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL].contains(&-result)
}
