//! Pages that the guest has given up, until they are given back to the host. A driver gives them up in any order, and
//! the cost of giving back is mostly that of the system call, in which KVM must also make every vCPU forget the pages.
//! So pages wait for their neighbors. This requires VIRTIO_BALLOON_F_MUST_TELL_HOST: the driver must not use a page
//! again before the device has acknowledged that it takes the page back (virtio 1.3 §5.5.6), which removes it here.
//!
//! Pages wait even while the queues are stopped: giving back all of them may take a second, and whoever stops a queue
//! waits for its thread. They are a part of the balloon's state, until the driver resets it and has its pages back.

use super::pages::{PAGE, Runs, discard, is_discardable};
use crate::errno::{Errno, Result};
use crate::memory::{Discards, GuestRam};
use crate::sync::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Pages in a block, which is given back at once as soon as it is complete: 2 MiB, the host's unit for huge pages.
pub const BLOCK_PAGES: u32 = 512;
/// The rest is given back when none has been added for this long, ...
pub const IDLE_NS: u64 = 50_000_000;
/// ... when the oldest has been waiting for this long, ...
pub const AGE_NS: u64 = 1_000_000_000;
/// ... or when this many are waiting.
const MAX_PAGES: u64 = (1 << 30) / PAGE;

/// Shared by the queues of a balloon.
#[derive(Default)]
pub struct Collection(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// By the number of their first page, divided by `BLOCK_PAGES`.
    blocks: BTreeMap<u32, Block>,
    /// Those that are complete.
    complete: BTreeSet<u32>,
    count: u64,
    /// When the first and the last page were added.
    first_ns: u64,
    last_ns: u64,
}

/// A bit for each page.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Block([u64; BLOCK_PAGES as usize / 64]);

impl Collection {
    /// Adds pages at the time `now`, except those that are not RAM or must be kept. Then gives back blocks that are
    /// due, about as many pages as were added. Returns the number of bytes given back.
    pub fn add(&self, ram: &GuestRam, numbers: &[u32], now: u64, discards: &Discards) -> u64 {
        let mut pages = lock(&self.0);
        for number in numbers {
            if is_discardable(ram, *number) {
                pages.add(*number, now);
            }
        }
        let (mut left, mut given) = (numbers.len() as u64, 0);
        while left > 0 && pages.must_go() {
            let before = pages.count;
            given += pages.give_back_next(ram, discards);
            left = left.saturating_sub(before - pages.count);
        }
        given
    }

    /// Removes pages that the driver takes back. Once this has returned, they are not given back any more.
    pub fn remove(&self, numbers: &[u32]) {
        let mut pages = lock(&self.0);
        if pages.count > 0 {
            numbers.iter().for_each(|number| pages.remove(*number));
        }
    }

    /// When the next block must be given back; None if it is empty.
    pub fn due(&self) -> Option<u64> {
        lock(&self.0).due()
    }

    /// Gives back one block. Returns the number of bytes given back.
    pub fn give_back_block(&self, ram: &GuestRam, discards: &Discards) -> u64 {
        lock(&self.0).give_back_next(ram, discards)
    }

    /// The pages, for `load`.
    pub fn save(&self) -> Vec<u8> {
        let pages = lock(&self.0);
        let entry = |(index, block): (&u32, &Block)| {
            let words = block.0.iter().flat_map(|word| word.to_le_bytes());
            index.to_le_bytes().into_iter().chain(words).collect::<Vec<_>>()
        };
        pages.blocks.iter().flat_map(entry).collect()
    }

    /// Replaces the pages by saved ones, as if they were added at the time `now`; none, if the driver may use all of
    /// its pages. EINVAL if `saved` is no such state.
    pub fn load(&self, saved: &[u8], now: u64) -> Result<()> {
        let entries = saved.chunks_exact(ENTRY_BYTES);
        if !entries.remainder().is_empty() {
            return Err(Errno(libc::EINVAL));
        }
        let mut pages = Pages::default();
        for entry in entries {
            let (index, words) = entry.split_first_chunk().expect("an index and a block");
            let first = u32::from_le_bytes(*index).checked_mul(BLOCK_PAGES).ok_or(Errno(libc::EINVAL))?;
            let mut block = Block::default();
            for (word, bytes) in block.0.iter_mut().zip(words.chunks_exact(8)) {
                *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            }
            block.numbers(first).into_iter().for_each(|number| pages.add(number, now));
        }
        *lock(&self.0) = pages;
        Ok(())
    }
}

impl Pages {
    fn add(&mut self, number: u32, now: u64) {
        let (index, page) = (number / BLOCK_PAGES, number % BLOCK_PAGES);
        let block = self.blocks.entry(index).or_default();
        if block.has(page) {
            return;
        }
        block.flip(page);
        if *block == COMPLETE {
            self.complete.insert(index);
        }
        if self.count == 0 {
            self.first_ns = now;
        }
        self.last_ns = now;
        self.count += 1;
    }

    fn remove(&mut self, number: u32) {
        let (index, page) = (number / BLOCK_PAGES, number % BLOCK_PAGES);
        let Some(block) = self.blocks.get_mut(&index) else { return };
        if block.has(page) {
            block.flip(page);
            self.count -= 1;
            self.complete.remove(&index);
            if *block == Block::default() {
                self.blocks.remove(&index);
            }
        }
    }

    /// Whether a block must be given back, whatever the time.
    fn must_go(&self) -> bool {
        !self.complete.is_empty() || self.count > MAX_PAGES
    }

    fn due(&self) -> Option<u64> {
        match self.count {
            0 => None,
            _ if self.must_go() => Some(0),
            _ => Some((self.last_ns + IDLE_NS).min(self.first_ns + AGE_NS)),
        }
    }

    /// Gives back a block: one that is complete, or the first. The lock is held, so that a driver that takes pages back
    /// waits until it is done.
    fn give_back_next(&mut self, ram: &GuestRam, discards: &Discards) -> u64 {
        let complete = self.complete.pop_last().and_then(|index| self.blocks.remove_entry(&index));
        let Some((index, block)) = complete.or_else(|| self.blocks.pop_first()) else { return 0 };
        let numbers = block.numbers(index * BLOCK_PAGES);
        self.count -= numbers.len() as u64;
        let runs = Runs::new(&numbers);
        runs.map(|(first, pages)| discard(ram, u64::from(first) * PAGE, pages * PAGE, discards)).sum()
    }
}

/// A block in a saved state: its number and its bits.
const ENTRY_BYTES: usize = 4 + BLOCK_PAGES as usize / 8;

const COMPLETE: Block = Block([u64::MAX; BLOCK_PAGES as usize / 64]);

impl Block {
    fn has(&self, page: u32) -> bool {
        self.0[page as usize / 64] >> (page % 64) & 1 != 0
    }

    fn flip(&mut self, page: u32) {
        self.0[page as usize / 64] ^= 1 << (page % 64);
    }

    /// The numbers of its pages, in order; `first` is that of the block's first one.
    fn numbers(&self, first: u32) -> Vec<u32> {
        (0..BLOCK_PAGES).filter(|page| self.has(*page)).map(|page| first + page).collect()
    }
}
