//! The counters of one VM: 64-bit words in memory shared with JavaScript. The layout is that of
//! `src/vmm/counters/counters.ts`; a test compares the two (`vring_layout`). Every word has one writer, so
//! adding needs no locked instruction.

use crate::errno::{Errno, Result};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub const HEADER_WORDS: usize = 8;
/// "VRNGCNT1", little endian.
pub const MAGIC: u64 = 0x3154_4e43_474e_5256;
pub const HISTOGRAM_WORDS: usize = 32;

/// Word offsets in a vCPU block.
pub mod vcpu {
    pub const EXITS: usize = 0;
    pub const EXIT_NS: usize = 64;
    pub const REASONS: usize = 64;
    pub const RUN_NS: usize = 128;
    pub const DEVICE_NS: usize = 129;
    pub const ENTRIES: usize = 130;
    pub const TID: usize = 131;
    pub const STATE: usize = 132;
    pub const KICKS: usize = 133;
    pub const LATENCY: usize = 160;
    pub const WORDS: usize = 256;
}

/// Values of a vCPU block's state word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum VcpuState {
    New = 0,
    Running = 1,
    Parked = 2,
    Waiting = 3,
    Stopped = 4,
}

/// Word offsets in a virtqueue block.
pub mod queue {
    pub const KICKS: usize = 0;
    pub const INTERRUPTS: usize = 1;
    pub const INTERRUPTS_SUPPRESSED: usize = 2;
    pub const REQUESTS: usize = 3;
    pub const BYTES_TO_GUEST: usize = 4;
    pub const BYTES_FROM_GUEST: usize = 5;
    pub const IN_FLIGHT: usize = 6;
    pub const ERRORS: usize = 7;
    pub const BATCHES: usize = 8;
    pub const KICKS_SUPPRESSED: usize = 9;
    pub const MAX_IN_FLIGHT: usize = 10;
    pub const LATENCY_NS: usize = 11;
    pub const DISK_ERRORS: usize = 12;
    pub const ID: usize = 13;
    pub const LATENCY: usize = 16;
    pub const WORDS: usize = 64;
}

/// A pointer to a VM's words. JavaScript owns the memory and keeps it until the VM has been destroyed.
#[derive(Clone, Copy)]
pub struct Counters {
    words: *const AtomicU64,
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
        Ok(Counters { words: words.cast(), vcpus, queues })
    }

    pub fn vcpu(&self, index: usize) -> Result<Block> {
        if index >= self.vcpus {
            return Err(Errno(libc::EINVAL));
        }
        Ok(self.block(HEADER_WORDS + index * vcpu::WORDS, vcpu::WORDS))
    }

    pub fn queue(&self, slot: usize) -> Result<Block> {
        if slot >= self.queues {
            return Err(Errno(libc::EINVAL));
        }
        Ok(self.block(HEADER_WORDS + self.vcpus * vcpu::WORDS + slot * queue::WORDS, queue::WORDS))
    }

    fn block(&self, start: usize, words: usize) -> Block {
        // SAFETY: `new` checked that every vCPU and queue block lies inside the words, which outlive the VM's threads.
        Block(unsafe { std::slice::from_raw_parts(self.words.add(start), words) })
    }
}

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

    /// Counts `ns` in the histogram that starts at `first`: word i covers [2^i, 2^(i+1)) ns, the last one everything above.
    #[inline]
    pub fn histogram(&self, first: usize, ns: u64) {
        let bucket = (ns.max(1).ilog2() as usize).min(HISTOGRAM_WORDS - 1);
        self.add(first + bucket, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lie_one_behind_the_other_and_are_checked() {
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
    fn too_few_words_are_refused() {
        let words = vec![0u64; HEADER_WORDS + vcpu::WORDS];
        // SAFETY: the vector outlives its use here.
        assert!(unsafe { Counters::new(words.as_ptr(), words.len(), 1, 1) }.is_err());
        // SAFETY: a null pointer is refused before any use.
        assert!(unsafe { Counters::new(std::ptr::null(), 1 << 20, 1, 1) }.is_err());
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
