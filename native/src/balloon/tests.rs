use super::*;
use crate::blk::testing::{Fixture, memory_file};
use crate::counters::queue as words;
use crate::memory::{GuestRam, Region, guest_ram};
use crate::queue::testing::{Buffer, REGION_BORDER, Random, in_, out};
use crate::queue_thread::QueueThread;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

/// Shared memory backed by a file, above all other memory.
const FILE_AT: u64 = 0x100_0000;
const FILE_BYTES: u64 = 32 << 20;
/// Where the driver puts its page numbers.
const NUMBERS: u64 = 0x8000;

struct Balloon {
    fixture: Fixture,
    file: File,
    ram: Arc<GuestRam>,
    discards: Arc<Discards>,
    collection: Arc<Collection>,
    features: u64,
}

/// A queue with this role. Memory below `REGION_BORDER` must not be given back, as if it were a device's.
fn start(role: u32) -> Balloon {
    start_with(role, 0)
}

/// The same, with these features.
fn start_with(role: u32, features: u64) -> Balloon {
    let mut fixture = Fixture::new(memory_file(), 0, 0);
    fixture.stop();
    let file = memory_file();
    file.set_len(FILE_BYTES).unwrap();
    // SAFETY: a new mapping, which is leaked.
    let mapped = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let len = FILE_BYTES as usize;
        libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    assert_ne!(mapped, libc::MAP_FAILED);
    let own = fixture.ram.iter().map(|region| Region {
        gpa: region.start_addr().0,
        size: region.len(),
        host: fixture.ram.get_host_address(region.start_addr()).unwrap() as u64,
        discard: if region.start_addr().0 == REGION_BORDER { libc::MADV_DONTNEED as u64 } else { 0 },
        ..Region::default()
    });
    let discard = libc::MADV_REMOVE as u64;
    let shared = Region { gpa: FILE_AT, size: FILE_BYTES, host: mapped as u64, discard, ..Region::default() };
    let regions: Vec<_> = own.chain([shared]).collect();
    // SAFETY: the fixture's memory is leaked, as the file's mapping is.
    let ram = Arc::new(unsafe { guest_ram(&regions) }.unwrap());
    let mut balloon =
        Balloon { fixture, file, ram, discards: Arc::default(), collection: Arc::default(), features };
    balloon.resume(role);
    balloon
}

impl Balloon {
    fn resume(&mut self, role: u32) {
        let (discards, collection) = (self.discards.clone(), self.collection.clone());
        let worker =
            BalloonWorker::new(&BalloonConfig { role }, self.features, discards, collection).unwrap();
        let fixture = &mut self.fixture;
        let surroundings =
            crate::queue_thread::Surroundings { ram: self.ram.clone(), ..fixture.surroundings() };
        let queue = QueueThread::start(&fixture.config(), &fixture.unfinished, worker, surroundings);
        fixture.put_queue(queue.unwrap());
    }

    /// One request, from offer to completion.
    fn request(&mut self, buffers: &[Buffer]) {
        let index = self.fixture.driver.used_index();
        self.fixture.driver.offer(buffers);
        self.fixture.kick.signal();
        self.fixture.await_used(index.wrapping_add(1));
    }

    fn give(&mut self, numbers: &[u32]) {
        let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.fixture.write(NUMBERS, &raw);
        self.request(&[out(NUMBERS, raw.len() as u32)]);
    }

    /// Fills `len` bytes of memory.
    fn fill(&self, address: u64, len: u64) {
        for slice in self.ram.get_slices(GuestAddress(address), len as usize) {
            let slice = slice.unwrap();
            slice.copy_from(&vec![0xa5u8; slice.len()]);
        }
    }

    /// Which pages from `address` on contain nonzero bytes.
    fn filled(&self, address: u64, pages: u64) -> Vec<bool> {
        let page = |index: u64| {
            let slice = self.ram.get_slice(GuestAddress(address + index * PAGE), 1).unwrap();
            let mut byte = [0u8];
            slice.copy_to(&mut byte);
            byte[0] != 0
        };
        (0..pages).map(page).collect()
    }

    /// Pages allocated in the file.
    fn file_pages(&self) -> u64 {
        self.file.metadata().unwrap().blocks() * 512 / PAGE
    }

    fn counter(&self, word: usize) -> u64 {
        self.fixture.counters.get(word)
    }
}

fn number(address: u64) -> u32 {
    (address / PAGE) as u32
}

#[test]
fn inflating_frees_file_memory() {
    let mut balloon = start(balloon_role::INFLATE);
    balloon.fill(FILE_AT, 16 * PAGE);
    let first = number(FILE_AT);
    balloon.give(&[first + 1, first + 3, first + 2, first + 9, first + 9]);
    let filled: Vec<_> = (0..16).map(|page| ![1, 2, 3, 9].contains(&page)).collect();
    assert_eq!(balloon.filled(FILE_AT, 16), filled);
    assert_eq!(balloon.counter(words::BYTES_FROM_GUEST), 4 * PAGE);
    // Reading has allocated none.
    balloon.fill(FILE_AT, 16 * PAGE);
    balloon.give(&(0..16).map(|page| first + page).collect::<Vec<_>>());
    assert_eq!(balloon.file_pages(), 0);
}

#[test]
fn frees_private_memory_but_not_device_memory() {
    let mut balloon = start(balloon_role::INFLATE);
    balloon.fill(REGION_BORDER - 2 * PAGE, 4 * PAGE);
    let first = number(REGION_BORDER - 2 * PAGE);
    balloon.give(&[first, first + 1, first + 2, first + 3]);
    assert_eq!(balloon.filled(REGION_BORDER - 2 * PAGE, 4), [true, true, false, false]);
}

#[test]
fn skips_addresses_outside_memory() {
    let mut balloon = start(balloon_role::INFLATE);
    balloon.fill(FILE_AT, PAGE);
    let last = number(FILE_AT + FILE_BYTES);
    balloon.give(&[u32::MAX, u32::MAX - 1, last, number(0x40_0000), number(FILE_AT)]);
    assert_eq!((balloon.filled(FILE_AT, 1), balloon.counter(words::BYTES_FROM_GUEST)), (vec![false], PAGE));
    // Half a number, no number, and a buffer with the wrong direction.
    balloon.request(&[out(NUMBERS, 3)]);
    balloon.request(&[in_(NUMBERS, 64)]);
    balloon.fixture.assert_served();
    assert_eq!(balloon.counter(words::BYTES_FROM_GUEST), PAGE);
}

#[test]
fn deflating_only_counts() {
    let mut balloon = start(balloon_role::DEFLATE);
    balloon.fill(FILE_AT, 2 * PAGE);
    balloon.give(&[number(FILE_AT), number(FILE_AT) + 1]);
    assert_eq!(balloon.filled(FILE_AT, 2), [true, true]);
    assert_eq!(
        (balloon.counter(words::BYTES_TO_GUEST), balloon.counter(words::BYTES_FROM_GUEST)),
        (2 * PAGE, 0)
    );
}

#[test]
fn reported_pages_are_the_full_pages_inside_the_buffers() {
    let mut balloon = start(balloon_role::REPORT);
    balloon.fill(FILE_AT, FILE_BYTES);
    let (start, len) = (FILE_AT + 100, FILE_BYTES - 200);
    balloon.request(&[in_(start, PAGE as u32), in_(start + PAGE, (len - PAGE) as u32)]);
    let filled = balloon.filled(FILE_AT, FILE_BYTES / PAGE);
    let kept: Vec<_> = (0..filled.len()).filter(|page| filled[*page]).collect();
    assert_eq!(kept, [0, 1, filled.len() - 1]);
    let used = balloon.fixture.driver.used(0);
    assert_eq!(used.1, 0, "nothing was written");
}

#[test]
fn frees_nothing_while_discarding_is_disabled() {
    let mut balloon = start(balloon_role::INFLATE);
    balloon.fill(FILE_AT, 2 * PAGE);
    balloon.discards.allow(false);
    balloon.give(&[number(FILE_AT)]);
    assert_eq!(balloon.filled(FILE_AT, 2), [true, true]);
    balloon.discards.allow(true);
    balloon.give(&[number(FILE_AT)]);
    assert_eq!(balloon.filled(FILE_AT, 2), [false, true]);
}

/// A driver that must tell the host before it uses pages again.
#[test]
fn pages_are_collected_and_freed_soon_after() {
    let mut balloon = start_with(balloon_role::INFLATE, MUST_TELL_HOST);
    balloon.fill(FILE_AT, FILE_BYTES);
    let first = number(FILE_AT);
    balloon.give(&[first + 7, first + 3]);
    balloon.fixture.await_counter(words::BYTES_FROM_GUEST, 2 * PAGE);
    assert_eq!(balloon.filled(FILE_AT, 8), [true, true, true, false, true, true, true, false]);
    balloon.fixture.assert_served();
}

/// Giving back takes long, and whoever stops the queue waits.
#[test]
fn a_stopped_queue_leaves_collected_pages_to_the_next_one() {
    let mut balloon = start_with(balloon_role::INFLATE, MUST_TELL_HOST);
    let pages = FILE_BYTES / PAGE;
    balloon.fill(FILE_AT, FILE_BYTES);
    // No two of them are neighbors.
    let numbers: Vec<u32> = (0..pages as u32).step_by(2).map(|page| number(FILE_AT) + page).collect();
    balloon.collection.add(&balloon.ram, &numbers, crate::clock::now_ns(), &balloon.discards);
    balloon.fixture.stop();
    assert!(balloon.collection.due().is_some());
    assert!(balloon.filled(FILE_AT, pages).iter().all(|filled| *filled));
    assert_eq!(balloon.counter(words::BYTES_FROM_GUEST), 0);
    balloon.resume(balloon_role::INFLATE);
    // Also one that continues from other memory.
    let ram = balloon.ram.clone();
    balloon.fixture.queue().use_memory(ram);
    balloon.fixture.await_counter(words::BYTES_FROM_GUEST, FILE_BYTES / 2);
    assert_eq!(balloon.filled(FILE_AT, 4), [false, true, false, true]);
    balloon.fixture.assert_served();
}

#[test]
fn deflating_removes_pages_from_the_collection() {
    let mut balloon = start_with(balloon_role::DEFLATE, MUST_TELL_HOST);
    let first = number(FILE_AT);
    balloon.fill(FILE_AT, 2 * PAGE);
    balloon.collection.add(&balloon.ram, &[first, first + 1], 0, &balloon.discards);
    balloon.give(&[first + 1]);
    assert_eq!(balloon.collection.give_back_block(&balloon.ram, &balloon.discards), PAGE);
    assert_eq!(balloon.filled(FILE_AT, 2), [false, true]);
}

#[test]
fn a_request_of_any_length_can_be_stopped_and_continued() {
    let mut balloon = start(balloon_role::INFLATE);
    // The numbers are in the file themselves, and name no page that may be discarded.
    let len = 24 << 20;
    balloon.fill(FILE_AT, len);
    balloon.fixture.driver.offer(&[out(NUMBERS, 4), in_(0x9000, 4)]);
    let slots: Vec<Buffer> = vec![out(FILE_AT, len as u32)];
    for _ in 0..8 {
        balloon.fixture.driver.offer(&slots);
    }
    balloon.fixture.kick.signal();
    balloon.fixture.await_counter(words::IN_FLIGHT, 1);
    let position = balloon.fixture.stop();
    let open = balloon.fixture.unfinished_heads().len() as u16;
    assert_eq!(position.available.wrapping_sub(position.used), open);
    balloon.resume(balloon_role::INFLATE);
    balloon.fixture.kick.signal();
    balloon.fixture.await_used(9);
    assert_eq!(balloon.counter(words::IN_FLIGHT), 0);
}

#[test]
fn random_page_numbers_free_only_the_pages_they_name() {
    let mut balloon = start(balloon_role::INFLATE);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let pages = 512;
    let mut expected = vec![true; pages as usize];
    balloon.fill(FILE_AT, pages * PAGE);
    for _ in 0..200 {
        let count = random.below(40);
        let numbers: Vec<u32> = (0..count)
            .map(|_| match random.below(4) {
                0 => random.next() as u32 | 0x8000_0000,
                1 => number(FILE_AT + FILE_BYTES) + random.below(100) as u32,
                _ => number(FILE_AT) + random.below(pages) as u32,
            })
            .collect();
        for page in numbers.iter().map(|at| at.wrapping_sub(number(FILE_AT))) {
            if let Some(page) = expected.get_mut(page as usize) {
                *page = false;
            }
        }
        balloon.give(&numbers);
    }
    assert!(expected.contains(&true) && expected.contains(&false));
    assert_eq!(balloon.filled(FILE_AT, pages), expected);
}
