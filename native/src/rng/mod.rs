//! virtio-rng request queues (virtio 1.3 §5.4): buffers filled from the host's cryptographic random number generator.

#[cfg(test)]
mod tests;

use crate::errno::Errno;
use crate::limiter::Limiter;
use crate::queue::{Broken, Chain};
use crate::queue_thread::{Needs, Next, Outcome, Worker};
use crate::seccomp::Call;
use std::sync::Arc;

/// The most bytes that one request gets. A partial fill is allowed (§5.4.6.1), and the driver asks again.
const MAX_BYTES: u64 = 64 * 1024;
/// Bytes to generate at a time.
const CHUNK: usize = 4096;

crate::abi_struct! {
    /// What a virtio-rng queue serves, as passed by JavaScript.
    pub struct RngConfig {
        /// Handle of the limiter; -1 for none.
        pub limiter: i32,
    }
}

pub struct RngWorker {
    limiter: Option<Arc<Limiter>>,
}

impl RngWorker {
    pub fn new(limiter: Option<Arc<Limiter>>) -> RngWorker {
        RngWorker { limiter }
    }
}

impl Worker for RngWorker {
    const NAME: &'static str = "rng";
    /// Number of bytes that it gets.
    type Request<'m> = u64;
    type Pool = ();

    fn needs(&self) -> Needs {
        Needs { calls: vec![Call::getrandom()], ..Needs::default() }
    }

    fn limiter(&self) -> Option<&Limiter> {
        self.limiter.as_deref()
    }

    fn limiters(&self) -> Vec<Arc<Limiter>> {
        self.limiter.iter().cloned().collect()
    }

    fn begin<'m>(&self, chain: &mut Chain<'m>, request: &mut u64) -> Result<u64, Broken> {
        if chain.writable.len() == 0 {
            return Err(Broken("made an entropy request without a writable buffer".into()));
        }
        *request = chain.writable.len().min(MAX_BYTES);
        Ok(*request)
    }

    fn next<'m>(&self, _: &Chain<'m>, _: &mut u64, _: &mut ()) -> Next {
        Next::Finished
    }

    fn completed<'m>(&self, _: &Chain<'m>, _: &mut u64, _: i32) {}

    fn end<'m>(&self, chain: &Chain<'m>, request: &mut u64, _: &mut ()) -> Outcome {
        let mut filled = 0;
        let mut bytes = [0; CHUNK];
        while filled < *request {
            let count = (*request - filled).min(CHUNK as u64) as usize;
            let Ok(count) = random(&mut bytes[..count]) else { break };
            filled += chain.writable.copy_from(filled, &bytes[..count]) as u64;
        }
        Outcome { written: filled as u32, to_guest: filled, failed: filled < *request, ..Outcome::default() }
    }

    fn shrink(&self, _: &mut u64) {}

    fn shrink_pool(&self, _: &mut ()) {}
}

/// getrandom(2). Returns the number of bytes, at least one.
fn random(bytes: &mut [u8]) -> Result<usize, Errno> {
    loop {
        // SAFETY: the kernel writes at most the slice's bytes.
        let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        match usize::try_from(count) {
            Ok(count) if count > 0 => return Ok(count),
            Ok(_) => return Err(Errno(libc::EIO)),
            Err(_) if Errno::last() == Errno(libc::EINTR) => {}
            Err(_) => return Err(Errno::last()),
        }
    }
}
