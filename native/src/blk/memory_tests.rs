//! A queue thread whose guest memory changes while it runs, and the log of what it writes.

use super::testing::*;
use crate::memory::{GuestRam, Region, guest_ram, set_write_log, take_written};
use crate::queue::testing::{Random, in_, out, ram};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

const IN: u32 = 0;
const OUT: u32 = 1;
const PAGE: u64 = 4096;
/// Where memory is added.
const ADDED: u64 = 0x1000_0000;

/// The regions of a fixture's RAM.
fn regions(ram: &GuestRam) -> Vec<Region> {
    let region = |region: &vm_memory::GuestRegionMmap<_>| Region {
        gpa: region.start_addr().0,
        size: region.len(),
        host: region.as_ptr() as u64,
        ..Region::default()
    };
    ram.iter().map(region).collect()
}

/// Like `regions`, moved to another guest address.
fn moved(ram: &GuestRam, to: u64) -> Vec<Region> {
    regions(ram).into_iter().map(|region| Region { gpa: region.gpa + to, ..region }).collect()
}

fn memory_of(regions: &[Region]) -> Arc<GuestRam> {
    // SAFETY: the tests leak the memory behind the regions.
    Arc::new(unsafe { guest_ram(regions) }.unwrap())
}

/// Memory that is never unmapped.
fn leaked() -> &'static GuestRam {
    Box::leak(Box::new(ram()))
}

fn leaked_page() -> &'static GuestRam {
    Box::leak(Box::new(GuestRam::from_ranges(&[(GuestAddress(0), PAGE as usize)]).unwrap()))
}

#[test]
fn a_running_queue_can_access_added_memory() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.file.write_all_at(b"a sector", 7 * 512).unwrap();
    let old = regions(disk.driver.ram);
    for round in 0..500u64 {
        let (added, address) = (leaked_page(), ADDED + round % 3 * PAGE);
        let memory = memory_of(&[old.clone(), moved(added, address)].concat());
        match round % 2 {
            0 => disk.queue().use_memory(memory),
            // The thread sees the request first; it must not serve it from its old memory.
            _ => disk.queue().use_memory_silently(memory),
        }
        assert_eq!(disk.request(IN, 7, &[in_(address + 16, 512)]), (0, 513));
        let mut text = [0; 8];
        added.read_slice(&mut text, GuestAddress(16)).unwrap();
        assert_eq!(&text, b"a sector");
    }

    disk.queue().use_memory(memory_of(&old));
    disk.offer(0, IN, 7, &[in_(ADDED + 16, 512)]);
    disk.kick.signal();
    assert_eq!(
        disk.await_failure(),
        (true, "the driver put a buffer of 512 bytes at 0x10000010, which is not all RAM".into())
    );
}

#[test]
fn a_queue_breaks_when_the_memory_of_its_ring_is_removed() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.queue().use_memory(memory_of(&moved(leaked(), ADDED)));
    let (by_guest, text) = disk.await_failure();
    assert!(by_guest && text.contains("which is not all RAM"), "{text}");
}

#[test]
fn read_only_memory_is_read_and_not_written() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    let rom = leaked();
    rom.write_slice(&[0x5a; 512], GuestAddress(0)).unwrap();
    let readonly =
        moved(rom, ADDED).into_iter().map(|region| Region { readonly: 1, ..region }).collect::<Vec<_>>();
    let all = memory_of(&[regions(disk.driver.ram), readonly].concat());
    disk.queue().use_memory(all.clone());
    disk.await_memory();
    assert_eq!(disk.request(OUT, 0, &[out(ADDED, 512)]).0, 0);
    assert_eq!(disk.on_disk::<512>(0), [0x5a; 512]);
    disk.offer(0, IN, 8, &[in_(ADDED + 0x1000, 512)]);
    disk.kick.signal();
    let text = "the driver put a writable buffer at 0x10001000, which can only be read";
    assert_eq!(disk.await_failure(), (true, text.into()));

    disk.take_queue();
    disk.ram = all;
    disk.driver.layout.used = ADDED + 0x2000;
    assert_eq!(disk.try_start(0).err(), Some(crate::errno::Errno(libc::EINVAL)));
}

#[test]
fn no_request_is_lost_or_served_twice_while_memory_changes() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    let old = regions(disk.driver.ram);
    let maps = [memory_of(&old), memory_of(&[old.clone(), moved(leaked(), ADDED)].concat())];
    let mut random = Random(5);
    let mut expected = vec![0u8; SECTORS as usize];
    for round in 0..300u64 {
        let count = 1 + random.below(8);
        let before = disk.driver.used_index();
        let mut reads = Vec::new();
        for tag in 0..count {
            // Each request has its own sector, so that their order does not matter.
            let sector = round % 64 * 8 + tag;
            let data = DATA + tag * 512;
            if random.below(2) == 0 {
                expected[sector as usize] = round as u8;
                disk.write(data, &[round as u8; 512]);
                disk.offer(tag, OUT, sector, &[out(data, 512)]);
            } else {
                disk.offer(tag, IN, sector, &[in_(data, 512)]);
                reads.push((sector, data));
            }
        }
        disk.kick.signal();
        for _ in 0..random.below(4) {
            disk.queue().use_memory(maps[random.below(2) as usize].clone());
        }
        disk.await_used(before.wrapping_add(count as u16));
        assert_eq!(disk.driver.used_index(), before.wrapping_add(count as u16));
        for (sector, data) in reads {
            assert_eq!(disk.read::<512>(data), [expected[sector as usize]; 512]);
        }
    }
    let requests = disk.counters.get(crate::counters::queue::REQUESTS);
    let position = disk.stop();
    assert_eq!(requests, u64::from(position.available));
    for (sector, byte) in (0..).zip(&expected) {
        assert_eq!(disk.on_disk::<1>(512 * sector), [*byte]);
    }
}

/// A disk whose memory has a 2 MiB dirty log, turned off.
fn logged() -> (Fixture, *const u64) {
    let pages = 0x20_0000 / PAGE;
    let mut words = vec![0; 2 + pages as usize / 64];
    words[1] = pages;
    let log = words.leak().as_ptr();
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.stop();
    let regions: Vec<_> = regions(disk.driver.ram)
        .into_iter()
        .map(|region| Region { log: log as u64, offset: region.gpa, ..region })
        .collect();
    // The test's own writes are not logged.
    let unlogged = std::mem::replace(&mut disk.ram, memory_of(&regions));
    disk.start(0);
    disk.ram = unlogged;
    (disk, log)
}

/// The pages in the log since the last call.
fn written(log: *const u64) -> Vec<u64> {
    let mut words = [0; 0x20_0000 / PAGE as usize / 64];
    // SAFETY: the words are leaked.
    unsafe { take_written(log, |index, bits| words[index] = bits) }.unwrap();
    (0..64 * words.len() as u64).filter(|page| words[*page as usize / 64] >> (page % 64) & 1 != 0).collect()
}

#[test]
fn the_log_contains_the_pages_that_a_queue_writes() {
    let (mut disk, log) = logged();
    assert_eq!(disk.request(IN, 0, &[in_(DATA, 512)]).0, 0);
    assert!(written(log).is_empty());
    // SAFETY: the words are leaked.
    unsafe { set_write_log(log, true) }.unwrap();
    // The used ring is in page 3, and the statuses are in page 9; the second region begins at page 0x100.
    assert_eq!(disk.request(IN, 0, &[in_(DATA + 4000, 512), in_(0xf_ff00, 512)]).0, 0);
    assert_eq!(written(log), [3, 9, 0x20, 0x21, 0xff, 0x100]);
    assert_eq!(disk.request(OUT, 0, &[out(DATA, 4096)]).0, 0);
    assert_eq!(written(log), [3, 9]);
    assert_eq!(disk.request(8, 0, &[in_(0x4_0000, 20)]).0, 0);
    assert_eq!(written(log), [3, 9, 0x40]);
    // SAFETY: as above.
    unsafe { set_write_log(log, false) }.unwrap();
    assert_eq!(disk.request(IN, 0, &[in_(DATA, 512)]).0, 0);
    assert!(written(log).is_empty());
}
