//! What the requests of one kind of queue mean. The loop (`serve.rs`) does everything that is the same for all of them.

use super::needs::Needs;
use crate::image::{DiskError, Ticket};
use crate::limiter::Limiter;
use crate::queue::{Broken, Chain};
use io_uring::squeue;
use std::sync::Arc;

/// Serves the requests of a queue. It is shared with the queue's handle; what changes is in the requests and in the pool.
pub trait Worker: Send + Sync + 'static {
    /// The name of its threads, at most 8 characters; the queue's number is added.
    const NAME: &'static str;

    /// A request in progress. It stays where it is, and untouched, while the kernel carries out its operation.
    type Request<'m>: Default;

    /// Memory that the requests of a queue share.
    type Pool: Default;

    fn needs(&self) -> Needs;

    /// The limit of what it may take from the ring, which may be other queues' as well.
    fn limiter(&self) -> Option<&Limiter> {
        None
    }

    /// All limits that it heeds now: when they change, its thread looks again.
    fn limiters(&self) -> Vec<Arc<Limiter>> {
        Vec::new()
    }

    /// Reads the request in `chain`. Returns the bytes that it counts for in a limit.
    fn begin<'m>(&self, chain: &mut Chain<'m>, request: &mut Self::Request<'m>) -> Result<u64, Broken>;

    /// The next step of a request.
    fn next<'m>(&self, chain: &Chain<'m>, request: &mut Self::Request<'m>, pool: &mut Self::Pool) -> Next;

    /// The thread serves no more requests for now: what is to have ended before it goes on. With `ends`, the thread ends.
    fn part(&self, _ends: bool) -> Vec<Parting> {
        Vec::new()
    }

    /// The operation that `next` submitted has completed with `result`.
    fn completed<'m>(&self, chain: &Chain<'m>, request: &mut Self::Request<'m>, result: i32);

    /// Ends a finished request: the last chance to write to its buffers.
    fn end<'m>(&self, chain: &Chain<'m>, request: &mut Self::Request<'m>, pool: &mut Self::Pool) -> Outcome;

    /// Gives back memory that small requests don't need. The request is not in progress.
    fn shrink(&self, request: &mut Self::Request<'_>);

    /// The same for the pool, while no request is in progress.
    fn shrink_pool(&self, pool: &mut Self::Pool);
}

/// What a thread waits for before it goes on.
pub struct Parting {
    pub ticket: Ticket,
    /// The place of its image's files among the worker's.
    pub first_file: u16,
}

/// What a request needs next.
pub enum Next {
    /// The operation, and what it costs of the queue's budget, in bytes.
    Submit(squeue::Entry, u64),
    /// A part of the pool that another request has, or an event source.
    Wait,
    /// This time, in nanoseconds of the monotonic clock, or a change of limits: a limit doesn't allow the request yet.
    Hold(u64),
    /// Nothing, until the queue is served again: the VM is to be paused because of this error.
    Pause(DiskError),
    Finished,
}

/// How a request has ended.
#[derive(Default)]
pub struct Outcome {
    /// Bytes at the beginning of the writable buffers that the driver may rely on (virtio 1.3 §2.7.8.2).
    pub written: u32,
    /// Bytes moved to the guest, and from it.
    pub to_guest: u64,
    pub from_guest: u64,
    pub failed: bool,
    /// Why it failed, if it was for the disk's sake.
    pub error: Option<DiskError>,
    /// It has given back a part of the pool.
    pub freed: bool,
}
