//! Commands and their answers, byte by byte as in the standards.

use super::testing::*;
use super::unit::{Address, Kind, Unit, attention};
use crate::blk::testing::memory_file;
use crate::counters::queue as words;
use crate::limiter::RateLimits;
use std::os::unix::fs::FileExt;

const INVALID_FIELD: (u8, u8, u8) = (5, 0x24, 0);

fn pattern(seed: u8) -> [u8; 1024] {
    std::array::from_fn(|at| (at as u8).wrapping_mul(7).wrapping_add(seed))
}

#[test]
fn data_is_written_and_read_by_commands_of_every_length() {
    let mut bus = Bus::new();
    let commands: [(&[u8], &[u8]); 4] = [
        (&[0x0a, 0, 0, 5, 2, 0], &[0x08, 0, 0, 5, 2, 0]),
        (&[0x2a, 0, 0, 0, 0, 9, 0, 0, 2, 0], &[0x28, 0, 0, 0, 0, 9, 0, 0, 2, 0]),
        (&[0xaa, 0, 0, 0, 0, 13, 0, 0, 0, 2, 0, 0], &[0xa8, 0, 0, 0, 0, 13, 0, 0, 0, 2, 0, 0]),
        (
            &[0x8a, 0x08, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 2, 0, 0],
            &[0x88, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 2, 0, 0],
        ),
    ];
    for (index, (write, read)) in commands.into_iter().enumerate() {
        let data = pattern(index as u8);
        assert_eq!(bus.disk(write, &data, 0).good(), []);
        let mut found = [0; 1024];
        bus.disk.read_exact_at(&mut found, (5 + 4 * index as u64) * 512).unwrap();
        assert_eq!(found, data);
        assert_eq!(bus.disk(read, &[], 1024).good(), data);
    }
    let counters = bus.fixture.counters;
    assert_eq!(counters.get(words::BYTES_FROM_GUEST), 4096);
    assert!(counters.get(words::BYTES_TO_GUEST) >= 4096);
    assert_eq!(counters.get(words::ERRORS), 0);
}

#[test]
fn a_unit_counts_its_commands_until_it_is_removed() {
    use crate::counters::{Counters, HEADER_WORDS};
    let mut bus = Bus::new();
    let block: &'static [u64] = Box::leak(vec![0; HEADER_WORDS + words::WORDS].into_boxed_slice());
    // SAFETY: the words are leaked.
    let counters = unsafe { Counters::new(block.as_ptr(), block.len(), 0, 1) }.unwrap().queue(0).unwrap();
    let address = Address { target: 7, lun: 0 };
    let unit = Unit::new(address, identity(Kind::Disk), true).counting_in(counters);
    bus.controller.add(unit).unwrap();
    bus.controller.insert(address, image(&memory_file(), 1 << 20, false), no_limit(), true).unwrap();
    assert_eq!(bus.command(address, &[0; 6], &[], 0).sense(), (6, 0x29, 0));
    bus.command(address, &[0x2a, 0, 0, 0, 0, 9, 0, 0, 2, 0], &[7; 1024], 0).good();
    bus.command(address, &[0x28, 0, 0, 0, 0, 9, 0, 0, 1, 0], &[], 512).good();
    bus.disk(&[0x28, 0, 0, 0, 0, 9, 0, 0, 2, 0], &[], 1024).good();
    // Past its end.
    bus.command(address, &[0x28, 0, 0xff, 0, 0, 9, 0, 0, 1, 0], &[], 512).sense();
    let counted = |word| counters.get(word);
    assert_eq!(counted(words::REQUESTS), 4);
    assert_eq!((counted(words::BYTES_FROM_GUEST), counted(words::BYTES_TO_GUEST)), (1024, 512));
    assert_eq!((counted(words::ERRORS), counted(words::DISK_ERRORS)), (1, 0));
    let timed: u64 = (0..32).map(|bucket| counted(words::LATENCY + bucket)).sum();
    assert_eq!(timed, 4);
    let unit = bus.controller.unit(address).unwrap();
    bus.controller.remove(address).unwrap();
    unit.count(&crate::queue_thread::Outcome::default(), 1);
    assert_eq!(counted(words::REQUESTS), 4);
}

#[test]
fn excess_buffer_space_is_the_residual_and_too_little_is_an_overrun() {
    let mut bus = Bus::new();
    bus.disk.write_all_at(&pattern(3), 0).unwrap();
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    let more = bus.disk(&read, &[], 4096);
    assert_eq!((more.response, more.status, more.residual), (0, 0, 3072));
    assert_eq!((more.data.as_slice(), more.written), (&pattern(3)[..], OUTCOME_BYTES + 1024));
    let less = bus.disk(&read, &[], 512);
    assert_eq!((less.response, less.residual, less.written), (1, 512, OUTCOME_BYTES));
    let write = [0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    assert_eq!(bus.disk(&write, &[1; 512], 0).response, 1);
    let long = bus.disk(&write, &[2; 2048], 0);
    assert_eq!((long.response, long.status, long.residual), (0, 0, 1024));
    let mut found = [0; 1536];
    bus.disk.read_exact_at(&mut found, 0).unwrap();
    assert_eq!(found, [[2; 512], [2; 512], [0; 512]].concat()[..]);
}

#[test]
fn blocks_beyond_the_disk_are_out_of_range() {
    let mut bus = Bus::new();
    let last = [0x28, 0, 0, 0, 0x0f, 0xff, 0, 0, 1, 0];
    assert_eq!(bus.disk(&last, &[], 512).good().len(), 512);
    let reads: [[u8; 16]; 3] = [
        [0x88, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0xff, 0, 0, 0, 2, 0, 0],
        [0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0, 0],
        [0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0],
    ];
    for read in reads {
        assert_eq!(bus.disk(&read, &[], 1024).sense(), (5, 0x21, 0));
    }
    assert_eq!(bus.disk(&[0x2f, 0, 0, 0, 0x10, 0, 0, 0, 1, 0], &[], 0).sense(), (5, 0x21, 0));
    assert_eq!(bus.disk(&[0x2f, 0, 0, 0, 0x0f, 0, 0, 1, 0, 0], &[], 0).good(), []);
}

#[test]
fn unknown_commands_fields_and_services_are_illegal_requests() {
    let mut bus = Bus::new();
    for code in [0x02, 0x04, 0x43, 0x46, 0x4a, 0x7f, 0xbe, 0xff] {
        assert_eq!(bus.disk(&[code, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 0).sense(), (5, 0x20, 0));
    }
    let protected = bus.disk(&[0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0], &[], 512);
    assert_eq!((protected.sense(), &protected.sense[15..18]), (INVALID_FIELD, &[0xc0, 0, 1][..]));
    assert_eq!(bus.disk(&[0x2f, 0x02, 0, 0, 0, 0, 0, 0, 1, 0], &[], 0).sense(), INVALID_FIELD);
    let service = bus.disk(&[0x9e, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], &[], 32);
    assert_eq!(service.sense(), INVALID_FIELD);
    // Data in both directions.
    assert_eq!(bus.disk(&[0; 6], &[1], 1).response, 9);
}

#[test]
fn a_disk_identifies_itself() {
    let mut bus = Bus::new();
    let standard = bus.disk(&[0x12, 0, 0, 0, 96, 0], &[], 96).good();
    let mut expected = vec![0x00, 0x00, 0x06, 0x12, 69, 0, 0, 0x02];
    expected.extend(b"VRING   VRING HARDDISK  1.0 ");
    expected.resize(58, 0);
    expected.extend([0x00, 0x80, 0x04, 0x60, 0x04, 0xc0]);
    expected.resize(74, 0);
    assert_eq!(standard, expected);
    assert_eq!(bus.disk(&[0x12, 0, 0, 0, 5, 0], &[], 5).good(), expected[..5]);
    assert_eq!(bus.disk(&[0x12, 0, 0x80, 0, 96, 0], &[], 96).sense(), INVALID_FIELD);
    let page = |bus: &mut Bus, page: u8| bus.disk(&[0x12, 1, page, 0, 255, 0], &[], 255);
    assert_eq!(page(&mut bus, 0).good(), [0, 0, 0, 6, 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
    assert_eq!(page(&mut bus, 0x80).good(), *b"\x00\x80\x00\x06disk-7");
    let mut names = vec![0, 0x83, 0, 46, 2, 1, 0, 30];
    names.extend(b"VRING   VRING HARDDISK  disk-7");
    names.extend([1, 3, 0, 8, 0x50, 0x00, 0xc5, 0x00, 0x12, 0x34, 0x56, 0x78]);
    assert_eq!(page(&mut bus, 0x83).good(), names);
    let mut limits = vec![0, 0xb0, 0, 60, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    limits.extend([0, 0x20, 0, 0, 0, 0, 0, 255, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0]);
    limits.resize(64, 0);
    assert_eq!(page(&mut bus, 0xb0).good(), limits);
    let mut characteristics = vec![0, 0xb1, 0, 60, 0, 1];
    characteristics.resize(64, 0);
    assert_eq!(page(&mut bus, 0xb1).good(), characteristics);
    assert_eq!(page(&mut bus, 0xb2).good(), [0, 0xb2, 0, 4, 0, 0xe0, 2, 0]);
    assert_eq!(page(&mut bus, 0xc0).sense(), INVALID_FIELD);
}

#[test]
fn capacities_are_those_of_the_image() {
    let mut bus = Bus::new();
    let short = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(bus.disk(&short, &[], 8).good(), [0, 0, 0x0f, 0xff, 0, 0, 2, 0]);
    assert_eq!(bus.cd(&short, 8).good(), [0, 0, 1, 0x8f, 0, 0, 8, 0]);
    let long = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    let mut expected = vec![0, 0, 0, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0, 0, 3, 0x80, 0];
    expected.resize(32, 0);
    assert_eq!(bus.disk(&long, &[], 32).good(), expected);
    // A disk that has grown beyond 32 bits of blocks.
    let unit = bus.controller.unit(DISK).unwrap();
    unit.medium().unwrap().image.state().resize(1 << 42).unwrap();
    unit.attend(attention::CAPACITY_CHANGED);
    assert_eq!(bus.disk(&short, &[], 8).sense(), (6, 0x2a, 9));
    assert_eq!(bus.disk(&short, &[], 8).good(), [255, 255, 255, 255, 0, 0, 2, 0]);
    assert_eq!(bus.disk(&long, &[], 32).good()[..8], ((1u64 << 33) - 1).to_be_bytes());
}

#[test]
fn modes_are_shown_and_changed() {
    let mut bus = Bus::new();
    let caching = |bus: &mut Bus, page: u8| bus.disk(&[0x1a, 8, page, 0, 255, 0], &[], 255).good();
    let mut expected = vec![23, 0, 0x10, 0, 0x08, 18, 0x04];
    expected.resize(24, 0);
    assert_eq!(caching(&mut bus, 0x08), expected);
    assert_eq!(caching(&mut bus, 0x48)[6], 0x04, "it can be changed");
    assert_eq!(bus.disk(&[0x1a, 8, 0xc8, 0, 255, 0], &[], 255).sense(), (5, 0x39, 0));
    assert_eq!(bus.disk(&[0x1a, 8, 0x2a, 0, 255, 0], &[], 255).sense(), INVALID_FIELD);
    let all = bus.disk(&[0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255, 0], &[], 255).good();
    assert_eq!(all[..16], [0, 58, 0, 0x10, 0, 0, 0, 8, 0, 0, 0x10, 0, 0, 0, 2, 0]);
    assert_eq!((all[16], all[28], all[48], all.len()), (0x01, 0x08, 0x0a, 60));

    // The write cache is turned off, and a reset turns it back on.
    let mut list = vec![0, 0, 0, 0, 0x08, 18];
    list.resize(24, 0);
    assert_eq!(bus.disk(&[0x15, 0x10, 0, 0, 24, 0], &list, 0).good(), []);
    assert_eq!((caching(&mut bus, 0x08)[6], caching(&mut bus, 0x88)[6]), (0, 0x04));
    // An unchangeable bit, and a page with a different length.
    list[7] = 1;
    let refused = bus.disk(&[0x15, 0x10, 0, 0, 24, 0], &list, 0);
    assert_eq!((refused.sense(), &refused.sense[15..18]), ((5, 0x26, 0), &[0x80, 0, 7][..]));
    list[5] = 17;
    assert_eq!(bus.disk(&[0x15, 0x10, 0, 0, 24, 0], &list, 0).sense(), (5, 0x26, 0));
    assert_eq!(bus.disk(&[0x15, 0x10, 0, 0, 5, 0], &list[..5], 0).sense(), (5, 0x1a, 0));
    assert_eq!(bus.disk(&[0x15, 0x11, 0, 0, 24, 0], &list, 0).sense(), INVALID_FIELD);
    assert_eq!(bus.disk(&[0x15, 0x10, 0, 0, 24, 0], &list[..20], 0).response, 1);
    bus.controller.unit(DISK).unwrap().reset();
    assert_eq!(bus.disk(&[0; 6], &[], 0).sense(), (6, 0x29, 0));
    assert_eq!(caching(&mut bus, 0x08)[6], 0x04);
}

#[test]
fn sense_data_comes_in_the_format_that_the_driver_has_chosen() {
    let mut bus = Bus::new();
    let mut list = vec![0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 10, 0x04, 0x10];
    list.resize(20, 0);
    assert_eq!(bus.disk(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 20, 0], &list, 0).good(), []);
    let refused = bus.disk(&[0xff, 0, 0, 0, 0, 0], &[], 0);
    assert_eq!((refused.status, refused.sense.as_slice()), (2, &[0x72, 5, 0x20, 0, 0, 0, 0, 0][..]));
    bus.controller.unit(DISK).unwrap().attend(attention::UNITS_CHANGED);
    let asked = bus.disk(&[0x03, 0, 0, 0, 96, 0], &[], 96).good();
    assert_eq!((asked.len(), asked[0], asked[2], asked[12], asked[13]), (18, 0x70, 6, 0x3f, 0x0e));
    assert_eq!(bus.disk(&[0x03, 1, 0, 0, 96, 0], &[], 96).good(), [0x72, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn blocks_are_deallocated_and_zeroed() {
    let mut bus = Bus::new();
    bus.disk.write_all_at(&[7; 64 * 512], 0).unwrap();
    let at = |bus: &Bus, block: u64| {
        let mut byte = [0];
        bus.disk.read_exact_at(&mut byte, block * 512).unwrap();
        byte[0]
    };
    let mut list = vec![0, 38, 0, 32, 0, 0, 0, 0];
    list.extend([0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0]);
    list.extend([0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 8, 0, 0, 0, 0]);
    let unmap = [0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0];
    assert_eq!(bus.disk(&unmap, &list, 0).good(), []);
    assert_eq!([7, 8, 15, 16, 24, 31, 32].map(|block| at(&bus, block)), [7, 0, 0, 7, 0, 0, 7]);
    list[3] = 31;
    assert_eq!(bus.disk(&unmap, &list, 0).sense(), (5, 0x1a, 0));
    list[3] = 32;
    list[15] = 0xff;
    list[14] = 0xff;
    assert_eq!(bus.disk(&unmap, &list, 0).sense(), (5, 0x21, 0));
    assert_eq!(bus.disk(&[0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 0).good(), []);
    assert_eq!(bus.disk(&[0x42, 1, 0, 0, 0, 0, 0, 0, 40, 0], &list, 0).sense(), INVALID_FIELD);

    // WRITE SAME: zeros, without data, and a pattern that takes more than one disk request.
    assert_eq!(bus.disk(&[0x41, 8, 0, 0, 0, 40, 0, 0, 2, 0], &[0; 512], 0).good(), []);
    let without_data = [0x93, 1, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0, 1, 0, 0];
    assert_eq!(bus.disk(&without_data, &[], 0).good(), []);
    assert_eq!([39, 40, 41, 42, 43, 44, 45].map(|block| at(&bus, block)), [7, 0, 0, 7, 7, 0, 7]);
    let block: [u8; 512] = std::array::from_fn(|at| at as u8 | 1);
    let pattern = [0x93, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0x09, 0x01, 0, 0];
    assert_eq!(bus.disk(&pattern, &block, 0).good(), []);
    let mut found = vec![0; 0x903 * 512];
    bus.disk.read_exact_at(&mut found, 99 * 512).unwrap();
    assert_eq!(found[..512], [0; 512]);
    assert!(found[512..0x902 * 512].chunks(512).all(|found| found == block));
    assert_eq!(found[0x902 * 512..], [0; 512]);
    assert_eq!(bus.disk(&[0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[1; 512], 0).sense(), INVALID_FIELD);
    assert_eq!(bus.disk(&[0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[1; 511], 0).response, 1);
}

#[test]
fn flushes_and_no_ops_succeed() {
    let mut bus = Bus::new();
    for cdb in [[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 0]] {
        assert_eq!(bus.disk(&cdb, &[], 0).good(), []);
    }
    assert_eq!(bus.disk(&[0x91; 1], &[], 0).good(), []);
    assert_eq!(bus.disk(&[0x2e, 0, 0, 0, 0, 1, 0, 0, 1, 0], &[5; 512], 0).good(), []);
    // Nothing to eject, and nothing to lock.
    assert_eq!(bus.disk(&[0x1b, 0, 0, 0, 2, 0], &[], 0).sense(), INVALID_FIELD);
    assert_eq!(bus.disk(&[0x1e, 0, 0, 0, 1, 0], &[], 0).sense(), INVALID_FIELD);
}

#[test]
fn the_units_of_a_target_are_listed_and_the_others_are_absent() {
    let mut bus = Bus::new();
    let far = Address { target: 0, lun: 0x123 };
    bus.controller.add(Unit::new(far, identity(Kind::Disk), true)).unwrap();
    bus.controller.add(Unit::new(Address { target: 9, lun: 1 }, identity(Kind::Disk), true)).unwrap();
    // All other units of the target report the change.
    assert_eq!(bus.disk(&[0; 6], &[], 0).sense(), (6, 0x3f, 0x0e));
    let report = |select: u8, len: u8| [0xa0, 0, select, 0, 0, 0, 0, 0, 0, len, 0, 0];
    let mut list = vec![0, 0, 0, 24, 0, 0, 0, 0];
    list.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0x41, 0x23, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bus.disk(&report(0, 64), &[], 64).good(), list);
    // Listing the units clears the attention of those that have not been asked yet.
    assert_eq!(bus.cd(&[0; 6], 0).good(), []);
    assert_eq!(bus.disk(&report(0, 16), &[], 16).good(), list[..16]);
    assert_eq!(bus.disk(&report(1, 16), &[], 16).good(), [0; 8]);
    assert_eq!(bus.disk(&report(0, 15), &[], 15).sense(), INVALID_FIELD);
    assert_eq!(bus.disk(&report(3, 16), &[], 16).sense(), INVALID_FIELD);

    let absent = |target: u8, lun: u8| [1, target, 0x40, lun, 0, 0, 0, 0];
    let inquiry = bus.command_at(absent(0, 7), &[0x12, 0, 0, 0, 36, 0], &[], 36).good();
    assert_eq!((inquiry.len(), inquiry[0]), (36, 0x7f));
    assert_eq!(bus.command_at(absent(0, 7), &[0; 6], &[], 0).sense(), (5, 0x25, 0));
    assert_eq!(bus.command_at(absent(0, 7), &report(0, 64), &[], 64).good(), list);
    let sense = bus.command_at(absent(0, 7), &[0x03, 0, 0, 0, 18, 0], &[], 18).good();
    assert_eq!((sense[2], sense[12]), (5, 0x25));
    let one = bus.command_at(absent(9, 0), &report(0, 64), &[], 64).good();
    assert_eq!(one, [0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bus.command_at(absent(1, 0), &[0; 6], &[], 0).response, 3);
    assert_eq!(bus.command_at([0; 8], &[0; 6], &[], 0).response, 3);
    // Peripheral addressing has the same effect.
    assert_eq!(bus.command_at([1, 0, 0, 3, 0, 0, 0, 0], &[0; 6], &[], 0).good(), []);
}

#[test]
fn supported_commands_are_reported() {
    let mut bus = Bus::new();
    let one = |option: u8, code: u8, action: u8| [0xa3, 0x0c, option, code, 0, action, 0, 0, 0, 255, 0, 0];
    let read = bus.disk(&one(1, 0x28, 0), &[], 255).good();
    assert_eq!(read, [0, 3, 0, 10, 0x28, 0xf8, 255, 255, 255, 255, 0, 255, 255, 0]);
    assert_eq!(bus.disk(&one(1, 0x43, 0), &[], 255).good(), [0, 1, 0, 0]);
    assert_eq!(bus.disk(&one(2, 0x9e, 0x10), &[], 255).good()[..4], [0, 3, 0, 16]);
    assert_eq!(bus.disk(&one(3, 0x9e, 0x12), &[], 255).good(), [0, 1, 0, 0]);
    assert_eq!(bus.disk(&one(1, 0x9e, 0), &[], 255).sense(), INVALID_FIELD);
    assert_eq!(bus.disk(&one(0x81, 0, 0), &[], 255).good()[..4], [0, 0x83, 0, 6]);
    let all = bus.disk(&[0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0], &[], 2048).good();
    assert_eq!((all.len() - 4) % 8, 0);
    assert_eq!(all[0..4], (all.len() as u32 - 4).to_be_bytes());
    assert!(all[4..].chunks(8).all(|entry| entry[0] != 0x43), "only a drive has a table of contents");
}

#[test]
fn a_failing_disk_is_a_medium_error_at_its_block() {
    let mut bus = Bus::new();
    // The file ends before the disk does.
    bus.disk.set_len(512 * 8).unwrap();
    let failed = bus.disk(&[0x28, 0, 0, 0, 0, 6, 0, 0, 4, 0], &[], 2048);
    assert_eq!((failed.sense(), failed.residual), ((3, 0x11, 0), 1024));
    assert_eq!(failed.sense[0..7], [0xf0, 0, 3, 0, 0, 0, 8]);
    assert_eq!(bus.fixture.counters.get(words::DISK_ERRORS), 1);
    assert_eq!(bus.fixture.counters.get(words::ERRORS), 1);
}

#[test]
fn a_limit_delays_only_the_requests_of_its_disk() {
    let mut bus = Bus::new();
    bus.limiter.set(&RateLimits { operations: 1, operations_burst: 1, ..RateLimits::default() });
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    for _ in 0..2 {
        bus.disk(&read, &[], 512).good();
    }
    // The bucket is empty: no disk request begins for the next second.
    let index = bus.fixture.driver.used_index();
    bus.offer(DISK.encode(), 1, &read, 0, 512);
    bus.offer(DISK.encode(), 2, &read, 0, 512);
    bus.fixture.await_counter(words::THROTTLED, 1);
    bus.offer(DRIVE.encode(), 3, &[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 0, 2048);
    bus.fixture.await_used(index.wrapping_add(1));
    assert_eq!(bus.outcome(3, index, 0, 2048).good().len(), 2048);
    // Changing the limits wakes them.
    bus.limiter.set(&RateLimits::default());
    bus.fixture.await_used(index.wrapping_add(3));
    assert!(bus.fixture.counters.get(words::THROTTLED_NS) > 0);
}

#[test]
fn delayed_requests_are_unfinished_after_a_stop_and_served_after_the_next_start() {
    let mut bus = Bus::new();
    bus.limiter.set(&RateLimits { operations: 1, operations_burst: 1, ..RateLimits::default() });
    bus.disk.write_all_at(&pattern(1), 0).unwrap();
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    for _ in 0..2 {
        bus.disk(&read, &[], 1024).good();
    }
    bus.fixture.write(DATA_IN, &[0; 1024]);
    let index = bus.fixture.driver.used_index();
    bus.offer(DISK.encode(), 1, &read, 0, 1024);
    bus.fixture.await_counter(words::THROTTLED, 1);
    bus.fixture.stop();
    assert_eq!(bus.fixture.unfinished_heads().len(), 1);
    bus.limiter.set(&RateLimits::default());
    bus.start();
    bus.fixture.await_used(index.wrapping_add(1));
    assert_eq!(bus.outcome(1, index, 0, 1024).good(), pattern(1));
}

#[test]
fn a_request_without_room_or_command_breaks_the_queue() {
    use crate::queue::testing::{in_, out};
    for chain in [
        vec![out(COMMAND, COMMAND_BYTES - 1), in_(OUTCOME, OUTCOME_BYTES)],
        vec![out(COMMAND, COMMAND_BYTES), in_(OUTCOME, OUTCOME_BYTES - 1)],
        vec![out(COMMAND, COMMAND_BYTES)],
    ] {
        let mut bus = Bus::new();
        bus.fixture.driver.offer(&chain);
        bus.fixture.kick.signal();
        let (by_guest, text) = bus.fixture.await_failure();
        assert!(by_guest && text.contains("SCSI request without"), "{text}");
    }
}

#[test]
fn command_and_sense_sizes_are_set_by_the_driver() {
    use crate::queue::testing::{in_, out};
    let mut bus = Bus::new();
    bus.controller.set_sizes(12, 20).unwrap();
    assert!(bus.controller.set_sizes(256, 20).is_err() && bus.controller.set_sizes(12, 65536).is_err());
    let mut command = [0; 31];
    command[..8].copy_from_slice(&DISK.encode());
    command[19] = 0xff;
    bus.fixture.write(COMMAND, &command);
    let index = bus.fixture.driver.used_index();
    bus.fixture.driver.offer(&[out(COMMAND, 31), in_(OUTCOME, 32)]);
    bus.fixture.kick.signal();
    bus.fixture.await_used(index.wrapping_add(1));
    assert_eq!(bus.fixture.driver.used(index).1, 32);
    let outcome: [u8; 32] = bus.fixture.read(OUTCOME);
    assert_eq!((outcome[0], outcome[10], outcome[14], outcome[24]), (18, 2, 5, 0x20));
}

#[test]
fn a_read_only_disk_is_protected() {
    let mut bus = Bus::new();
    let readonly = image(&memory_file(), DISK_BLOCKS * 512, true);
    bus.controller.insert(DISK, readonly, no_limit(), true).unwrap();
    assert_eq!(bus.disk(&[0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[1; 512], 0).sense(), (7, 0x27, 0));
    assert_eq!(bus.disk(&[0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[1; 512], 0).sense(), (7, 0x27, 0));
    assert_eq!(bus.disk(&[0x1a, 8, 0x08, 0, 255, 0], &[], 255).good()[2], 0x90);
    assert_eq!(bus.disk(&[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 0).good(), []);
}
