use super::collection::{AGE_NS, BLOCK_PAGES, Collection, IDLE_NS};
use super::pages::PAGE;
use crate::memory::{Discards, GuestRam, Region, guest_ram};
use vm_memory::{Bytes, GuestAddress};

const BLOCKS: u32 = 4;
/// RAM from here on; below, pages must be kept.
const FIRST: u32 = 2 * BLOCK_PAGES;
const MS: u64 = 1_000_000;

/// Private memory of `BLOCKS` blocks, full of nonzero bytes, above one block that must be kept.
struct Memory {
    ram: GuestRam,
    collection: Collection,
    discards: Discards,
}

impl Memory {
    fn new() -> Memory {
        let map = |pages: u32| {
            let len = pages as usize * PAGE as usize;
            let (protection, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping, which is leaked.
            let mapped = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
            assert_ne!(mapped, libc::MAP_FAILED);
            mapped as u64
        };
        let region = |first: u32, pages: u32, advice: i32| Region {
            gpa: u64::from(first) * PAGE,
            size: u64::from(pages) * PAGE,
            host: map(pages),
            discard: advice as u64,
            ..Region::default()
        };
        let regions = [
            region(FIRST - BLOCK_PAGES, BLOCK_PAGES, 0),
            region(FIRST, BLOCKS * BLOCK_PAGES, libc::MADV_DONTNEED),
        ];
        // SAFETY: the mappings are leaked.
        let ram = unsafe { guest_ram(&regions) }.unwrap();
        let memory = Memory { ram, collection: Collection::default(), discards: Discards::default() };
        (FIRST..FIRST + BLOCKS * BLOCK_PAGES).for_each(|page| memory.fill(page));
        memory
    }

    fn fill(&self, page: u32) {
        self.ram.write_obj(1u8, GuestAddress(u64::from(page) * PAGE)).unwrap();
    }

    fn has(&self, page: u32) -> bool {
        self.ram.read_obj::<u8>(GuestAddress(u64::from(page) * PAGE)).unwrap() != 0
    }

    /// The number of bytes given back at once.
    fn add(&self, numbers: impl IntoIterator<Item = u32>, now: u64) -> u64 {
        let numbers: Vec<_> = numbers.into_iter().collect();
        self.collection.add(&self.ram, &numbers, now, &self.discards)
    }

    fn give_back_all(&self) -> u64 {
        let block = || self.collection.give_back_block(&self.ram, &self.discards);
        let mut given = 0;
        while self.collection.due().is_some() {
            given += block();
        }
        given
    }
}

/// The pages of a block of the memory.
fn block(index: u32) -> impl Iterator<Item = u32> {
    let first = FIRST + index * BLOCK_PAGES;
    first..first + BLOCK_PAGES
}

#[test]
fn discards_complete_blocks_at_once_and_delays_single_pages() {
    let memory = Memory::new();
    let even = |page: &u32| page % 2 == 0;
    assert_eq!(memory.add(block(1).filter(even), 5 * MS), 0);
    assert!(block(1).all(|page| memory.has(page)));
    assert_eq!(memory.collection.due(), Some(5 * MS + IDLE_NS));
    assert_eq!(memory.add(block(1).filter(|page| !even(page)), 7 * MS), u64::from(BLOCK_PAGES) * PAGE);
    assert!(!block(1).any(|page| memory.has(page)));
    assert!(memory.has(FIRST) && memory.has(FIRST + 2 * BLOCK_PAGES));
    assert_eq!(memory.collection.due(), None);
}

#[test]
fn many_complete_blocks_are_due_one_after_another() {
    let memory = Memory::new();
    // All but one page each.
    (0..BLOCKS).for_each(|index| assert_eq!(memory.add(block(index).skip(1), 0), 0));
    // One step does not give back more than about as many pages as it added.
    let block_bytes = u64::from(BLOCK_PAGES) * PAGE;
    assert_eq!(memory.add((0..BLOCKS).map(|index| FIRST + index * BLOCK_PAGES), 0), block_bytes);
    for _ in 1..BLOCKS {
        assert_eq!(memory.collection.due(), Some(0));
        assert_eq!(memory.collection.give_back_block(&memory.ram, &memory.discards), block_bytes);
    }
    assert_eq!(memory.collection.due(), None);
}

#[test]
fn the_oldest_page_is_not_delayed_by_new_pages() {
    let memory = Memory::new();
    let times = (0..AGE_NS).step_by(IDLE_NS as usize / 2);
    for (page, now) in block(0).zip(times) {
        assert!(memory.collection.due().is_none_or(|due| due > now));
        memory.add([page], now);
    }
    assert_eq!(memory.collection.due(), Some(AGE_NS));
    memory.give_back_all();
    memory.add([FIRST], 2 * AGE_NS);
    assert_eq!(memory.collection.due(), Some(2 * AGE_NS + IDLE_NS));
}

#[test]
fn deflated_pages_are_kept() {
    let memory = Memory::new();
    memory.add([FIRST, FIRST + 1, FIRST + 2], 0);
    memory.collection.remove(&[FIRST + 1, FIRST + 9, 0, u32::MAX]);
    assert_eq!(memory.give_back_all(), 2 * PAGE);
    assert_eq!([0, 1, 2].map(|page| memory.has(FIRST + page)), [false, true, false]);
    // The last one of a block, and one of a block that was complete but not yet given back.
    memory.add([FIRST + 1], 0);
    memory.collection.remove(&[FIRST + 1]);
    assert_eq!(memory.collection.due(), None);
    (0..2).for_each(|index| assert_eq!(memory.add(block(index + 1).skip(1), 0), 0));
    memory.add([1, 2].map(|index| FIRST + index * BLOCK_PAGES), 0);
    // The later one has been given back.
    memory.collection.remove(&[FIRST + BLOCK_PAGES + 7]);
    assert_eq!(memory.give_back_all(), u64::from(BLOCK_PAGES - 1) * PAGE);
    assert!(memory.has(FIRST + BLOCK_PAGES + 7));
    assert_eq!(memory.collection.due(), None);
}

/// A driver that gives and takes the last pages of blocks must not make the list of complete ones grow.
#[test]
fn a_block_is_complete_only_while_it_has_all_its_pages() {
    let memory = Memory::new();
    let last = [0, 1, 2, 3].map(|index| FIRST + index * BLOCK_PAGES);
    (0..BLOCKS).for_each(|index| assert_eq!(memory.add(block(index).skip(1), 0), 0));
    let block_bytes = u64::from(BLOCK_PAGES) * PAGE;
    assert_eq!(memory.add(last, 0), block_bytes);
    memory.collection.remove(&last);
    assert_eq!(memory.collection.due(), Some(IDLE_NS), "no block is complete");
    assert_eq!(memory.give_back_all(), 3 * (block_bytes - PAGE));
}

#[test]
fn saved_pages_are_collected_again() {
    let memory = Memory::new();
    memory.add([FIRST + 3, FIRST + 64, FIRST + BLOCK_PAGES], 0);
    let saved = memory.collection.save();
    memory.collection.load(&[], 0).unwrap();
    assert_eq!((memory.collection.due(), memory.give_back_all()), (None, 0));
    memory.collection.load(&saved, 7 * MS).unwrap();
    assert_eq!(memory.collection.due(), Some(7 * MS + IDLE_NS));
    memory.collection.remove(&[FIRST + 64]);
    assert_eq!(memory.give_back_all(), 2 * PAGE);
    let gone = [3, 64, BLOCK_PAGES].map(|page| !memory.has(FIRST + page));
    assert_eq!(gone, [true, false, true]);
    // Nor does a hostile state name more than a driver can.
    assert!(memory.collection.load(&saved[1..], 0).is_err());
    assert!(memory.collection.load(&[0xff; 68], 0).is_err());
    let last = (u32::MAX / BLOCK_PAGES).to_le_bytes();
    let all: Vec<u8> = last.into_iter().chain([0xff; 64]).collect();
    memory.collection.load(&all, 0).unwrap();
    assert_eq!((memory.collection.due(), memory.give_back_all()), (Some(0), 0));
    assert_eq!(memory.collection.due(), None);
}

#[test]
fn ignores_pages_to_keep_and_addresses_outside_memory() {
    let memory = Memory::new();
    memory.add([0, FIRST - 1, FIRST + BLOCKS * BLOCK_PAGES, u32::MAX], 0);
    assert_eq!(memory.collection.due(), None);
    memory.add([FIRST, FIRST], 0);
    assert_eq!(memory.give_back_all(), PAGE);
}

#[test]
fn discards_nothing_while_discarding_is_disabled() {
    let memory = Memory::new();
    memory.add([FIRST], 0);
    memory.discards.allow(false);
    assert_eq!(memory.give_back_all(), 0);
    memory.discards.allow(true);
    assert_eq!((memory.give_back_all(), memory.has(FIRST)), (0, true));
}
