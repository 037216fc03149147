//! virtio-blk request queues (virtio 1.3 §5.2.6), backed by an image.

#[cfg(test)]
mod confinement_tests;
#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod packed_tests;
#[cfg(test)]
mod random_tests;
mod request;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

use crate::image::{BouncePool, Direction, DiskRequest, Image, Step};
use crate::limiter::Limiter;
use crate::memory::RamSlice;
use crate::queue::{Broken, Chain};
use crate::queue_thread::{Needs, Next, Outcome, Parting, Worker};
use request::{Operation, STATUS_IOERR, STATUS_OK, parse};
use std::sync::Arc;
use vm_memory::Bytes;

pub const SERIAL_BYTES: usize = 20;

/// Feature bits (§5.2.3).
pub mod feature {
    pub const FLUSH: u64 = 1 << 9;
    pub const CONFIG_WCE: u64 = 1 << 11;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

crate::abi_struct! {
    /// What a virtio-blk queue serves, as passed by JavaScript.
    pub struct BlkConfig {
        /// Handle of the image.
        pub image: u32,
        /// Handle of the limiter that all queues of the disk share; -1 for none.
        pub limiter: i32,
        /// The limits of a request that the config space advertises (§5.2.4): `seg_max`; `max_discard_seg` and
        /// `max_write_zeroes_seg`; `max_discard_sectors` and `max_write_zeroes_sectors`.
        pub max_segments: u32,
        pub max_ranges: u32,
        pub max_range_sectors: u32,
        /// What VIRTIO_BLK_T_GET_ID returns.
        pub serial: [u8; SERIAL_BYTES],
    }
}

/// Limits on request size that the config space advertises.
#[derive(Clone, Copy)]
pub struct Limits {
    pub segments: u32,
    pub ranges: u32,
    pub range_sectors: u32,
}

pub struct BlkWorker {
    image: Arc<dyn Image>,
    limiter: Option<Arc<Limiter>>,
    /// Negotiated features.
    features: u64,
    limits: Limits,
    serial: [u8; SERIAL_BYTES],
}

/// A request in progress.
#[derive(Default)]
pub struct Request<'m> {
    status_at: Option<RamSlice<'m>>,
    work: Work,
    disk: DiskRequest,
}

#[derive(Clone, Copy, Default)]
enum Work {
    /// An operation on the disk.
    Disk(Direction),
    Identify,
    /// Nothing: the status byte has the reason.
    Refuse(u8),
    #[default]
    None,
}

impl BlkWorker {
    pub fn new(
        config: &BlkConfig,
        features: u64,
        image: Arc<dyn Image>,
        limiter: Option<Arc<Limiter>>,
    ) -> BlkWorker {
        let BlkConfig { max_segments, max_ranges, max_range_sectors, serial, .. } = *config;
        let limits = Limits { segments: max_segments, ranges: max_ranges, range_sectors: max_range_sectors };
        BlkWorker { image, limiter, features, limits, serial }
    }

    fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    /// Whether a write must be durable when it completes (§5.2.6.2): the driver has set the cache to writethrough, or
    /// cannot request durability.
    fn writes_through(&self) -> bool {
        match self.has(feature::CONFIG_WCE) {
            true => self.image.state().writes_through(),
            false => !self.has(feature::FLUSH),
        }
    }
}

impl Worker for BlkWorker {
    const NAME: &'static str = "blk";
    type Request<'m> = Request<'m>;
    type Pool = BouncePool;

    fn needs(&self) -> Needs {
        Needs { files: self.image.files(), operations: self.image.operations().to_vec(), ..Needs::default() }
    }

    fn part(&self, ends: bool) -> Vec<Parting> {
        let ticket = self.image.part(ends);
        ticket.map(|ticket| Parting { ticket, first_file: 0 }).into_iter().collect()
    }

    fn limiter(&self) -> Option<&Limiter> {
        self.limiter.as_deref()
    }

    fn limiters(&self) -> Vec<Arc<Limiter>> {
        self.limiter.iter().cloned().collect()
    }

    fn begin<'m>(&self, chain: &mut Chain<'m>, request: &mut Request<'m>) -> Result<u64, Broken> {
        let (operation, status) = parse(chain, self)?;
        request.status_at = Some(status);
        let bytes = chain.readable.len() + chain.writable.len();
        let (work, disk) = match operation {
            Operation::Disk(disk) => (Work::Disk(disk.direction()), Some(disk)),
            Operation::Identify => (Work::Identify, None),
            Operation::Refuse(status) => (Work::Refuse(status), None),
        };
        request.work = work;
        request.disk.start(disk);
        Ok(bytes)
    }

    fn next<'m>(&self, chain: &Chain<'m>, request: &mut Request<'m>, pool: &mut BouncePool) -> Next {
        let Work::Disk(direction) = request.work else { return Next::Finished };
        let data = data(direction, chain);
        match request.disk.next(&*self.image, data, self.writes_through(), pool) {
            Step::Submit(entry, cost) => Next::Submit(entry, cost),
            Step::AwaitBounce => Next::Wait,
            Step::Pause(error) => Next::Pause(error),
            Step::Finished => Next::Finished,
        }
    }

    fn completed<'m>(&self, chain: &Chain<'m>, request: &mut Request<'m>, result: i32) {
        if let Work::Disk(direction) = request.work {
            request.disk.completed(data(direction, chain), result);
        }
    }

    fn end<'m>(&self, chain: &Chain<'m>, request: &mut Request<'m>, pool: &mut BouncePool) -> Outcome {
        let (status, to_guest, from_guest) = match request.work {
            Work::Disk(direction) => {
                let status = if request.disk.has_failed() { STATUS_IOERR } else { STATUS_OK };
                match direction {
                    Direction::ToGuest => (status, request.disk.moved(), 0),
                    Direction::FromGuest => (status, 0, request.disk.moved()),
                    Direction::None => (status, 0, 0),
                }
            }
            Work::Identify => (STATUS_OK, chain.writable.copy_from(0, &self.serial) as u64, 0),
            Work::Refuse(status) => (status, 0, 0),
            Work::None => (STATUS_IOERR, 0, 0),
        };
        request.work = Work::None;
        if let Some(byte) = request.status_at.take() {
            byte.write_obj(status, 0).expect("one byte");
        }
        let failed = status != STATUS_OK;
        // After an error the data doesn't count, only the status.
        let written = if failed { 1 } else { to_guest as u32 + 1 };
        let freed = request.disk.release_bounce(pool);
        Outcome { written, to_guest, from_guest, failed, error: request.disk.take_error(), freed }
    }

    fn shrink(&self, request: &mut Request<'_>) {
        request.disk.shrink();
    }

    fn shrink_pool(&self, pool: &mut BouncePool) {
        pool.shrink();
    }
}

fn data<'c, 'm>(direction: Direction, chain: &'c Chain<'m>) -> &'c crate::queue::Buffers<'m> {
    match direction {
        Direction::FromGuest | Direction::None => &chain.readable,
        Direction::ToGuest => &chain.writable,
    }
}
