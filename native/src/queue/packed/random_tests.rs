//! A random but conforming driver: every chain is taken once, in order, with its buffers, and comes back once, across
//! any number of rounds, restarts, and suppressed notifications.

use super::super::testing::packed::PackedDriver;
use super::super::testing::{Buffer, Random, in_, out, ram};
use super::*;
use std::collections::VecDeque;

/// What the driver knows of a chain.
#[derive(Debug, PartialEq)]
struct Offered {
    id: u16,
    readable: u64,
    writable: u64,
}

fn offer(random: &mut Random, driver: &mut PackedDriver, tables: bool) -> Option<Offered> {
    let room = u64::from(driver.room());
    if room == 0 {
        return None;
    }
    let indirect = tables && random.below(2) == 0;
    let count = 1 + random.below(if indirect { 6 } else { room.min(4) });
    let readable = random.below(count + 1);
    let buffer = |index: u64, len: u64| {
        let make: fn(u64, u32) -> Buffer = if index < readable { out } else { in_ };
        make(0x1_0000 + 0x100 * index, len as u32)
    };
    let lens: Vec<u64> = (0..count).map(|_| 1 + random.below(200)).collect();
    let buffers: Vec<_> = (0..).zip(&lens).map(|(index, len)| buffer(index, *len)).collect();
    let id = match indirect {
        true => {
            // One table for each ID that may be in use.
            let id = driver.free_id();
            let table = 0x8000 + 0x100 * u64::from(id);
            driver.write_table(table, &buffers);
            driver.offer(&[Buffer::indirect(table, 16 * count as u32)])
        }
        false => driver.offer(&buffers),
    };
    let (read, written) = lens.split_at(readable as usize);
    Some(Offered { id, readable: read.iter().sum(), writable: written.iter().sum() })
}

fn run(seed: u64, size: u32, features: u64) {
    let ram = ram();
    let mut random = Random(seed);
    let mut driver = PackedDriver::new(&ram, size);
    driver.layout.features |= features;
    let mut queue = PackedQueue::new(&ram, &driver.layout).unwrap();
    let mut offered = VecDeque::new();
    let mut taken: Vec<Chain> = Vec::new();
    let mut finished: VecDeque<(u16, u32)> = VecDeque::new();
    let (mut chains, mut restarts, mut interrupts) = (0, 0, 0);
    for _ in 0..20_000 {
        match random.below(6) {
            0 | 1 => {
                let Some(chain) = offer(&mut random, &mut driver, features & feature::INDIRECT_DESC != 0)
                else {
                    continue;
                };
                offered.push_back(chain);
            }
            2 => {
                let mut chain = Chain::default();
                assert_eq!(queue.has_available(), !offered.is_empty());
                let found = queue.take(&mut chain).unwrap();
                let expected = offered.pop_front();
                assert_eq!(found, expected.is_some());
                if let Some(expected) = expected {
                    let (readable, writable) = (chain.readable.len(), chain.writable.len());
                    assert_eq!(Offered { id: chain.id, readable, writable }, expected);
                    taken.push(chain);
                }
            }
            3 if !taken.is_empty() => {
                let chain = taken.swap_remove(random.below(taken.len() as u64) as usize);
                let len = random.below(chain.writable.len() + 1) as u32;
                queue.give_back(&chain, len);
                finished.push_back((chain.id, len));
            }
            4 => {
                // Asks for an interrupt some descriptors ahead, publishes, and counts the interrupts.
                let ahead = random.below(u64::from(size)) as u16;
                let event = driver.forward(driver.next_used(), ahead);
                driver.set_events(AT_DESCRIPTOR, event);
                let published = queue.publish();
                interrupts += u32::from(published && queue.wants_interrupt());
                while let Some(used) = driver.take_used() {
                    assert_eq!(finished.pop_front(), Some(used));
                    chains += 1;
                }
                assert!(finished.is_empty());
                if offered.is_empty() {
                    assert!(!queue.enable_kicks());
                    assert_eq!(driver.device_events(), (AT_DESCRIPTOR, driver.next_available()));
                }
            }
            5 if random.below(20) == 0 => {
                queue.publish();
                let mut saved = Vec::new();
                taken.iter().for_each(|chain| queue.save(chain, &mut saved));
                let layout = QueueLayout { position: queue.position(), ..driver.layout };
                queue = PackedQueue::new(&ram, &layout).unwrap();
                assert!(queue.can_retake(&saved));
                let mut rest = saved.as_slice();
                for chain in &mut taken {
                    let before = (chain.id, chain.readable.len(), chain.writable.len());
                    queue.retake(&mut rest, chain).unwrap();
                    assert_eq!((chain.id, chain.readable.len(), chain.writable.len()), before);
                }
                assert!(rest.is_empty());
                restarts += 1;
            }
            _ => {}
        }
    }
    assert!(chains > 500 && restarts > 50 && interrupts > 50, "{chains} {restarts} {interrupts}");
}

#[test]
fn every_chain_is_served_exactly_once() {
    for (seed, size) in [(1, 1), (2, 2), (3, 7), (4, 64), (5, 251), (6, 256)] {
        run(seed, size, feature::EVENT_IDX);
        run(seed, size, feature::EVENT_IDX | feature::INDIRECT_DESC);
    }
}

/// The driver sleeps until the interrupt that it asked for: none may be missing.
#[test]
fn a_requested_interrupt_is_sent() {
    for size in [1u32, 2, 5, 32] {
        let ram = ram();
        let mut random = Random(u64::from(size));
        let mut driver = PackedDriver::new(&ram, size);
        driver.layout.features |= feature::EVENT_IDX;
        let mut queue = PackedQueue::new(&ram, &driver.layout).unwrap();
        for _ in 0..5_000 {
            let count = 1 + random.below(size.into()) as u16;
            (0..count).for_each(|_| _ = driver.offer(&[in_(0x8000, 1)]));
            // After `ahead` more used descriptors.
            let ahead = random.below(count.into()) as u16;
            driver.set_events(AT_DESCRIPTOR, driver.forward(driver.next_used(), ahead));
            let mut interrupted_after = None;
            for served in 0..count {
                let mut chain = Chain::default();
                assert!(queue.take(&mut chain).unwrap());
                queue.give_back(&chain, 1);
                assert!(queue.publish());
                if queue.wants_interrupt() {
                    interrupted_after.get_or_insert(served);
                }
            }
            assert!(
                interrupted_after.is_some_and(|after| after <= ahead),
                "{interrupted_after:?}, not {ahead}"
            );
            (0..count).for_each(|_| assert!(driver.take_used().is_some()));
        }
    }
}
