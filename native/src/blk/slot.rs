//! One request in flight: its operation, its progress, and the next operation to submit to the kernel.

use super::bounce::{BOUNCE_BYTES, Bounce, BouncePool};
use super::disk::{Disk, SECTOR};
use super::request::{Operation, Range, STATUS_IOERR, STATUS_OK};
use crate::queue::{Buffers, Chain};
use io_uring::{opcode, squeue, types};
use vm_memory::VolatileSlice;

/// The most iovecs of one readv or writev (UIO_MAXIOV).
const MAX_IOVECS: usize = 1024;

/// What a request needs next.
pub enum Next {
    Submit(squeue::Entry),
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
}

#[derive(Default)]
struct Progress {
    operation: Option<Operation>,
    /// Bytes transferred, or zeroed in the current range.
    done: u64,
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
            Operation::Flush => Next::Submit(
                opcode::Fsync::new(types::Fd(disk.fd)).flags(types::FsyncFlags::DATASYNC).build(),
            ),
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
        if result == -libc::EAGAIN || result == -libc::EINTR {
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
                self.finish_range();
                None
            }
            Some(Operation::WriteZeroes(_)) if !self.progress.write_zeros && not_supported(result) => {
                self.progress.write_zeros = true;
                None
            }
            Some(Operation::WriteZeroes(_)) if !self.progress.write_zeros && result >= 0 => {
                self.finish_range();
                None
            }
            Some(Operation::WriteZeroes(_)) if result > 0 => {
                self.progress.done += result as u64;
                None
            }
            _ => Some(STATUS_IOERR),
        }
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
        Next::Submit(if write { self.writev(start + done, disk) } else { self.readv(start + done, disk) })
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
        Next::Submit(
            opcode::Fallocate::new(types::Fd(disk.fd), range.len).offset(range.start).mode(mode).build(),
        )
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
        Next::Submit(self.writev(range.start + self.progress.done, disk))
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

    fn readv(&self, offset: u64, disk: &Disk) -> squeue::Entry {
        let file = types::Fd(disk.fd);
        match self.iovecs.as_slice() {
            [one] if one.iov_len <= i32::MAX as usize => {
                opcode::Read::new(file, one.iov_base.cast(), one.iov_len as u32).offset(offset).build()
            }
            many => opcode::Readv::new(file, many.as_ptr(), many.len() as u32).offset(offset).build(),
        }
    }

    fn writev(&self, offset: u64, disk: &Disk) -> squeue::Entry {
        let flags = if disk.writes_through() { libc::RWF_DSYNC } else { 0 };
        opcode::Writev::new(types::Fd(disk.fd), self.iovecs.as_ptr(), self.iovecs.len() as u32)
            .offset(offset)
            .rw_flags(flags)
            .build()
    }
}

/// Collects the data starting at byte `from`. Returns false when it isn't aligned for O_DIRECT.
fn gather(data: &Buffers, from: u64, alignment: Option<usize>, iovecs: &mut Vec<libc::iovec>) -> bool {
    iovecs.clear();
    for slice in data.from(from).take(MAX_IOVECS) {
        let (address, len) = (slice.ptr_guard_mut().as_ptr(), slice.len());
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
