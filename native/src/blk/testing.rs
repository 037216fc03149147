//! A driver and a disk file around a real queue thread, for tests.

use super::*;
use crate::counters::{Block, Counters, HEADER_WORDS, queue as words};
use crate::epoll::EventFd;
use crate::image::RawImage;
use crate::memory::GuestRam;
use crate::queue::Position;
use crate::queue::testing::{Buffer, Driver, in_, out, ram};
use crate::queue_thread::{QueueConfig, QueueThread, Stopped, Surroundings};
use crate::reactor::Reactor;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};
use vm_memory::{Bytes, GuestAddress};

const SIZE: u32 = 64;
pub const SECTORS: u64 = 4096;
/// Addresses of the driver's headers, statuses and data.
pub const HEADER: u64 = 0x8000;
pub const STATUS: u64 = 0x9000;
pub const DATA: u64 = 0x2_0000;
pub const FEATURES: u64 = feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES;

/// Flags of an image.
pub const READONLY: u32 = 1;
pub const DISCARDS: u32 = 2;

pub const LIMITS: Limits = Limits { segments: 254, ranges: 4, range_sectors: SECTORS as u32 };

pub struct Fixture {
    pub driver: Driver<'static>,
    pub ram: Arc<GuestRam>,
    pub file: File,
    pub kick: EventFd,
    pub call: EventFd,
    reactor: Arc<Reactor>,
    pub counters: Block,
    queue: Option<QueueThread>,
    /// For the next `start`.
    pub unfinished: Vec<u8>,
    pub limiter: Option<Arc<Limiter>>,
    /// The image of the running queue.
    pub image: Option<Arc<RawImage>>,
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
            limiter: None,
            image: None,
            sectors: SECTORS,
            max_range_sectors: LIMITS.range_sectors,
        };
        fixture.start(flags);
        fixture
    }

    pub fn start(&mut self, flags: u32) {
        self.queue = Some(self.try_start(flags).unwrap());
    }

    pub fn try_start(&mut self, flags: u32) -> crate::errno::Result<QueueThread> {
        let worker = self.worker(flags);
        QueueThread::start(&self.config(), &self.unfinished, worker, self.surroundings())
    }

    pub fn worker(&mut self, flags: u32) -> BlkWorker {
        let (readonly, discard) = (flags & READONLY != 0, flags & DISCARDS != 0);
        let image = RawImage::open(self.file.as_raw_fd(), self.sectors * 512, readonly, discard).unwrap();
        let image = Arc::new(image);
        self.image = Some(image.clone());
        BlkWorker::new(&self.blk_config(), self.driver.layout.features, image, self.limiter.clone())
    }

    /// Starts the queue on an image that another queue uses.
    pub fn share_image(&mut self, image: &Arc<RawImage>) {
        let worker = BlkWorker::new(&self.blk_config(), self.driver.layout.features, image.clone(), None);
        let queue = QueueThread::start(&self.config(), &self.unfinished, worker, self.surroundings());
        self.queue = Some(queue.unwrap());
    }

    /// Forgets the queue, which has been stopped, and sets up an empty one of `size` at other addresses.
    pub fn reset_driver(&mut self, size: u32) {
        let moved = if self.driver.layout.descriptors == 0x1000 { 0x4000 } else { 0x1000 };
        let layout = self.driver.layout;
        self.driver = Driver::new(self.driver.ram, size);
        self.driver.layout.features = layout.features;
        self.driver.layout.descriptors = moved;
        self.driver.layout.available = moved + 0x1000;
        self.driver.layout.used = moved + 0x2000;
        self.write(moved, &[0; 0x3000]);
        self.unfinished.clear();
    }

    pub fn surroundings(&self) -> Surroundings {
        let (ram, reactor) = (self.ram.clone(), self.reactor.clone());
        Surroundings { ram, counters: self.counters, reactor, seccomp: true }
    }

    pub fn blk_config(&self) -> BlkConfig {
        let mut serial = [0; SERIAL_BYTES];
        serial[..5].copy_from_slice(b"disk7");
        BlkConfig {
            image: 0,
            limiter: -1,
            max_segments: LIMITS.segments,
            max_ranges: LIMITS.ranges,
            max_range_sectors: self.max_range_sectors,
            serial,
        }
    }

    pub fn config(&self) -> QueueConfig {
        let layout = self.driver.layout;
        QueueConfig {
            descriptors: layout.descriptors,
            available: layout.available,
            used: layout.used,
            features: layout.features,
            kick_fd: self.kick.as_raw_fd(),
            call_fd: self.call.as_raw_fd(),
            size: layout.size,
            counter_slot: 0,
            last_avail: layout.position.available,
            used_index: layout.position.used,
            ..QueueConfig::default()
        }
    }

    /// The heads in `unfinished`.
    pub fn unfinished_heads(&self) -> Vec<u16> {
        self.unfinished.chunks(2).map(|head| u16::from_le_bytes([head[0], head[1]])).collect()
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
            let failure = self.queue.as_ref().and_then(QueueThread::failure);
            assert!(Instant::now() < deadline && failure.is_none(), "no answer: {failure:?}");
            std::thread::yield_now();
        }
    }

    pub fn assert_served(&self) {
        let failure = self.queue.as_ref().and_then(QueueThread::failure);
        assert!(failure.is_none(), "{failure:?}");
    }

    /// Waits for the queue to fail. Returns the event's data and the text.
    pub fn await_failure(&self) -> (bool, String) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(failure) = self.queue.as_ref().and_then(QueueThread::failure) {
                return failure;
            }
            assert!(Instant::now() < deadline, "the queue is still served");
            std::thread::yield_now();
        }
    }

    /// Stops the queue, so that the next `start` resumes at its position.
    pub fn stop(&mut self) -> Position {
        let mut queue = self.queue.take().unwrap();
        assert!(queue.end(), "the queue is stuck");
        let Stopped { position, unfinished } = queue.stopped();
        self.driver.layout.position = position;
        self.unfinished = unfinished;
        position
    }

    pub fn put_queue(&mut self, queue: QueueThread) {
        self.queue = Some(queue);
    }

    pub fn take_queue(&mut self) -> QueueThread {
        self.queue.take().unwrap()
    }

    /// Waits until the queue uses the memory that it was last given.
    pub fn await_memory(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.queue.as_ref().unwrap().has_memory() {
            self.assert_served();
            assert!(Instant::now() < deadline, "the queue still has its old memory");
            std::thread::yield_now();
        }
    }

    /// Waits until a counter has reached `value`.
    pub fn await_counter(&self, word: usize, value: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.counters.get(word) < value {
            assert!(Instant::now() < deadline, "word {word} is {}", self.counters.get(word));
            std::thread::yield_now();
        }
    }

    pub fn queue(&mut self) -> &mut QueueThread {
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

    /// Bytes allocated to the file.
    pub fn allocated(&self) -> u64 {
        self.file.metadata().unwrap().blocks() * 512
    }

    pub fn on_disk<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }
}
