//! A queue thread on a packed ring: the same requests, with a stop and restart in the middle.

use super::testing::*;
use crate::queue::testing::packed::PackedDriver;
use crate::queue::testing::{Buffer, in_, out};
use crate::queue::{Position, feature};
use std::os::unix::fs::FileExt;

const IN: u32 = 0;
const OUT: u32 = 1;
const WRITE_ZEROES: u32 = 13;

/// A disk on a packed ring.
struct Packed {
    disk: Fixture,
    driver: PackedDriver<'static>,
}

impl Packed {
    fn new(features: u64) -> Packed {
        let mut disk = Fixture::new(memory_file(), FEATURES, 0);
        disk.stop();
        let mut driver = PackedDriver::new(disk.driver.ram, 64);
        disk.write(driver.layout.descriptors, &[0; 16 * 64]);
        disk.write(driver.layout.available, &[0; 4]);
        driver.layout.features |= FEATURES | features;
        disk.driver.layout = driver.layout;
        disk.start(0);
        Packed { disk, driver }
    }

    fn offer(&mut self, tag: u64, kind: u32, sector: u64, data: &[Buffer], indirect: bool) -> u16 {
        let header = HEADER + 16 * tag;
        self.disk.write(header, &u64::from(kind).to_le_bytes());
        self.disk.write(header + 8, &sector.to_le_bytes());
        self.disk.write(STATUS + tag, &[0xff]);
        let chain = [&[out(header, 16)], data, &[in_(STATUS + tag, 1)]].concat();
        if !indirect {
            return self.driver.offer(&chain);
        }
        let table = 0x1_0000 + 0x100 * tag;
        self.driver.write_table(table, &chain);
        self.driver.offer(&[Buffer::indirect(table, 16 * chain.len() as u32)])
    }

    fn await_used(&mut self) -> (u16, u32) {
        loop {
            if let Some(used) = self.driver.take_used() {
                return used;
            }
            self.disk.assert_served();
            std::thread::yield_now();
        }
    }
}

#[test]
fn data_is_written_and_read_back() {
    let mut packed = Packed::new(feature::INDIRECT_DESC | feature::EVENT_IDX);
    for round in 0..100u64 {
        let indirect = round % 2 == 0;
        packed.disk.write(DATA, &[round as u8 + 1; 1024]);
        let id = packed.offer(0, OUT, round, &[out(DATA, 1000), out(DATA + 1000, 24)], indirect);
        packed.disk.kick.signal();
        assert_eq!(packed.await_used(), (id, 1));
        let id = packed.offer(1, IN, round, &[in_(DATA + 0x2000, 1024)], !indirect);
        packed.disk.kick.signal();
        assert_eq!(packed.await_used(), (id, 1025));
        assert_eq!(packed.disk.read::<1024>(DATA + 0x2000), [round as u8 + 1; 1024]);
        assert_eq!([packed.disk.read::<1>(STATUS), packed.disk.read::<1>(STATUS + 1)], [[0], [0]]);
    }
}

#[test]
fn unfinished_requests_are_finished_after_the_next_start() {
    let mut packed = Packed::new(0);
    let disk = &mut packed.disk;
    disk.stop();
    disk.sectors = (32 << 20) / 512;
    disk.file.set_len(32 << 20).unwrap();
    disk.max_range_sectors = u32::MAX;
    disk.file.write_all_at(&[1; 512], 0).unwrap();
    disk.start(0);
    // Each writes zeros to the whole disk: the file has no faster way.
    let sectors = disk.sectors;
    for tag in 0..20 {
        let range = [0u64, sectors];
        packed.disk.write(DATA + 16 * tag, &range.map(u64::to_le_bytes).concat());
        packed.offer(tag, WRITE_ZEROES, 0, &[out(DATA + 16 * tag, 16)], false);
    }
    packed.disk.kick.signal();
    packed.disk.await_counter(crate::counters::queue::MAX_IN_FLIGHT, 1);
    let mut ids = Vec::new();
    let mut stops = 0;
    while ids.len() < 20 {
        packed.disk.stop();
        stops += u32::from(!packed.disk.unfinished.is_empty());
        assert_eq!(packed.disk.unfinished.len() % (3 * 16), 0);
        packed.disk.start(0);
        ids.extend(packed.driver.take_used().map(|(id, _)| id));
        if stops > 5 {
            ids.extend((ids.len()..20).map(|_| packed.await_used().0));
        }
    }
    assert!(stops > 0, "nothing was unfinished");
    ids.sort();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    assert!((0..20).all(|tag| packed.disk.read::<1>(STATUS + tag) == [0]));
    assert_eq!(packed.disk.on_disk::<512>(0), [0; 512]);
}

#[test]
fn a_driver_that_violates_the_specification_breaks_its_queue() {
    let mut packed = Packed::new(0);
    packed.driver.offer(&[in_(1 << 40, 16)]);
    packed.disk.kick.signal();
    let (by_guest, text) = packed.disk.await_failure();
    assert!(by_guest && text.contains("not all RAM"), "{text}");
    assert_eq!(packed.disk.stop(), Position { available: 0x8000, used: 0x8000 });
}
