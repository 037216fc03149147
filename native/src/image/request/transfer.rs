//! The steps of a read or a write.

use super::{DiskRequest, Step};
use crate::image::bounce::{BOUNCE_BYTES, BouncePool};
use crate::image::{Image, Place, Port, SECTOR};
use crate::queue::Buffers;
use io_uring::{opcode, squeue};

/// The most iovecs of one readv or writev (UIO_MAXIOV).
const MAX_IOVECS: usize = 1024;
/// The most bytes that one step of a request moves. A request of any size costs the host no more than this at a time.
const STEP_BYTES: u64 = 2 << 20;
/// The minimum cost of a buffer.
const BUFFER_COST: u64 = 4096;

impl DiskRequest {
    /// One step of a read or a write.
    pub(super) fn next_transfer(
        &mut self,
        start: u64,
        write: Option<bool>,
        image: &dyn Image,
        data: &Buffers,
        pool: &mut BouncePool,
    ) -> Option<Step> {
        let done = self.progress.done;
        let left = data.len() - done;
        if left == 0 {
            return Some(Step::Finished);
        }
        let pin = image.port().map(Port::pin);
        let at = match image.locate(start + done, left.min(STEP_BYTES), write.is_some()) {
            Place::Bytes(at) => at,
            Place::Zeros(len) => {
                self.progress.done += data.zero(done, len);
                return None;
            }
            Place::Task(task) => {
                match image.port() {
                    Some(port) => self.ask(port, task),
                    None => self.fail(-libc::EIO),
                }
                return None;
            }
            Place::Failed(errno) => {
                self.fail(-errno.0);
                return None;
            }
        };
        let alignment = image.direct_alignment();
        if self.bounce.is_none() && !gather(data, done, at.len, alignment, &mut self.iovecs) {
            self.bounce = pool.take();
            if self.bounce.is_none() {
                return Some(Step::AwaitBounce);
            }
        }
        if let Some(bounce) = &mut self.bounce {
            let len = at.len.min(BOUNCE_BYTES as u64) as usize;
            if write.is_some() {
                data.copy_to(done, &mut bounce.bytes()[..len]);
            }
            self.iovecs.clear();
            self.iovecs.push(libc::iovec { iov_base: bounce.as_ptr().cast(), iov_len: len });
        }
        let entry = match write {
            Some(durable) => self.writev(at.file, at.offset, durable),
            None => self.readv(at.file, at.offset),
        };
        self.pin = pin;
        Some(Step::Submit(entry, self.transfer_cost()))
    }

    /// Bytes, where each buffer counts as at least a page: the kernel works on both.
    fn transfer_cost(&self) -> u64 {
        self.iovecs.iter().map(|iovec| BUFFER_COST.max(iovec.iov_len as u64)).sum()
    }

    pub(super) fn received(&mut self, data: &Buffers, count: u64) {
        match &mut self.bounce {
            Some(bounce) => {
                let count = count.min(BOUNCE_BYTES as u64) as usize;
                data.copy_from(self.progress.done, &bounce.bytes()[..count]);
            }
            None => data.written(self.progress.done, count),
        }
        self.progress.done += count;
    }

    fn readv(&self, index: u16, offset: u64) -> squeue::Entry {
        match self.iovecs.as_slice() {
            [one] => {
                let (address, len) = (one.iov_base.cast(), one.iov_len as u32);
                opcode::Read::new(self.file(index), address, len).offset(offset).build()
            }
            many => {
                opcode::Readv::new(self.file(index), many.as_ptr(), many.len() as u32).offset(offset).build()
            }
        }
    }

    pub(super) fn writev(&self, index: u16, offset: u64, durable: bool) -> squeue::Entry {
        opcode::Writev::new(self.file(index), self.iovecs.as_ptr(), self.iovecs.len() as u32)
            .offset(offset)
            .rw_flags(if durable { libc::RWF_DSYNC } else { 0 })
            .build()
    }
}

/// Collects the data of one step, at most `len` bytes from byte `from` on. Returns false if
/// it isn't aligned for O_DIRECT.
fn gather(
    data: &Buffers,
    from: u64,
    len: u64,
    alignment: Option<usize>,
    iovecs: &mut Vec<libc::iovec>,
) -> bool {
    iovecs.clear();
    let mut left = len as usize;
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
