//! A driver and a disk file around a real queue thread, for tests.

use super::disk::{Limits, SERIAL_BYTES, feature};
use super::*;
use crate::counters::{Counters, HEADER_WORDS, queue as words};
use crate::queue::testing::{Buffer, Driver, in_, out, ram};
use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};
use vm_memory::{Bytes, GuestAddress};

const SIZE: u32 = 64;
pub const SECTORS: u64 = 4096;
/// Where the driver places everything else.
pub const HEADER: u64 = 0x8000;
pub const STATUS: u64 = 0x9000;
pub const DATA: u64 = 0x2_0000;
pub const FEATURES: u64 = feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES;

pub const LIMITS: Limits = Limits { segments: 254, ranges: 4, range_sectors: SECTORS as u32 };

pub struct Fixture {
    pub driver: Driver<'static>,
    pub ram: Arc<GuestRam>,
    pub file: File,
    pub kick: EventFd,
    pub call: EventFd,
    reactor: Arc<Reactor>,
    pub counters: Block,
    queue: Option<BlkQueue>,
    /// For the next `start`.
    pub unfinished: Vec<u16>,
    pub sectors: u64,
    pub max_range_sectors: u32,
}

pub fn memory_file() -> File {
    // SAFETY: the name is a NUL-terminated string; a non-negative result is a new fd.
    unsafe { File::from_raw_fd(libc::memfd_create(c"disk".as_ptr(), libc::MFD_CLOEXEC)) }
}

/// An unlinked file in the temporary folder, open with O_DIRECT.
pub fn direct_file() -> File {
    let path = std::env::temp_dir().join(format!("vring-native-{}-{:p}", std::process::id(), &HEADER));
    let mut options = File::options();
    options.read(true).write(true).create(true).custom_flags(libc::O_DIRECT);
    let file = options.open(&path).expect("a temporary folder that takes O_DIRECT");
    std::fs::remove_file(path).unwrap();
    file
}

impl Fixture {
    pub fn new(file: File, features: u64, flags: u32) -> Fixture {
        file.set_len(SECTORS * 512).unwrap();
        let ram = Arc::new(ram());
        // Leaked, so that the driver can borrow it.
        let shared: &'static Arc<GuestRam> = Box::leak(Box::new(ram.clone()));
        let words: &'static [u64] = Box::leak(vec![0; HEADER_WORDS + words::WORDS].into_boxed_slice());
        // SAFETY: the words are leaked.
        let counters = unsafe { Counters::new(words.as_ptr(), words.len(), 0, 1) }.unwrap();
        let mut driver = Driver::new(shared, SIZE);
        driver.layout.features = features;
        let mut fixture = Fixture {
            driver,
            ram,
            file,
            kick: EventFd::new().unwrap(),
            call: EventFd::new().unwrap(),
            reactor: Arc::new(Reactor::new().unwrap()),
            counters: counters.queue(0).unwrap(),
            queue: None,
            unfinished: Vec::new(),
            sectors: SECTORS,
            max_range_sectors: LIMITS.range_sectors,
        };
        fixture.start(flags);
        fixture
    }

    pub fn start(&mut self, flags: u32) {
        let queue =
            BlkQueue::start(&self.config(flags), self.ram.clone(), self.counters, self.reactor.clone(), true);
        self.queue = Some(queue.unwrap());
    }

    pub fn config(&self, flags: u32) -> BlkQueueConfig {
        let mut serial = [0; SERIAL_BYTES];
        serial[..5].copy_from_slice(b"disk7");
        let mut unfinished = [0; MAX_IN_FLIGHT as usize];
        unfinished[..self.unfinished.len()].copy_from_slice(&self.unfinished);
        let layout = self.driver.layout;
        BlkQueueConfig {
            descriptors: layout.descriptors,
            available: layout.available,
            used: layout.used,
            features: layout.features,
            disk_size: self.sectors * 512,
            disk_fd: self.file.as_raw_fd(),
            kick_fd: self.kick.as_raw_fd(),
            call_fd: self.call.as_raw_fd(),
            size: layout.size,
            counter_slot: 0,
            last_avail: layout.position.available,
            used_index: layout.position.used,
            flags,
            max_segments: LIMITS.segments,
            max_ranges: LIMITS.ranges,
            max_range_sectors: self.max_range_sectors,
            unfinished_count: self.unfinished.len() as u32,
            unfinished,
            serial,
        }
    }

    /// Offers a request whose header is at `HEADER + 16 * tag` and whose status byte is at `STATUS + tag`.
    pub fn offer(&mut self, tag: u64, kind: u32, sector: u64, data: &[Buffer]) {
        let header = HEADER + 16 * tag;
        self.write(header, &u64::from(kind).to_le_bytes());
        self.write(header + 8, &sector.to_le_bytes());
        self.write(STATUS + tag, &[0xff]);
        let mut chain = vec![out(header, 16)];
        chain.extend_from_slice(data);
        chain.push(in_(STATUS + tag, 1));
        self.driver.offer(&chain);
    }

    /// One request, from offer to completion. Returns its status and the length in the used ring.
    pub fn request(&mut self, kind: u32, sector: u64, data: &[Buffer]) -> (u8, u32) {
        let index = self.driver.used_index();
        self.offer(0, kind, sector, data);
        self.kick.signal();
        self.await_used(index.wrapping_add(1));
        (self.read::<1>(STATUS)[0], self.driver.used(index).1)
    }

    pub fn ranges(&mut self, kind: u32, ranges: &[(u64, u32, u32)]) -> u8 {
        let raw: Vec<u8> = ranges
            .iter()
            .flat_map(|(sector, sectors, flags)| {
                [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat()
            })
            .collect();
        self.write(DATA, &raw);
        self.request(kind, 0, &[out(DATA, raw.len() as u32)]).0
    }

    /// Waits until the used index has reached `index`.
    pub fn await_used(&self, index: u16) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while (self.driver.used_index().wrapping_sub(index) as i16) < 0 {
            let failure = self.queue.as_ref().and_then(BlkQueue::failure);
            assert!(Instant::now() < deadline && failure.is_none(), "no answer: {failure:?}");
            std::thread::yield_now();
        }
    }

    /// Waits for the queue to fail. Returns the event's data and the text.
    pub fn await_failure(&self) -> (bool, String) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(failure) = self.queue.as_ref().and_then(BlkQueue::failure) {
                return failure;
            }
            assert!(Instant::now() < deadline, "the queue is still served");
            std::thread::yield_now();
        }
    }

    /// Stops the queue, so that the next `start` continues where it was.
    pub fn stop(&mut self) -> Position {
        let mut queue = self.queue.take().unwrap();
        assert!(queue.end(), "the queue is stuck");
        let Stopped { position, unfinished } = queue.stopped();
        self.driver.layout.position = position;
        self.unfinished = unfinished;
        position
    }

    pub fn take_queue(&mut self) -> BlkQueue {
        self.queue.take().unwrap()
    }

    /// Waits until a counter has reached `value`.
    pub fn await_counter(&self, word: usize, value: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.counters.get(word) < value {
            assert!(Instant::now() < deadline, "word {word} is {}", self.counters.get(word));
            std::thread::yield_now();
        }
    }

    pub fn queue(&mut self) -> &mut BlkQueue {
        self.queue.as_mut().unwrap()
    }

    pub fn write(&self, address: u64, bytes: &[u8]) {
        self.ram.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub fn read<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    /// Bytes that the file occupies.
    pub fn allocated(&self) -> u64 {
        self.file.metadata().unwrap().blocks() * 512
    }

    pub fn on_disk<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }
}
