//! A driver and a disk file around a real queue thread.

use super::disk::feature;
use super::request::{STATUS_IOERR, STATUS_OK, STATUS_UNSUPPORTED};
use super::*;
use crate::counters::{Counters, HEADER_WORDS, queue as words};
use crate::queue::testing::{Buffer, Driver, in_, out, ram};
use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};
use vm_memory::{Bytes, GuestAddress};

const SIZE: u32 = 64;
const SECTORS: u64 = 4096;
/// Where the driver keeps what it is not asked to place elsewhere.
const HEADER: u64 = 0x8000;
const STATUS: u64 = 0x9000;
const DATA: u64 = 0x2_0000;
const FEATURES: u64 = feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES;

struct Fixture {
    driver: Driver<'static>,
    ram: Arc<GuestRam>,
    file: File,
    kick: EventFd,
    call: EventFd,
    reactor: Arc<Reactor>,
    counters: Block,
    queue: Option<BlkQueue>,
}

fn memory_file() -> File {
    // SAFETY: the name is a NUL-terminated string; a non-negative result is a new fd.
    unsafe { File::from_raw_fd(libc::memfd_create(c"disk".as_ptr(), libc::MFD_CLOEXEC)) }
}

/// An unlinked file in the temporary folder, open with O_DIRECT.
fn direct_file() -> File {
    let path = std::env::temp_dir().join(format!("vring-native-{}-{:p}", std::process::id(), &HEADER));
    let mut options = File::options();
    options.read(true).write(true).create(true).custom_flags(libc::O_DIRECT);
    let file = options.open(&path).expect("a temporary folder that takes O_DIRECT");
    std::fs::remove_file(path).unwrap();
    file
}

impl Fixture {
    fn new(file: File, features: u64, flags: u32) -> Fixture {
        file.set_len(SECTORS * 512).unwrap();
        let ram = Arc::new(ram());
        // For the test's process, so that the driver can borrow it.
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
        };
        fixture.start(flags);
        fixture
    }

    fn start(&mut self, flags: u32) {
        let mut serial = [0; SERIAL_BYTES];
        serial[..5].copy_from_slice(b"disk7");
        let layout = self.driver.layout;
        let config = BlkQueueConfig {
            descriptors: layout.descriptors,
            available: layout.available,
            used: layout.used,
            features: layout.features,
            disk_size: SECTORS * 512,
            disk_fd: self.file.as_raw_fd(),
            kick_fd: self.kick.as_raw_fd(),
            call_fd: self.call.as_raw_fd(),
            size: layout.size,
            counter_slot: 0,
            last_avail: layout.position.available,
            used_index: layout.position.used,
            flags,
            serial,
        };
        let queue = BlkQueue::start(&config, self.ram.clone(), self.counters, self.reactor.clone(), true);
        self.queue = Some(queue.unwrap());
    }

    /// Offers a request whose header is at `HEADER + 16 * tag` and whose status byte is at `STATUS + tag`.
    fn offer(&mut self, tag: u64, kind: u32, sector: u64, data: &[Buffer]) {
        let header = HEADER + 16 * tag;
        self.write(header, &u64::from(kind).to_le_bytes());
        self.write(header + 8, &sector.to_le_bytes());
        self.write(STATUS + tag, &[0xff]);
        let mut chain = vec![out(header, 16)];
        chain.extend_from_slice(data);
        chain.push(in_(STATUS + tag, 1));
        self.driver.offer(&chain);
    }

    /// One request, from offer to answer. Returns its status and the length in the used ring.
    fn request(&mut self, kind: u32, sector: u64, data: &[Buffer]) -> (u8, u32) {
        let index = self.driver.used_index();
        self.offer(0, kind, sector, data);
        self.kick.signal();
        self.await_used(index.wrapping_add(1));
        (self.read::<1>(STATUS)[0], self.driver.used(index).1)
    }

    fn ranges(&mut self, kind: u32, ranges: &[(u64, u32, u32)]) -> u8 {
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
    fn await_used(&self, index: u16) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while (self.driver.used_index().wrapping_sub(index) as i16) < 0 {
            let failure = self.queue.as_ref().and_then(BlkQueue::failure);
            assert!(Instant::now() < deadline && failure.is_none(), "no answer: {failure:?}");
            std::thread::yield_now();
        }
    }

    /// Waits for the queue to fail. Returns the event's data and the text.
    fn await_failure(&self) -> (bool, String) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(failure) = self.queue.as_ref().and_then(BlkQueue::failure) {
                return failure;
            }
            assert!(Instant::now() < deadline, "the queue is still served");
            std::thread::yield_now();
        }
    }

    fn stop(&mut self) -> Position {
        self.queue.take().unwrap().join()
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        self.ram.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    fn read<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    fn on_disk<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }
}

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

fn pattern(seed: u8) -> [u8; 1024] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(7).wrapping_add(seed))
}

#[test]
fn data_is_written_and_read_back_in_any_pieces() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.write(DATA, &pattern(1));
    let pieces = [out(DATA, 3), out(DATA + 3, 0), out(DATA + 3, 600), out(DATA + 603, 421)];
    assert_eq!(disk.request(OUT, 5, &pieces), (STATUS_OK, 1));
    assert_eq!(disk.on_disk::<1024>(5 * 512), pattern(1));
    let target = DATA + 0x1_0000;
    assert_eq!(disk.request(IN, 5, &[in_(target + 1, 1000), in_(target + 1001, 24)]), (STATUS_OK, 1025));
    assert_eq!(disk.read::<1024>(target + 1), pattern(1));
    assert_eq!(disk.counters.get(words::BYTES_FROM_GUEST), 1024);
    assert_eq!(disk.counters.get(words::BYTES_TO_GUEST), 1024);
    assert_eq!(disk.counters.get(words::REQUESTS), 2);
}

#[test]
fn header_and_status_may_share_descriptors_with_data() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.write(HEADER, &[0; 16]);
    disk.file.write_all_at(&pattern(9), 0).unwrap();
    disk.driver.offer(&[out(HEADER, 10), out(HEADER + 10, 6), in_(DATA, 513)]);
    disk.kick.signal();
    disk.await_used(1);
    assert_eq!(disk.driver.used(0).1, 513);
    assert_eq!(disk.read::<512>(DATA), pattern(9)[..512]);
    assert_eq!(disk.read::<1>(DATA + 512), [STATUS_OK]);
}

#[test]
fn flush_and_identity_are_answered_and_unknown_types_are_not_supported() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    assert_eq!(disk.request(FLUSH, 0, &[]), (STATUS_OK, 1));
    assert_eq!(disk.request(GET_ID, 0, &[in_(DATA, 20)]), (STATUS_OK, 21));
    assert_eq!(&disk.read::<6>(DATA), b"disk7\0");
    for kind in [2, 3, 5, 14, 15, 0x8000_0000] {
        assert_eq!(disk.request(kind, 0, &[in_(DATA, 512)]), (STATUS_UNSUPPORTED, 1), "type {kind}");
    }
}

#[test]
fn what_lies_beyond_the_disk_or_between_sectors_is_an_error() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    let data = [in_(DATA, 1024)];
    assert_eq!(disk.request(IN, SECTORS - 2, &data).0, STATUS_OK);
    for sector in [SECTORS - 1, SECTORS, u64::MAX / 512, u64::MAX / 512 + 1, u64::MAX] {
        assert_eq!(disk.request(IN, sector, &data), (STATUS_IOERR, 1), "sector {sector}");
        assert_eq!(disk.request(OUT, sector, &[out(DATA, 1024)]).0, STATUS_IOERR, "sector {sector}");
    }
    assert_eq!(disk.request(IN, 0, &[in_(DATA, 513)]).0, STATUS_IOERR);
    assert_eq!(disk.request(OUT, 0, &[out(DATA, 511)]).0, STATUS_IOERR);
    assert_eq!(disk.counters.get(words::ERRORS), 12);
}

#[test]
fn a_read_only_disk_refuses_to_change() {
    let mut disk = Fixture::new(memory_file(), FEATURES, flag::READONLY | flag::DISCARD);
    assert_eq!(disk.request(OUT, 0, &[out(DATA, 512)]).0, STATUS_IOERR);
    assert_eq!(disk.ranges(DISCARD, &[(0, 1, 0)]), STATUS_IOERR);
    assert_eq!(disk.ranges(WRITE_ZEROES, &[(0, 1, 0)]), STATUS_IOERR);
    assert_eq!(disk.request(IN, 0, &[in_(DATA, 512)]).0, STATUS_OK);
    assert_eq!(disk.request(FLUSH, 0, &[]).0, STATUS_OK);
}

#[test]
fn ranges_are_discarded_and_zeroed() {
    let mut disk = Fixture::new(memory_file(), FEATURES, flag::DISCARD);
    let fill = |disk: &Fixture| disk.file.write_all_at(&[0xaa; 64 * 512], 0).unwrap();
    fill(&disk);
    assert_eq!(disk.ranges(DISCARD, &[(0, 8, 0), (20, 0, 0), (16, 8, 0)]), STATUS_OK);
    assert!(disk.on_disk::<4096>(0) == [0; 4096]);
    assert!(disk.on_disk::<4096>(4096) == [0xaa; 4096]);
    assert!(disk.on_disk::<4096>(16 * 512) == [0; 4096]);

    // This file system has no FALLOC_FL_ZERO_RANGE: zeros are written.
    fill(&disk);
    assert_eq!(disk.ranges(WRITE_ZEROES, &[(1, 2, 0), (8, 1, 1)]), STATUS_OK);
    assert_eq!(disk.on_disk::<512>(0), [0xaa; 512]);
    assert_eq!(disk.on_disk::<1024>(512), [0; 1024]);
    assert_eq!(disk.on_disk::<512>(3 * 512), [0xaa; 512]);
    assert_eq!(disk.on_disk::<512>(8 * 512), [0; 512]);

    let big = vec![0xaa; (SECTORS * 512) as usize];
    disk.file.write_all_at(&big, 0).unwrap();
    assert_eq!(disk.ranges(WRITE_ZEROES, &[(1, SECTORS as u32 - 2, 0)]), STATUS_OK);
    let mut expected = vec![0; (SECTORS * 512) as usize];
    expected[..512].fill(0xaa);
    expected[(SECTORS as usize - 1) * 512..].fill(0xaa);
    let mut found = big;
    disk.file.read_exact_at(&mut found, 0).unwrap();
    assert!(found == expected);
}

#[test]
fn bad_ranges_are_refused() {
    let mut disk = Fixture::new(memory_file(), FEATURES, flag::DISCARD);
    assert_eq!(disk.ranges(DISCARD, &[(0, 1, 1)]), STATUS_UNSUPPORTED, "discard has no unmap flag");
    assert_eq!(disk.ranges(WRITE_ZEROES, &[(0, 1, 2)]), STATUS_UNSUPPORTED);
    assert_eq!(disk.ranges(WRITE_ZEROES, &[(SECTORS, 1, 0)]), STATUS_IOERR);
    assert_eq!(disk.ranges(DISCARD, &[(0, 1, 0), (1, SECTORS as u32, 0)]), STATUS_IOERR);
    assert_eq!(disk.ranges(DISCARD, &[(u64::MAX / 512, u32::MAX, 0)]), STATUS_IOERR);
    assert_eq!(disk.ranges(DISCARD, &[(0, 1, 0); 257]), STATUS_IOERR);
    assert_eq!(disk.request(DISCARD, 0, &[]).0, STATUS_IOERR);
    assert_eq!(disk.request(DISCARD, 0, &[out(DATA, 15)]).0, STATUS_IOERR);

    let mut plain = Fixture::new(memory_file(), feature::FLUSH, flag::DISCARD);
    assert_eq!(plain.ranges(DISCARD, &[(0, 1, 0)]), STATUS_UNSUPPORTED, "not negotiated");
    assert_eq!(plain.ranges(WRITE_ZEROES, &[(0, 1, 0)]), STATUS_UNSUPPORTED, "not negotiated");
}

#[test]
fn a_file_that_has_become_shorter_gives_errors() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.file.set_len(512).unwrap();
    assert_eq!(disk.request(IN, 0, &[in_(DATA, 1024)]), (STATUS_IOERR, 1));
    assert_eq!(disk.request(IN, 0, &[in_(DATA, 512)]).0, STATUS_OK);
}

#[test]
fn many_requests_are_in_flight_and_a_stop_waits_for_them() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    for tag in 0..21 {
        disk.write(DATA + tag * 4096, &[tag as u8; 4096]);
        disk.offer(tag, OUT, tag * 8, &[out(DATA + tag * 4096, 4096)]);
    }
    disk.kick.signal();
    disk.await_used(1);
    let position = disk.stop();
    assert_eq!(position.available, position.used);
    assert_eq!(position.used, disk.driver.used_index());
    for tag in 0..u64::from(position.used) {
        let (head, _) = disk.driver.used(tag as u16);
        let tag = u64::from(head) / 3;
        assert!(disk.on_disk::<4096>(tag * 4096) == [tag as u8; 4096], "request {tag}");
        assert_eq!(disk.read::<1>(STATUS + tag), [STATUS_OK]);
    }
    // What had not been taken is, by the next thread, without a kick.
    disk.driver.layout.position = position;
    disk.start(0);
    disk.await_used(21);
    assert_eq!(disk.counters.get(words::IN_FLIGHT), 0);
    assert_eq!(disk.counters.get(words::REQUESTS), 21);
    assert!((1..=21).contains(&disk.counters.get(words::MAX_IN_FLIGHT)));
    let latencies: u64 = (0..32).map(|bucket| disk.counters.get(words::LATENCY + bucket)).sum();
    assert_eq!(latencies, 21);
    assert!(disk.counters.get(words::LATENCY_NS) > 0);
}

#[test]
fn what_is_found_without_having_asked_for_a_kick_is_counted() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    for _ in 0..200 {
        let index = disk.driver.used_index();
        disk.offer(0, FLUSH, 0, &[]);
        if disk.driver.used_flags() == 0 {
            disk.kick.signal();
        }
        disk.await_used(index.wrapping_add(1));
    }
    disk.stop();
    assert_eq!(disk.counters.get(words::BATCHES), 200);
    // Either the driver had to kick or it didn't; a few times it looks just when the thread changes its mind.
    let kicked = disk.counters.get(words::KICKS) + disk.counters.get(words::KICKS_SUPPRESSED);
    assert!((180..=220).contains(&kicked), "{kicked} of 200 batches");
}

#[test]
fn buffers_that_o_direct_would_refuse_are_bounced() {
    let mut disk = Fixture::new(direct_file(), FEATURES, 0);
    // More requests than bounce buffers.
    for tag in 0..20 {
        disk.write(DATA + tag * 1024 + 1, &pattern(tag as u8));
        disk.offer(tag, OUT, tag * 2, &[out(DATA + tag * 1024 + 1, 1024)]);
        disk.kick.signal();
    }
    disk.await_used(20);
    let target = 0x8_0000;
    for tag in 0..20 {
        assert_eq!(disk.read::<1>(STATUS + tag), [STATUS_OK]);
        assert_eq!(disk.request(IN, tag * 2, &[in_(target + 3, 1024)]), (STATUS_OK, 1025));
        assert_eq!(disk.read::<1024>(target + 3), pattern(tag as u8));
    }
    // Larger than one bounce buffer.
    let big: Vec<u8> = (0..600 * 1024).map(|at| (at / 251) as u8).collect();
    disk.write(target + 5, &big);
    assert_eq!(disk.request(OUT, 100, &[out(target + 5, big.len() as u32)]).0, STATUS_OK);
    disk.write(target + 5, &vec![0; big.len()]);
    assert_eq!(disk.request(IN, 100, &[in_(target + 5, big.len() as u32)]).0, STATUS_OK);
    let mut found = vec![0; big.len()];
    disk.ram.read_slice(&mut found, GuestAddress(target + 5)).unwrap();
    assert!(found == big);
}

#[test]
fn a_driver_that_breaks_the_rules_ends_its_queue() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    assert_eq!(disk.request(FLUSH, 0, &[]).0, STATUS_OK);
    disk.driver.set_available_index(500);
    disk.kick.signal();
    let failure = disk.await_failure();
    assert_eq!(failure, (true, "the driver offered 499 chains in a queue of 64".into()));
    assert_eq!(disk.stop(), Position { available: 1, used: 1 });
}

#[test]
fn requests_without_header_or_status_end_the_queue() {
    let mut no_status = Fixture::new(memory_file(), FEATURES, 0);
    no_status.driver.offer(&[out(HEADER, 16)]);
    no_status.kick.signal();
    assert_eq!(no_status.await_failure().1, "the driver made a disk request without a status byte");
    assert_eq!(no_status.driver.used_index(), 0);

    let mut no_header = Fixture::new(memory_file(), FEATURES, 0);
    no_header.driver.offer(&[out(HEADER, 15), in_(STATUS, 1)]);
    no_header.kick.signal();
    assert_eq!(no_header.await_failure().1, "the driver made a disk request without a header");
}

#[test]
fn interrupts_are_sent_unless_the_driver_declines_them() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.request(FLUSH, 0, &[]);
    while disk.call.drain() == 0 {
        std::thread::yield_now();
    }
    disk.driver.set_available_flags(1);
    disk.request(FLUSH, 0, &[]);
    disk.stop();
    assert_eq!(disk.call.drain(), 0);
    assert_eq!(disk.counters.get(words::INTERRUPTS), 1);
    assert_eq!(disk.counters.get(words::INTERRUPTS_SUPPRESSED), 1);
}
