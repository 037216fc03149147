//! Responses to a driver's requests, valid and invalid.

use super::feature;
use super::request::{STATUS_IOERR, STATUS_OK, STATUS_UNSUPPORTED};
use super::testing::*;
use crate::counters::queue as words;
use crate::image::{Image, WrittenZeros};
use crate::queue::Position;
use crate::queue::testing::{Buffer, in_, out};
use std::os::unix::fs::FileExt;
use vm_memory::{Bytes, GuestAddress};

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
fn data_is_written_and_read_back_in_any_split() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.write(DATA, &pattern(1));
    let buffers = [out(DATA, 3), out(DATA + 3, 0), out(DATA + 3, 600), out(DATA + 603, 421)];
    assert_eq!(disk.request(OUT, 5, &buffers), (STATUS_OK, 1));
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
fn flush_and_get_id_succeed_and_unknown_types_are_unsupported() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    assert_eq!(disk.request(FLUSH, 0, &[]), (STATUS_OK, 1));
    assert_eq!(disk.request(GET_ID, 0, &[in_(DATA, 20)]), (STATUS_OK, 21));
    assert_eq!(&disk.read::<6>(DATA), b"disk7\0");
    for kind in [2, 3, 5, 14, 15, 0x8000_0000] {
        assert_eq!(disk.request(kind, 0, &[in_(DATA, 512)]), (STATUS_UNSUPPORTED, 1), "type {kind}");
    }
}

#[test]
fn requests_beyond_the_disk_or_between_sectors_fail() {
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
fn a_read_only_disk_rejects_changes() {
    let mut disk = Fixture::new(memory_file(), FEATURES, READONLY | DISCARDS);
    assert_eq!(disk.request(OUT, 0, &[out(DATA, 512)]).0, STATUS_IOERR);
    assert_eq!(disk.ranges(DISCARD, &[(0, 1, 0)]), STATUS_IOERR);
    assert_eq!(disk.ranges(WRITE_ZEROES, &[(0, 1, 0)]), STATUS_IOERR);
    assert_eq!(disk.request(IN, 0, &[in_(DATA, 512)]).0, STATUS_OK);
    assert_eq!(disk.request(FLUSH, 0, &[]).0, STATUS_OK);
}

#[test]
fn ranges_are_discarded_and_zeroed() {
    let mut disk = Fixture::new(memory_file(), FEATURES, DISCARDS);
    let fill = |disk: &Fixture| disk.file.write_all_at(&[0xaa; 64 * 512], 0).unwrap();
    fill(&disk);
    assert_eq!(disk.ranges(DISCARD, &[(0, 8, 0), (20, 0, 0), (16, 8, 0)]), STATUS_OK);
    assert!(disk.on_disk::<4096>(0) == [0; 4096]);
    assert!(disk.on_disk::<4096>(4096) == [0xaa; 4096]);
    assert!(disk.on_disk::<4096>(16 * 512) == [0; 4096]);

    // This file system lacks FALLOC_FL_ZERO_RANGE: zeros are written.
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
fn invalid_ranges_are_rejected() {
    let mut disk = Fixture::new(memory_file(), FEATURES, DISCARDS);
    assert_eq!(disk.ranges(DISCARD, &[(0, 1, 1)]), STATUS_UNSUPPORTED, "discard has no unmap flag");
    assert_eq!(disk.ranges(WRITE_ZEROES, &[(0, 1, 2)]), STATUS_UNSUPPORTED);
    assert_eq!(disk.ranges(WRITE_ZEROES, &[(SECTORS, 1, 0)]), STATUS_IOERR);
    assert_eq!(disk.ranges(DISCARD, &[(0, 1, 0), (1, SECTORS as u32, 0)]), STATUS_IOERR);
    assert_eq!(disk.ranges(DISCARD, &[(u64::MAX / 512, u32::MAX, 0)]), STATUS_IOERR);
    assert_eq!(disk.request(DISCARD, 0, &[]).0, STATUS_IOERR);
    assert_eq!(disk.request(DISCARD, 0, &[out(DATA, 15)]).0, STATUS_IOERR);

    let mut plain = Fixture::new(memory_file(), feature::FLUSH, DISCARDS);
    assert_eq!(plain.ranges(DISCARD, &[(0, 1, 0)]), STATUS_UNSUPPORTED, "not negotiated");
    assert_eq!(plain.ranges(WRITE_ZEROES, &[(0, 1, 0)]), STATUS_UNSUPPORTED, "not negotiated");
}

#[test]
fn requests_beyond_the_limits_of_the_config_space_are_rejected() {
    let mut disk = Fixture::new(memory_file(), FEATURES, DISCARDS);
    let most = LIMITS.ranges as usize;
    for kind in [DISCARD, WRITE_ZEROES] {
        assert_eq!(disk.ranges(kind, &vec![(0, 1, 0); most]), STATUS_OK);
        assert_eq!(disk.ranges(kind, &vec![(0, 1, 0); most + 1]), STATUS_UNSUPPORTED);
        assert_eq!(disk.ranges(kind, &[(0, LIMITS.range_sectors, 0)]), STATUS_OK);
    }
    // A range longer than the limit, on a disk that is large enough for it.
    disk.stop();
    disk.sectors = 4 * SECTORS;
    disk.file.set_len(disk.sectors * 512).unwrap();
    disk.start(DISCARDS);
    for kind in [DISCARD, WRITE_ZEROES] {
        assert_eq!(disk.ranges(kind, &[(0, LIMITS.range_sectors + 1, 0)]), STATUS_IOERR);
        assert_eq!(disk.ranges(kind, &[(0, u32::MAX, 0)]), STATUS_IOERR);
    }
    assert_eq!(disk.counters.get(words::DISK_ERRORS), 0, "the driver's mistakes are not the disk's");
}

#[test]
fn more_buffers_than_seg_max_are_rejected() {
    let mut disk = Fixture::new(memory_file(), FEATURES | 1 << 28, 0);
    let table = 0x18_0000;
    let mut request = |buffers: u32| {
        let data = (0..buffers).map(|_| in_(DATA, 512));
        let chain: Vec<_> = [out(HEADER, 16)].into_iter().chain(data).chain([in_(STATUS, 1)]).collect();
        disk.write(HEADER, &[0; 16]);
        disk.driver.write_table(table, &chain);
        let index = disk.driver.used_index();
        disk.driver.offer(&[Buffer::indirect(table, 16 * chain.len() as u32)]);
        disk.kick.signal();
        disk.await_used(index.wrapping_add(1));
        disk.read::<1>(STATUS)[0]
    };
    assert_eq!(request(LIMITS.segments), STATUS_OK);
    assert_eq!(request(LIMITS.segments + 1), STATUS_IOERR);
    assert_eq!(request(1000), STATUS_IOERR);
}

#[test]
fn large_requests_are_executed_in_steps() {
    let mut disk = Fixture::new(memory_file(), FEATURES, DISCARDS);
    disk.stop();
    // One request of 8 MiB, which takes four steps, and a range that takes several.
    disk.sectors = (200 << 20) / 512;
    disk.file.set_len(disk.sectors * 512).unwrap();
    disk.max_range_sectors = u32::MAX;
    disk.start(DISCARDS);
    let at = 0x8_0000;
    let bytes: Vec<u8> = (0..0x10_0000).map(|at: u32| (at / 4099) as u8).collect();
    disk.write(at, &bytes);
    let eight = |buffer: fn(u64, u32) -> Buffer| vec![buffer(at, 0x10_0000); 8];
    assert_eq!(disk.request(OUT, 7, &eight(out)), (STATUS_OK, 1));
    let mut found = vec![0; bytes.len()];
    for part in 0..8 {
        disk.file.read_exact_at(&mut found, 7 * 512 + part * 0x10_0000).unwrap();
        assert!(found == bytes, "part {part}");
    }
    disk.write(at, &vec![0; bytes.len()]);
    assert_eq!(disk.request(IN, 7, &eight(in_)), (STATUS_OK, 0x80_0001));
    disk.ram.read_slice(&mut found, GuestAddress(at)).unwrap();
    assert!(found == bytes);

    disk.file.write_all_at(&[1], 0).unwrap();
    disk.file.write_all_at(&[1], (200 << 20) - 1).unwrap();
    assert_eq!(disk.ranges(DISCARD, &[(1, disk.sectors as u32 - 2, 0)]), STATUS_OK);
    assert_eq!(disk.on_disk::<1>(0), [1]);
    assert_eq!(disk.on_disk::<1>((200 << 20) - 1), [1]);
    for step in 0..4 {
        assert_eq!(disk.on_disk::<1024>(((step * 64) << 20) + 7 * 512), [0; 1024], "step {step}");
    }
    assert_eq!(disk.allocated(), 2 * 4096);
}

#[test]
fn written_zeros_take_no_space_where_they_are_detected() {
    let mut disk = Fixture::new(memory_file(), FEATURES, DISCARDS);
    let (kib, page) = (1024u32, 4096u64);
    disk.write(DATA, &[0; 65536]);
    let write = |disk: &mut Fixture, sector| disk.request(OUT, sector, &[out(DATA, 64 * kib)]).0;
    assert_eq!(write(&mut disk, 0), STATUS_OK);
    assert_eq!(disk.allocated(), 16 * page, "zeros are data unless somebody looks");

    disk.image.as_ref().unwrap().state().set_written_zeros(WrittenZeros::Unmapped);
    let before = disk.counters.get(words::BYTES_FROM_GUEST);
    assert_eq!((write(&mut disk, 0), write(&mut disk, 256)), (STATUS_OK, STATUS_OK));
    assert_eq!(disk.allocated(), 0);
    assert_eq!(disk.counters.get(words::BYTES_FROM_GUEST) - before, 128 * 1024);

    // One bit, at the end.
    disk.write(DATA + 65535, &[1]);
    assert_eq!(write(&mut disk, 0), STATUS_OK);
    assert_eq!((disk.allocated(), disk.on_disk::<1>(65535)), (16 * page, [1]));
    // Over data, in several buffers that are not page-aligned.
    disk.write(DATA, &[0; 65536]);
    let parts = [out(DATA + 3, 512), out(DATA + 600, 700), out(DATA, 65536 - 1212 - 1024)];
    assert_eq!(disk.request(OUT, 1, &parts).0, STATUS_OK);
    assert_eq!((disk.on_disk::<1>(65535), disk.on_disk::<4096>(8192)), ([1], [0; 4096]));

    disk.image.as_ref().unwrap().state().set_written_zeros(WrittenZeros::Zeroed);
    let allocated = disk.allocated();
    assert_eq!(write(&mut disk, 0), STATUS_OK);
    assert_eq!((disk.on_disk::<1>(65535), disk.allocated() >= allocated), ([0], true));
}

#[test]
fn a_truncated_file_causes_errors() {
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
    let taken = position.available.wrapping_sub(position.used);
    assert_eq!(usize::from(taken), disk.unfinished_heads().len());
    assert_eq!(position.used, disk.driver.used_index());
    for tag in 0..u64::from(position.used) {
        let (head, _) = disk.driver.used(tag as u16);
        let tag = u64::from(head) / 3;
        assert!(disk.on_disk::<4096>(tag * 4096) == [tag as u8; 4096], "request {tag}");
        assert_eq!(disk.read::<1>(STATUS + tag), [STATUS_OK]);
    }
    // The next thread finishes the requests that were taken and takes the others, without a kick.
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
fn counts_requests_found_without_a_kick() {
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
    // The driver either had to kick or not; occasionally it checks just as the thread changes its mind.
    let kicked = disk.counters.get(words::KICKS) + disk.counters.get(words::KICKS_SUPPRESSED);
    assert!((180..=220).contains(&kicked), "{kicked} of 200 batches");
}

#[test]
fn buffers_that_o_direct_would_reject_are_bounced() {
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
fn a_driver_that_violates_the_specification_breaks_its_queue() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    assert_eq!(disk.request(FLUSH, 0, &[]).0, STATUS_OK);
    disk.driver.set_available_index(500);
    disk.kick.signal();
    let failure = disk.await_failure();
    assert_eq!(failure, (true, "the driver offered 499 chains in a queue of 64".into()));
    assert_eq!(disk.stop(), Position { available: 1, used: 1 });
}

#[test]
fn requests_without_header_or_status_break_the_queue() {
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
