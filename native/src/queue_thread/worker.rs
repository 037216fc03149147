//! What the requests of one kind of queue mean. The loop (`serve.rs`) does everything that all of them share.

use super::needs::Needs;
use crate::image::{DiskError, Ticket};
use crate::limiter::Limiter;
use crate::memory::GuestRam;
use crate::queue::{Broken, Chain};
use io_uring::squeue;
use std::sync::Arc;

/// Serves the requests of a queue. It is shared with the queue's handle; mutable state is in the requests and the pool.
pub trait Worker: Send + Sync + 'static {
    /// The name of its threads, at most 8 characters; the queue's number is appended.
    const NAME: &'static str;

    /// A request in progress. It stays in place, untouched, while the kernel carries out its operation.
    type Request<'m>: Default;

    /// Memory shared by the requests of a queue.
    type Pool: Default;

    fn needs(&self) -> Needs;

    /// The limiter for taking chains from the ring, which may be shared with other queues.
    fn limiter(&self) -> Option<&Limiter> {
        None
    }

    /// All limiters that it currently uses: when they change, its thread checks again.
    fn limiters(&self) -> Vec<Arc<Limiter>> {
        Vec::new()
    }

    /// Reads the request in `chain`. Returns the bytes that it counts for in a limit.
    fn begin<'m>(&self, chain: &mut Chain<'m>, request: &mut Self::Request<'m>) -> Result<u64, Broken>;

    /// The next step of a request.
    fn next<'m>(&self, chain: &Chain<'m>, request: &mut Self::Request<'m>, pool: &mut Self::Pool) -> Next;

    /// The thread stops serving requests for now: returns what must end before it continues.
    /// With `ends`, the thread ends.
    fn part(&self, _ends: bool) -> Vec<Parting> {
        Vec::new()
    }

    /// The operation that `next` submitted has completed with `result`.
    fn completed<'m>(&self, chain: &Chain<'m>, request: &mut Self::Request<'m>, result: i32);

    /// Ends a finished request: the last chance to write to its buffers.
    fn end<'m>(&self, chain: &Chain<'m>, request: &mut Self::Request<'m>, pool: &mut Self::Pool) -> Outcome;

    /// When it has work to do that is not part of a request, in nanoseconds of the monotonic clock; None if it has none.
    fn due(&self) -> Option<u64> {
        None
    }

    /// Does a bounded part of that work. Returns the bytes that it moved from the guest.
    fn work(&self, _ram: &GuestRam) -> u64 {
        0
    }

    /// Frees memory that small requests don't need. The request is not in progress.
    fn shrink(&self, request: &mut Self::Request<'_>);

    /// The same for the pool, while no request is in progress.
    fn shrink_pool(&self, pool: &mut Self::Pool);
}

/// What a thread waits for before it continues.
pub struct Parting {
    pub ticket: Ticket,
    /// The index of its image's first file among the worker's.
    pub first_file: u16,
}

/// What a request needs next.
pub enum Next {
    /// The operation, and its cost in bytes, charged to the queue's budget.
    Submit(squeue::Entry, u64),
    /// Waits for part of the pool that another request holds, or for an event source.
    Wait,
    /// A limit delays the request until this time, in nanoseconds of the monotonic clock, or until the limits change.
    Hold(u64),
    /// Nothing until the queue is served again: the VM is to be paused because of this error.
    Pause(DiskError),
    Finished,
}

/// How a request ended.
#[derive(Default)]
pub struct Outcome {
    /// Bytes at the beginning of the writable buffers that the driver may rely on (virtio 1.3 §2.7.8.2).
    pub written: u32,
    /// Bytes moved to the guest, and from the guest.
    pub to_guest: u64,
    pub from_guest: u64,
    pub failed: bool,
    /// Why it failed, if the disk failed.
    pub error: Option<DiskError>,
    /// It released part of the pool.
    pub freed: bool,
}
