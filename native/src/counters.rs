//! The counters of one VM: 64-bit words in memory shared with JavaScript (`src/vmm/counters/counters.ts`). Every word
//! has one writer, so adding needs no locked instruction.

use crate::errno::{Errno, Result};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

crate::abi_constants! {
    /// What precedes the first vCPU block.
    pub mod header as COUNTERS_HEADER: usize {
        WORDS = 8,
    }
}
pub use header::WORDS as HEADER_WORDS;

pub const HISTOGRAM_WORDS: usize = 32;
/// Exit reasons that are counted separately.
pub const EXIT_REASONS: usize = 64;

crate::abi_constants! {
    /// Word offsets in a vCPU block.
    pub mod vcpu as VCPU: usize {
        /// 64 words: exits to user space by KVM_EXIT_* reason (linux/kvm.h).
        EXITS = 0,
        /// 64 words: nanoseconds from each kind of exit until the vCPU entered KVM again.
        EXIT_NS = 64,
        /// Nanoseconds inside KVM_RUN (the guest and KVM together).
        RUN_NS = 128,
        /// Nanoseconds outside KVM_RUN, waiting for a device model.
        DEVICE_NS = 129,
        /// KVM_RUN calls.
        ENTRIES = 130,
        /// Linux thread id, in the machine's own PID namespace.
        TID = 131,
        /// A `VCPU_STATE` value.
        STATE = 132,
        /// KVM_RUN calls that returned EINTR: kicks.
        KICKS = 133,
        /// 32 words: exits by the time until they were answered; word i counts [2^i, 2^(i+1)) ns.
        LATENCY = 160,
        WORDS = 256,
    }
}

crate::abi_constants! {
    /// Values of a vCPU block's state word.
    pub mod vcpu_state as VCPU_STATE: u64 {
        NEW = 0,
        RUNNING = 1,
        PARKED = 2,
        WAITING = 3,
        STOPPED = 4,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum VcpuState {
    Running = vcpu_state::RUNNING,
    Parked = vcpu_state::PARKED,
    Waiting = vcpu_state::WAITING,
    Stopped = vcpu_state::STOPPED,
}

crate::abi_constants! {
    /// Word offsets in a virtqueue block.
    pub mod queue as QUEUE: usize {
        /// Notifications received from the driver.
        KICKS = 0,
        /// Interrupts sent to the driver.
        INTERRUPTS = 1,
        /// Interrupts that EVENT_IDX or NO_INTERRUPT suppressed.
        INTERRUPTS_SUPPRESSED = 2,
        /// Descriptor chains taken from the avail ring.
        REQUESTS = 3,
        /// Bytes moved from the device to the guest.
        BYTES_TO_GUEST = 4,
        /// Bytes moved from the guest to the device.
        BYTES_FROM_GUEST = 5,
        /// Chains taken and not yet returned.
        IN_FLIGHT = 6,
        /// Requests answered with an error.
        ERRORS = 7,
        /// Times the avail ring had work; requests / batches is the mean batch.
        BATCHES = 8,
        /// Batches found without a kick: EVENT_IDX or NO_NOTIFY suppressed it.
        KICKS_SUPPRESSED = 9,
        /// The highest `inFlight` so far.
        MAX_IN_FLIGHT = 10,
        /// Nanoseconds from taken to returned, summed over all requests; per elapsed
        /// nanosecond, the mean number in flight.
        LATENCY_NS = 11,
        /// Requests that failed on the host's disk; `errors` includes them, and requests that the device refuses.
        DISK_ERRORS = 12,
        /// Id of the queue that the block counts; 0 in a free block.
        ID = 13,
        /// Times that a rate limit made the queue wait.
        THROTTLED = 14,
        /// Nanoseconds that requests waited in the ring because of a rate limit.
        THROTTLED_NS = 15,
        /// 32 words: requests by the time from taken to returned; word i counts [2^i, 2^(i+1)) ns.
        LATENCY = 16,
        /// Frames of a network card that were not passed on: filtered, refused, or lost on the host.
        DROPPED = 48,
        WORDS = 64,
    }
}

/// A pointer to a VM's words. JavaScript owns the memory and keeps it until the VM has been destroyed.
#[derive(Clone, Copy)]
pub struct Counters {
    words: *const AtomicU64,
    len: usize,
    vcpus: usize,
    queues: usize,
}

// SAFETY: the words are atomics in memory that outlives the VM's threads (see `Counters::new`).
unsafe impl Send for Counters {}
// SAFETY: as above.
unsafe impl Sync for Counters {}

impl Counters {
    /// # Safety
    /// `words` points to `len` 64-bit words, aligned to 8, that stay mapped until the VM's threads have been joined.
    pub unsafe fn new(words: *const u64, len: usize, vcpus: usize, queues: usize) -> Result<Counters> {
        let needed = HEADER_WORDS + vcpus * vcpu::WORDS + queues * queue::WORDS;
        if words.is_null() || !words.cast::<AtomicU64>().is_aligned() || len < needed {
            return Err(Errno(libc::EINVAL));
        }
        Ok(Counters { words: words.cast(), len, vcpus, queues })
    }

    pub fn vcpu(&self, index: usize) -> Result<Block> {
        if index >= self.vcpus {
            return Err(Errno(libc::EINVAL));
        }
        Ok(self.block(HEADER_WORDS + index * vcpu::WORDS, vcpu::WORDS))
    }

    /// The counters of a queue, or unread ones for `NO_COUNTERS`.
    pub fn queue(&self, slot: usize) -> Result<Block> {
        if slot == NO_COUNTERS as usize {
            return Ok(Block(&UNREAD));
        }
        if slot >= self.queues {
            return Err(Errno(libc::EINVAL));
        }
        Ok(self.block(HEADER_WORDS + self.vcpus * vcpu::WORDS + slot * queue::WORDS, queue::WORDS))
    }

    /// Adds to a word of which the calling thread is the writer. Does nothing for one of the header, or beyond the end.
    pub fn add(&self, word: usize, amount: u64) {
        if word >= HEADER_WORDS && word < self.len {
            self.block(word, 1).add(0, amount);
        }
    }

    fn block(&self, start: usize, words: usize) -> Block {
        // SAFETY: `new` checked that every vCPU and queue block lies inside the words, and `add` that its word does. They
        // outlive the VM's threads.
        Block(unsafe { std::slice::from_raw_parts(self.words.add(start), words) })
    }
}

/// The slot of a queue whose device model keeps its own counters.
pub const NO_COUNTERS: u32 = u32::MAX;

/// The shared, unread counters of such queues.
static UNREAD: [AtomicU64; queue::WORDS] = [const { AtomicU64::new(0) }; queue::WORDS];

/// The words of one vCPU or one virtqueue, written by one thread.
#[derive(Clone, Copy)]
pub struct Block(&'static [AtomicU64]);

impl Block {
    #[inline]
    pub fn add(&self, word: usize, amount: u64) {
        let cell = &self.0[word];
        cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    #[inline]
    pub fn set(&self, word: usize, value: u64) {
        self.0[word].store(value, Relaxed);
    }

    /// Raises a word to at least a value.
    #[inline]
    pub fn raise(&self, word: usize, value: u64) {
        if value > self.0[word].load(Relaxed) {
            self.set(word, value);
        }
    }

    #[cfg(test)]
    pub fn get(&self, word: usize) -> u64 {
        self.0[word].load(Relaxed)
    }

    #[cfg(test)]
    pub fn snapshot(&self) -> Vec<u64> {
        self.0.iter().map(|word| word.load(Relaxed)).collect()
    }

    /// Counts `ns` in the histogram that starts at `first`: word i covers [2^i, 2^(i+1)) ns,
    /// the last one everything above.
    #[inline]
    pub fn histogram(&self, first: usize, ns: u64) {
        self.histogram_of(first, ns, 1);
    }

    /// The same for `count` requests at once.
    #[inline]
    pub fn histogram_of(&self, first: usize, ns: u64, count: u64) {
        let bucket = (ns.max(1).ilog2() as usize).min(HISTOGRAM_WORDS - 1);
        self.add(first + bucket, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_consecutive_and_checked() {
        let words = vec![0u64; HEADER_WORDS + 2 * vcpu::WORDS + queue::WORDS];
        // SAFETY: the vector outlives its use here.
        let counters = unsafe { Counters::new(words.as_ptr(), words.len(), 2, 1) }.unwrap();
        counters.vcpu(1).unwrap().add(vcpu::KICKS, 3);
        counters.queue(0).unwrap().set(queue::ERRORS, 5);
        assert_eq!(words[HEADER_WORDS + vcpu::WORDS + vcpu::KICKS], 3);
        assert_eq!(words[HEADER_WORDS + 2 * vcpu::WORDS + queue::ERRORS], 5);
        assert!(counters.vcpu(2).is_err());
        assert!(counters.queue(1).is_err());
    }

    #[test]
    fn too_few_words_are_rejected() {
        let words = vec![0u64; HEADER_WORDS + vcpu::WORDS];
        // SAFETY: the vector outlives its use here.
        assert!(unsafe { Counters::new(words.as_ptr(), words.len(), 1, 1) }.is_err());
        // SAFETY: a null pointer is refused before any use.
        assert!(unsafe { Counters::new(std::ptr::null(), 1 << 20, 1, 1) }.is_err());
    }

    #[test]
    fn single_words_are_checked_too() {
        let words = vec![0u64; HEADER_WORDS + vcpu::WORDS + 1];
        // SAFETY: the vector outlives its use here; its last word is beyond what the counters get.
        let counters = unsafe { Counters::new(words.as_ptr(), words.len() - 1, 1, 0) }.unwrap();
        for word in [0, HEADER_WORDS - 1, HEADER_WORDS, HEADER_WORDS + vcpu::WORDS, usize::MAX] {
            counters.add(word, 7);
        }
        assert_eq!(words.iter().position(|word| *word != 0), Some(HEADER_WORDS));
        assert_eq!(words.iter().sum::<u64>(), 7);
    }

    #[test]
    fn histogram_buckets_are_powers_of_two() {
        let words = vec![0u64; HEADER_WORDS + vcpu::WORDS];
        // SAFETY: the vector outlives its use here.
        let block = unsafe { Counters::new(words.as_ptr(), words.len(), 1, 0) }.unwrap().vcpu(0).unwrap();
        for ns in [0, 1, 2, 3, 4, 1023, u64::MAX] {
            block.histogram(vcpu::LATENCY, ns);
        }
        let at = |bucket: usize| block.get(vcpu::LATENCY + bucket);
        assert_eq!((at(0), at(1), at(2), at(9), at(31)), (2, 2, 1, 1, 1));
    }
}
