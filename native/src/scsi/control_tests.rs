//! Task management, notification and events.

use super::control::ControlWorker;
use super::event_queue::EventWorker;
use super::testing::*;
use super::unit::Address;
use crate::blk::testing::{Fixture, memory_file};
use crate::counters::queue as words;
use crate::limiter::RateLimits;
use crate::queue::testing::{in_, out};
use crate::queue_thread::{QueueThread, Worker};

const REQUEST: u64 = 0x8000;
const ANSWER: u64 = 0x9000;

/// Another queue of the controller of `bus`.
fn queue(bus: &Bus, worker: impl Worker) -> Fixture {
    let _ = bus;
    let mut fixture = Fixture::new(memory_file(), 0, 0);
    fixture.stop();
    let queue = QueueThread::start(&fixture.config(), &[], worker, fixture.surroundings());
    fixture.put_queue(queue.unwrap());
    fixture
}

fn control(bus: &Bus) -> Fixture {
    queue(bus, ControlWorker(bus.controller.clone()))
}

fn offer(fixture: &mut Fixture, function: u32, address: Address, tag: u64) {
    let mut request = [0; 24];
    request[4..8].copy_from_slice(&function.to_le_bytes());
    request[8..16].copy_from_slice(&address.encode());
    request[16..24].copy_from_slice(&tag.to_le_bytes());
    fixture.write(REQUEST, &request);
    fixture.write(ANSWER, &[0xee]);
    fixture.driver.offer(&[out(REQUEST, 24), in_(ANSWER, 1)]);
    fixture.kick.signal();
}

fn manage(fixture: &mut Fixture, function: u32, address: Address, tag: u64) -> u8 {
    let index = fixture.driver.used_index();
    offer(fixture, function, address, tag);
    fixture.await_used(index.wrapping_add(1));
    assert_eq!(fixture.driver.used(index).1, 1);
    fixture.read::<1>(ANSWER)[0]
}

/// Starts disk reads that the limit delays, one for each tag.
fn hold_reads(bus: &mut Bus, tags: &[u64]) {
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    bus.limiter.set(&RateLimits { operations: 1, operations_burst: 1, ..RateLimits::default() });
    for _ in 0..2 {
        bus.disk(&read, &[], 512).good();
    }
    for tag in tags {
        bus.offer(DISK.encode(), *tag, &read, 0, 512);
    }
    bus.fixture.await_counter(words::THROTTLED, tags.len() as u64);
}

/// Does the machine thread's work until the queue has used `count` more requests.
fn settle_until(bus: &Bus, used: u16) {
    while (bus.fixture.driver.used_index().wrapping_sub(used) as i16) < 0 {
        bus.fixture.assert_served();
        if bus.machine.drain() > 0 {
            bus.controller.settle();
        }
        std::thread::yield_now();
    }
}

#[test]
fn tasks_are_queried_and_aborted_by_tag() {
    let mut bus = Bus::new();
    let mut control = control(&bus);
    hold_reads(&mut bus, &[4, 5]);
    let index = bus.fixture.driver.used_index();
    assert_eq!(manage(&mut control, 6, DISK, 4), 10);
    assert_eq!(manage(&mut control, 6, DISK, 6), 0);
    assert_eq!(manage(&mut control, 7, DISK, 0), 10);
    assert_eq!(manage(&mut control, 7, DRIVE, 0), 0);
    offer(&mut control, 0, DISK, 5);
    settle_until(&bus, index.wrapping_add(1));
    assert_eq!(bus.outcome(5, index, 0, 512).response, 2);
    control.await_used(5);
    assert_eq!(control.read::<1>(ANSWER), [0]);
    // The other command is still there.
    assert_eq!(manage(&mut control, 6, DISK, 4), 10);
    bus.limiter.set(&RateLimits::default());
    bus.fixture.await_used(index.wrapping_add(2));
    assert_eq!(bus.outcome(4, index.wrapping_add(1), 0, 512).good().len(), 512);
    assert_eq!(manage(&mut control, 6, DISK, 4), 0);
}

#[test]
fn a_reset_aborts_all_commands_and_sets_a_unit_attention() {
    let mut bus = Bus::new();
    let mut control = control(&bus);
    hold_reads(&mut bus, &[1, 2]);
    let index = bus.fixture.driver.used_index();
    offer(&mut control, 5, DISK, 0);
    settle_until(&bus, index.wrapping_add(2));
    for tag in [1, 2] {
        assert_eq!(bus.outcome(tag, index.wrapping_add(tag as u16 - 1), 0, 512).response, 4);
    }
    control.await_used(1);
    assert_eq!(control.read::<1>(ANSWER), [0]);
    assert_eq!(bus.disk(&[0; 6], &[], 0).sense(), (6, 0x29, 0));
    assert_eq!(bus.cd(&[0; 6], 0).good(), [], "the other unit was not reset");
    // All units of the target.
    assert_eq!(manage(&mut control, 4, Address { target: 0, lun: 77 }, 0), 0);
    assert_eq!(bus.cd(&[0; 6], 0).sense(), (6, 0x29, 0));
}

#[test]
fn functions_for_missing_targets_and_unknown_functions_are_rejected() {
    let bus = Bus::new();
    let mut control = control(&bus);
    assert_eq!(manage(&mut control, 5, Address { target: 0, lun: 9 }, 0), 12);
    assert_eq!(manage(&mut control, 5, Address { target: 9, lun: 0 }, 0), 3);
    assert_eq!(manage(&mut control, 4, Address { target: 9, lun: 0 }, 0), 3);
    assert_eq!(manage(&mut control, 99, DISK, 0), 11);
    for function in [1, 2, 3] {
        assert_eq!(manage(&mut control, function, DISK, 0), 0);
    }
    control.write(REQUEST, &[9, 0, 0, 0]);
    control.driver.offer(&[out(REQUEST, 4), in_(ANSWER, 1)]);
    control.kick.signal();
    control.await_used(8);
    assert_eq!(control.read::<1>(ANSWER), [9]);
    control.driver.offer(&[out(REQUEST, 3), in_(ANSWER, 1)]);
    control.kick.signal();
    assert!(control.await_failure().0);
}

/// Subscribes to `events` or queries them (type 1 or 2). Returns what is supported, and the response.
fn notify(control: &mut Fixture, kind: u32, address: Address, events: u32) -> ([u8; 4], u8) {
    let index = control.driver.used_index();
    let mut request = [0; 16];
    request[0..4].copy_from_slice(&kind.to_le_bytes());
    request[4..12].copy_from_slice(&address.encode());
    request[12..16].copy_from_slice(&events.to_le_bytes());
    control.write(REQUEST, &request);
    control.driver.offer(&[out(REQUEST, 16), in_(ANSWER, 5)]);
    control.kick.signal();
    control.await_used(index.wrapping_add(1));
    (control.read(ANSWER), control.read::<1>(ANSWER + 4)[0])
}

#[test]
fn events_reach_the_driver_when_it_has_buffers() {
    let mut bus = Bus::new();
    let mut control = control(&bus);
    let mut events = queue(&bus, EventWorker(bus.controller.clone()));
    let at = |index: u64| REQUEST + 16 * index;
    events.driver.offer(&[in_(at(0), 16)]);
    events.kick.signal();
    events.await_counter(words::IN_FLIGHT, 1);
    bus.controller.events.push(1, Address { target: 2, lun: 1 }, 2);
    events.await_used(1);
    assert_eq!(events.read::<16>(at(0)), [1, 0, 0, 0, 1, 2, 0x40, 1, 0, 0, 0, 0, 2, 0, 0, 0]);
    // There is no buffer for them, and then there are too many.
    for _ in 0..70 {
        bus.controller.events.push(3, DISK, 0x092a);
    }
    for index in 1..32 {
        events.driver.offer(&[in_(at(index), 16)]);
    }
    events.kick.signal();
    events.await_used(32);
    assert_eq!(events.read::<16>(at(1)), [3, 0, 0, 0x80, 1, 0, 0x40, 0, 0, 0, 0, 0, 0x2a, 9, 0, 0]);
    assert_eq!(events.read::<4>(at(2)), [3, 0, 0, 0]);
    assert!(bus.controller.events.has_any());
    bus.controller.events.reset(true);
    events.driver.offer(&[in_(at(40), 16)]);
    events.kick.signal();
    events.await_used(33);
    assert_eq!(events.read::<16>(at(40)), [0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

    // Media events go to units with a subscription.
    assert_eq!(notify(&mut control, 1, DRIVE, 0xff), ([16, 0, 0, 0], 0));
    assert_eq!(notify(&mut control, 1, DISK, 0xff), ([0; 4], 0));
    assert_eq!(notify(&mut control, 2, Address { target: 5, lun: 0 }, 16), ([0; 4], 3));
    bus.controller.eject(DRIVE).unwrap();
    assert!(!bus.controller.events.has_any());
    assert_eq!(notify(&mut control, 2, DRIVE, 16), ([16, 0, 0, 0], 0));
    bus.controller.insert(DRIVE, image(&memory_file(), 1 << 20, true), no_limit(), false).unwrap();
    events.driver.offer(&[in_(at(41), 16)]);
    events.kick.signal();
    events.await_used(34);
    assert_eq!(events.read::<16>(at(41)), [2, 0, 0, 0, 1, 0, 0x40, 3, 0, 0, 0, 0, 16, 0, 0, 0]);
    bus.cd(&[0; 6], 0);

    events.driver.offer(&[in_(at(42), 15)]);
    events.kick.signal();
    assert!(events.await_failure().0);
}
