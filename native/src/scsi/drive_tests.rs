//! CD drives: MMC commands, and media that come and go.

use super::testing::*;
use super::unit::{Kind, Unit};
use crate::blk::testing::memory_file;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const INVALID_FIELD: (u8, u8, u8) = (5, 0x24, 0);

#[test]
fn a_drive_identifies_itself() {
    let mut bus = Bus::new();
    let standard = bus.cd(&[0x12, 0, 0, 0, 36, 0], 36).good();
    assert_eq!(standard[..8], [0x05, 0x80, 0x06, 0x12, 69, 0, 0, 0x02]);
    assert_eq!(standard[8..], *b"VRING   VRING CD-ROM    1.0 ");
    assert_eq!(bus.cd(&[0x12, 1, 0, 0, 255, 0], 255).good(), [5, 0, 0, 3, 0, 0x80, 0x83]);
    assert_eq!(bus.cd(&[0x12, 1, 0xb0, 0, 255, 0], 255).sense(), INVALID_FIELD);
    assert_eq!(bus.cd(&[0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0).sense(), (5, 0x20, 0));
    assert_eq!(bus.cd(&[0x08, 0, 0, 0, 1, 0], 2048).sense(), (5, 0x20, 0));
}

#[test]
fn the_table_of_contents_has_one_data_track() {
    let mut bus = Bus::new();
    let toc = |flags: u8, format: u8, track: u8| [0x43, flags, format, 0, 0, 0, track, 0, 255, 0];
    let track = [0, 0x14, 1, 0, 0, 0, 0, 0];
    let lead_out = [0, 0x14, 0xaa, 0, 0, 0, 1, 0x90];
    assert_eq!(bus.cd(&toc(0, 0, 0), 255).good(), [&[0, 18, 1, 1][..], &track, &lead_out].concat());
    assert_eq!(bus.cd(&toc(0, 0, 0xaa), 255).good(), [&[0, 10, 1, 1][..], &lead_out].concat());
    // 400 sectors and the first 150: 7 seconds and 25 frames.
    let by_time = bus.cd(&toc(2, 0, 0xaa), 255).good();
    assert_eq!(by_time[8..12], [0, 0, 7, 25]);
    assert_eq!(bus.cd(&toc(0, 1, 0), 255).good(), [0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    let full = bus.cd(&toc(2, 2, 0), 255).good();
    assert_eq!((full.len(), full[0..4].to_vec(), full[7]), (48, vec![0, 46, 1, 1], 0xa0));
    assert_eq!(full[26..37], [1, 0x14, 0, 0xa2, 0, 0, 0, 0, 0, 7, 25]);
    assert_eq!(bus.cd(&toc(0, 0, 2), 255).sense(), INVALID_FIELD);
    assert_eq!(bus.cd(&toc(0, 4, 0), 255).sense(), INVALID_FIELD);
}

#[test]
fn the_configuration_is_that_of_the_medium() {
    let mut bus = Bus::new();
    let get = |kind: u8, from: u16| {
        let [high, low] = from.to_be_bytes();
        [0x46, kind, high, low, 0, 0, 0, 0, 255, 0]
    };
    let all = bus.cd(&get(0, 0), 255).good();
    assert_eq!(all[0..8], [0, 0, 0, all.len() as u8 - 4, 0, 0, 0, 8]);
    assert_eq!(all[8..20], [0, 0, 3, 8, 0, 0x10, 0, 0, 0, 8, 1, 0]);
    let random = bus.cd(&get(2, 0x10), 255).good();
    assert_eq!(random[8..], [0, 0x10, 1, 8, 0, 0, 8, 0, 0, 1, 0, 0]);
    assert_eq!(bus.cd(&get(2, 0x11), 255).good().len(), 8);
    assert_eq!(bus.cd(&get(3, 0), 255).sense(), INVALID_FIELD);
    // A DVD.
    let dvd = image(&memory_file(), 1 << 30, true);
    bus.controller.insert(DRIVE, dvd, no_limit(), true).unwrap();
    assert_eq!(bus.cd(&get(1, 0), 255).good()[6..8], [0, 0x10]);
    let structure = [0xad, 0, 0, 0, 0, 0, 0, 0, 8, 4, 0, 0];
    let physical = bus.cd(&structure, 0x804).good();
    assert_eq!(physical[0..12], [8, 2, 0, 0, 1, 0x0f, 1, 0, 0, 3, 0, 0]);
    assert_eq!(physical[12..16], (0x3_0000 + (1u32 << 19) - 1).to_be_bytes());
}

#[test]
fn commands_that_installers_send_to_a_drive_succeed() {
    let mut bus = Bus::new();
    let disc = bus.cd(&[0x51, 0, 0, 0, 0, 0, 0, 0, 255, 0], 255).good();
    assert_eq!((disc.len(), &disc[..8]), (34, &[0, 32, 0x0e, 1, 1, 1, 1, 0x20][..]));
    let track = bus.cd(&[0x52, 1, 0, 0, 0, 1, 0, 0, 255, 0], 255).good();
    assert_eq!((track.len(), track[2], track[24..28].to_vec()), (36, 1, vec![0, 0, 1, 0x90]));
    assert_eq!(bus.cd(&[0x52, 1, 0, 0, 0, 2, 0, 0, 255, 0], 255).sense(), INVALID_FIELD);
    assert_eq!(bus.cd(&[0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], 8).good(), [0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(bus.cd(&[0xbb, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0], 0).good(), []);
    let capabilities = bus.cd(&[0x5a, 8, 0x2a, 0, 0, 0, 0, 0, 255, 0], 255).good();
    assert_eq!((capabilities[8..11].to_vec(), capabilities[14]), (vec![0x2a, 20, 0x0b], 0x29));
    let read_cd = |flags: u8| [0xbe, 0, 0, 0, 0, 0, 0, 0, 1, flags, 0, 0];
    assert_eq!(bus.cd(&read_cd(0x10), 2048).good().len(), 2048);
    assert_eq!(bus.cd(&read_cd(0), 0).good(), []);
    assert_eq!(bus.cd(&read_cd(0xf8), 2352).sense(), INVALID_FIELD);
    assert_eq!(bus.cd(&[0xbe, 4, 0, 0, 0, 0, 0, 0, 1, 0x10, 0, 0], 2048).sense(), (5, 0x64, 0));
}

const TEST_READY: [u8; 6] = [0; 6];
const EVENTS: [u8; 10] = [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0];
const EJECT: [u8; 6] = [0x1b, 0, 0, 0, 2, 0];
const LOAD: [u8; 6] = [0x1b, 0, 0, 0, 3, 0];

#[test]
fn the_host_changes_media() {
    let mut bus = Bus::new();
    assert_eq!(bus.cd(&EVENTS, 8).good(), [0, 6, 4, 16, 0, 2, 0, 0]);
    bus.controller.eject(DRIVE).unwrap();
    assert_eq!(bus.cd(&EVENTS, 8).good(), [0, 6, 4, 16, 3, 0, 0, 0]);
    assert_eq!(bus.cd(&TEST_READY, 0).sense(), (2, 0x3a, 1));
    assert_eq!(bus.cd(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 2048).sense(), (2, 0x3a, 1));
    let other = memory_file();
    let medium = image(&other, 10 * 2048, true);
    other.write_all_at(&[0x5a; 2048], 0).unwrap();
    bus.controller.insert(DRIVE, medium, no_limit(), false).unwrap();
    assert_eq!(bus.cd(&EVENTS, 8).good(), [0, 6, 4, 16, 2, 2, 0, 0]);
    assert_eq!(bus.cd(&TEST_READY, 0).sense(), (6, 0x28, 0));
    assert_eq!(bus.cd(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8).good(), [0, 0, 0, 9, 0, 0, 8, 0]);
    assert_eq!(bus.cd(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 2048).good(), [0x5a; 2048]);
    // Of an unsupported class, and without polling.
    assert_eq!(bus.cd(&[0x4a, 1, 0, 0, 2, 0, 0, 0, 8, 0], 8).good(), [0, 2, 0x80, 16]);
    assert_eq!(bus.cd(&[0x4a, 0, 0, 0, 16, 0, 0, 0, 8, 0], 8).sense(), INVALID_FIELD);
}

#[test]
fn the_driver_opens_and_locks_the_tray() {
    let mut bus = Bus::new();
    let lock = |on: u8| [0x1e, 0, 0, 0, on, 0];
    assert_eq!(bus.cd(&lock(1), 0).good(), []);
    assert_eq!(bus.machine.drain(), 1, "the machine thread is told");
    assert_eq!(bus.cd(&lock(1), 0).good(), []);
    assert_eq!(bus.machine.drain(), 0, "nothing has changed");
    assert_eq!(bus.cd(&EJECT, 0).sense(), (5, 0x53, 2));
    assert_eq!(bus.cd(&lock(0), 0).good(), []);
    assert_eq!(bus.cd(&EJECT, 0).good(), []);
    assert!(bus.machine.drain() > 0);
    assert_eq!(bus.cd(&TEST_READY, 0).sense(), (2, 0x3a, 2));
    assert_eq!(bus.cd(&EVENTS, 8).good(), [0, 6, 4, 16, 3, 1, 0, 0]);
    assert_eq!(bus.cd(&[0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], 8).good()[1], 0x10);
    // The medium in the tray comes back with it.
    assert_eq!(bus.cd(&LOAD, 0).good(), []);
    assert_eq!(bus.cd(&EVENTS, 8).good(), [0, 6, 4, 16, 2, 2, 0, 0]);
    assert_eq!(bus.cd(&TEST_READY, 0).good(), []);
    bus.cd(&EJECT, 0).good();
    bus.controller.unit(DRIVE).unwrap().reset();
    assert_eq!(bus.cd(&TEST_READY, 0).sense(), (6, 0x29, 0));
    assert_eq!(bus.cd(&TEST_READY, 0).good(), []);
}

#[test]
fn a_medium_is_closed_when_no_request_uses_it() {
    let mut bus = Bus::new();
    let file = memory_file();
    let medium = image(&file, 10 * 2048, true);
    let watched = Arc::downgrade(&medium);
    let limiter = no_limit();
    bus.controller.insert(DRIVE, medium, limiter.clone(), true).unwrap();
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    bus.cd(&read, 2048).good();
    // A limit delays a request, which uses the medium when that is removed.
    limiter.set(&crate::limiter::RateLimits { operations: 1, operations_burst: 1, ..Default::default() });
    for _ in 0..2 {
        bus.cd(&read, 2048).good();
    }
    let index = bus.fixture.driver.used_index();
    bus.offer(DRIVE.encode(), 5, &read, 0, 2048);
    bus.fixture.await_counter(crate::counters::queue::THROTTLED, 1);
    bus.controller.eject(DRIVE).unwrap();
    assert!(watched.upgrade().is_some());
    limiter.set(&Default::default());
    bus.fixture.await_used(index.wrapping_add(1));
    assert_eq!(bus.outcome(5, index, 0, 2048).sense(), (2, 0x3a, 0));
    while bus.machine.drain() == 0 {
        std::thread::yield_now();
    }
    bus.controller.settle();
    assert!(watched.upgrade().is_none());
}

#[test]
fn file_slots_are_reused_by_running_queues() {
    let mut bus = Bus::new();
    let file = memory_file();
    for round in 0..600u64 {
        let medium = image(&file, 4 * 2048, true);
        file.write_all_at(&[round as u8; 2048], 0).unwrap();
        bus.controller.insert(DRIVE, medium, no_limit(), true).unwrap();
        assert_eq!(bus.cd(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 2048).good(), [round as u8; 2048]);
    }
    // A disk that is added and removed while the queue runs.
    let address = super::unit::Address { target: 4, lun: 0 };
    bus.controller.add(Unit::new(address, identity(Kind::Disk), true)).unwrap();
    bus.controller.insert(address, image(&file, 4 * 2048, false), no_limit(), true).unwrap();
    assert_eq!(bus.command(address, &TEST_READY, &[], 0).sense(), (6, 0x29, 0));
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    assert_eq!(bus.command(address, &read, &[], 512).good(), [(599 % 256) as u8; 512]);
    bus.controller.remove(address).unwrap();
    assert_eq!(bus.command(address, &read, &[], 512).response, 3);
    assert!(bus.controller.remove(address).is_err());
}
