//! virtio-balloon queues (virtio 1.3 §5.5): pages that the driver gives to the host, takes back, or reports as free.
//!
//! A page number stands for 4 KiB of guest-physical memory, whatever the page size on either side. Numbers outside RAM,
//! or in RAM that must be kept, are ignored: the driver may name them, to no effect.

mod collection;
#[cfg(test)]
mod collection_tests;
mod pages;
#[cfg(test)]
mod tests;

use crate::clock::now_ns;
use crate::errno::{Errno, Result as ErrnoResult};
use crate::limiter::Limiter;
use crate::memory::{Discards, GuestRam};
use crate::queue::{Broken, Chain};
use crate::queue_thread::{Needs, Next, Outcome, Worker};
use crate::seccomp::Call;
pub use collection::Collection;
use io_uring::opcode;
use io_uring::squeue::Flags;
use pages::{PAGE, Runs, discard};
use std::sync::Arc;

/// Page numbers handled per step of a request.
const STEP_NUMBERS: usize = 1024;
/// Bytes of a reported range handled per step.
const STEP_BYTES: u64 = 16 << 20;
const NUMBER_BYTES: usize = 4;
/// The full cost of a step, so that no other request begins during one.
const STEP_COST: u64 = u64::MAX / 1024;

/// Feature bit (§5.5.3): the driver must tell the host before it uses pages again, so they may be freed later.
pub const MUST_TELL_HOST: u64 = 1 << 0;

crate::abi_struct! {
    /// What a virtio-balloon queue serves, as passed by JavaScript.
    pub struct BalloonConfig {
        /// A `balloon_role` value.
        pub role: u32,
    }
}

crate::abi_constants! {
    /// What the buffers of a balloon queue contain.
    pub mod balloon_role as BALLOON_ROLE: u32 {
        /// Page numbers that the guest gives to the host.
        INFLATE = 0,
        /// Page numbers that the guest takes back.
        DEFLATE = 1,
        /// The free pages themselves, which stay with the guest.
        REPORT = 2,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Inflate,
    Deflate,
    Report,
}

pub struct BalloonWorker {
    role: Role,
    must_tell_host: bool,
    discards: Arc<Discards>,
    collection: Arc<Collection>,
}

/// A request's progress.
#[derive(Default)]
pub struct Request {
    /// Bytes of its buffers that have been handled.
    done: u64,
    /// Bytes of memory given back to the host, or taken from it.
    moved: u64,
}

impl BalloonWorker {
    /// `features` have been negotiated; `collection` is that of the balloon.
    pub fn new(
        config: &BalloonConfig,
        features: u64,
        discards: Arc<Discards>,
        collection: Arc<Collection>,
    ) -> ErrnoResult<BalloonWorker> {
        let role = match config.role {
            balloon_role::INFLATE => Role::Inflate,
            balloon_role::DEFLATE => Role::Deflate,
            balloon_role::REPORT => Role::Report,
            _ => return Err(Errno(libc::EINVAL)),
        };
        Ok(BalloonWorker { role, must_tell_host: features & MUST_TELL_HOST != 0, discards, collection })
    }

    /// Bytes of the buffers that are to be handled.
    fn len(&self, chain: &Chain) -> u64 {
        match self.role {
            Role::Report => chain.writable.len(),
            // A partial number at the end is ignored.
            _ => chain.readable.len() / NUMBER_BYTES as u64 * NUMBER_BYTES as u64,
        }
    }

    /// One step over page numbers.
    fn step_numbers(&self, chain: &Chain, request: &mut Request) {
        let mut bytes = [0; STEP_NUMBERS * NUMBER_BYTES];
        let left = (self.len(chain) - request.done).min(bytes.len() as u64) as usize;
        let count = chain.readable.copy_to(request.done, &mut bytes[..left]);
        request.done += count as u64;
        let mut numbers = [0; STEP_NUMBERS];
        let numbers = &mut numbers[..count / NUMBER_BYTES];
        for (number, raw) in numbers.iter_mut().zip(bytes.chunks_exact(NUMBER_BYTES)) {
            *number = u32::from_le_bytes(raw.try_into().expect("four bytes"));
        }
        if self.role == Role::Deflate {
            self.collection.remove(numbers);
            request.moved += numbers.len() as u64 * PAGE;
            return;
        }
        let Some(ram) = chain.ram else { return };
        request.moved += match self.must_tell_host {
            true => self.collection.add(ram, numbers, now_ns(), &self.discards),
            false => self.discard_now(ram, numbers),
        };
    }

    /// Adjacent pages are discarded together.
    fn discard_now(&self, ram: &GuestRam, numbers: &mut [u32]) -> u64 {
        numbers.sort_unstable();
        let runs = Runs::new(numbers);
        runs.map(|(first, pages)| discard(ram, u64::from(first) * PAGE, pages * PAGE, &self.discards)).sum()
    }

    /// Whether its queue gives back what has been collected.
    fn collects(&self) -> bool {
        self.role == Role::Inflate && self.must_tell_host
    }

    /// One step over free pages, which are the buffers themselves.
    fn step_report(&self, chain: &Chain, request: &mut Request) {
        let mut left = STEP_BYTES;
        for slice in chain.writable.from(request.done) {
            let mut len = slice.len() as u64;
            if len > left {
                // Never split a page.
                len = left - (slice.ptr_guard().as_ptr() as u64 + left) % PAGE;
                left = len;
            }
            let part = slice.subslice(0, len as usize).expect("a part of the slice");
            request.moved += pages::discard_slice(&part, &self.discards);
            request.done += len;
            left -= len;
            if left == 0 {
                break;
            }
        }
    }
}

impl Worker for BalloonWorker {
    const NAME: &'static str = "balloon";
    type Request<'m> = Request;
    type Pool = ();

    fn needs(&self) -> Needs {
        let calls = match self.role {
            Role::Deflate => Vec::new(),
            // MADV_DONTNEED, for private memory, is allowed to every thread.
            _ => vec![Call::madvise_remove()],
        };
        Needs { calls, operations: vec![opcode::Nop::CODE], ..Needs::default() }
    }

    fn limiter(&self) -> Option<&Limiter> {
        None
    }

    fn begin<'m>(&self, _: &mut Chain<'m>, request: &mut Request) -> Result<u64, Broken> {
        *request = Request::default();
        Ok(0)
    }

    fn next<'m>(&self, chain: &Chain<'m>, request: &mut Request, _: &mut ()) -> Next {
        match self.role {
            Role::Report => self.step_report(chain, request),
            _ => self.step_numbers(chain, request),
        }
        if request.done >= self.len(chain) {
            return Next::Finished;
        }
        // Completes immediately: it lets the loop check for a stop request before the next step.
        Next::Submit(opcode::Nop::new().build().flags(Flags::FIXED_FILE), STEP_COST)
    }

    fn completed<'m>(&self, _: &Chain<'m>, _: &mut Request, _: i32) {}

    fn end<'m>(&self, _: &Chain<'m>, request: &mut Request, _: &mut ()) -> Outcome {
        let (to_guest, from_guest) = match self.role {
            Role::Deflate => (request.moved, 0),
            _ => (0, request.moved),
        };
        Outcome { to_guest, from_guest, ..Outcome::default() }
    }

    fn due(&self) -> Option<u64> {
        self.collects().then(|| self.collection.due())?
    }

    fn work(&self, ram: &GuestRam) -> u64 {
        self.collection.give_back_block(ram, &self.discards)
    }

    fn shrink(&self, _: &mut Request) {}

    fn shrink_pool(&self, _: &mut ()) {}
}
