use super::filter::flag;
use super::header::HEADER_BYTES;
use super::testing::{DATA, Fixture};
use super::{FilterConfig, ReceiveFilter, feature};
use crate::counters::queue as words;
use crate::limiter::RateLimits;
use crate::queue::testing::{Random, in_, out};
use vm_memory::{Bytes, GuestAddress};

const NO_HEADER: [u8; HEADER_BYTES] = [0; HEADER_BYTES];

fn frame(len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
    bytes[..14].copy_from_slice(&[0x52, 0x54, 0, 1, 2, 3, 2, 2, 2, 2, 2, 2, 8, 0]);
    bytes
}

fn framed(header: [u8; HEADER_BYTES], frame: &[u8]) -> Vec<u8> {
    [&header[..], frame].concat()
}

#[test]
fn frames_are_sent_in_order_from_any_buffers() {
    let mut fixture = Fixture::new(true, 0, false);
    let sent = frame(1514);
    fixture.write(DATA, &framed(NO_HEADER, &sent));
    for split in [0, 1, 11, 12, 13, 100] {
        let rest = (HEADER_BYTES + 1514 - split) as u32;
        let mut buffers = vec![out(DATA + split as u64, rest)];
        if split > 0 {
            buffers.insert(0, out(DATA, split as u32));
        }
        fixture.driver.offer(&buffers);
        fixture.kick.signal();
        assert_eq!(fixture.take(), sent);
    }
    fixture.await_used(6);
    assert_eq!(fixture.driver.used(5).1, 0);
    fixture.await_counter(words::REQUESTS, 6);
    assert_eq!(fixture.counters.get(words::BYTES_FROM_GUEST), 6 * 1514);
    assert_eq!(fixture.counters.get(words::DROPPED), 0);
}

#[test]
fn a_wire_with_headers_gets_the_drivers_header_without_unused_fields() {
    let mut fixture = Fixture::new(true, feature::CSUM, true);
    let sent = frame(60);
    fixture.write(DATA, &framed([1, 0, 9, 9, 9, 9, 34, 0, 16, 0, 7, 7], &sent));
    fixture.driver.offer(&[out(DATA, 72)]);
    fixture.kick.signal();
    assert_eq!(fixture.take(), framed([1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0], &sent));
}

#[test]
fn offloads_that_the_wire_lacks_are_done_in_software() {
    let mut fixture = Fixture::new(true, feature::CSUM | feature::HOST_TSO4, false);
    let mut sent = frame(60);
    sent[14..].fill(0);
    fixture.write(DATA, &framed([1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0], &sent));
    fixture.driver.offer(&[out(DATA, 72)]);
    fixture.kick.signal();
    let completed = fixture.take();
    assert_eq!(&completed[50..52], [0xff, 0xff]);
    // Headers that request what was not negotiated, or do not fit, and an invalid frame.
    let refused = [
        ([1, 4, 0, 0, 9, 0, 34, 0, 16, 0, 0, 0], 60),
        ([1, 0, 0, 0, 0, 0, 58, 0, 2, 0, 0, 0], 60),
        (NO_HEADER, 13),
    ];
    for ((header, len), at) in refused.into_iter().zip([DATA, DATA + 0x1000, DATA + 0x2000]) {
        fixture.write(at, &header);
        fixture.driver.offer(&[out(at, (HEADER_BYTES + len) as u32)]);
    }
    fixture.kick.signal();
    fixture.await_used(4);
    assert_eq!(fixture.try_take(), None);
    fixture.await_counter(words::ERRORS, 3);
    assert_eq!(fixture.counters.get(words::DROPPED), 3);
}

#[test]
fn a_full_wire_delays_frames_but_not_a_stop() {
    let mut fixture = Fixture::new(true, 0, false);
    fixture.write(DATA, &framed(NO_HEADER, &frame(1514)));
    let mut offered = 0u16;
    let mut before = u64::MAX;
    // Until the socket is full: no chain is returned for a while.
    loop {
        fixture.driver.offer(&[out(DATA, 1526)]);
        offered += 1;
        fixture.kick.signal();
        let mut rounds = 0;
        while fixture.driver.used_index() != offered && rounds < 2000 {
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_micros(100));
            rounds += 1;
        }
        if fixture.driver.used_index() != offered {
            break;
        }
        assert_ne!(offered, u16::MAX);
        before = fixture.counters.get(words::REQUESTS);
    }
    assert!(before > 10);
    fixture.stop();
    assert_eq!(fixture.driver.layout.position.available, offered - 1);
    fixture.start();
    let mut taken = 0;
    while taken < offered {
        fixture.take();
        taken += 1;
    }
    fixture.await_used(offered);
}

#[test]
fn a_driver_with_event_idx_and_few_buffers_receives_frames() {
    let mut fixture = Fixture::new(false, crate::queue::feature::EVENT_IDX, false);
    // All of them are used, and only one comes back, fewer than the thread would like.
    for count in [16, 1, 2, 1] {
        let before = fixture.driver.used_index();
        for _ in 0..count {
            fixture.driver.offer(&[in_(DATA, 2000)]);
        }
        fixture.kick.signal();
        for _ in 0..count {
            fixture.send(&frame(60));
        }
        fixture.await_used(before.wrapping_add(count));
    }
}

#[test]
fn frames_are_received_into_buffers_of_any_layout() {
    let mut fixture = Fixture::new(false, feature::MRG_RXBUF, false);
    for (at, buffers) in [
        (0, vec![in_(DATA, 2000)]),
        (1, vec![in_(DATA, 12), in_(DATA + 0x1000, 600)]),
        (2, vec![in_(DATA, 1), in_(DATA + 0x1000, 11), in_(DATA + 0x2000, 1000)]),
    ] {
        fixture.driver.offer(&buffers);
        fixture.kick.signal();
        let sent = frame(200 + at);
        fixture.send(&sent);
        fixture.await_used(at as u16 + 1);
        assert_eq!(fixture.driver.used(at as u16).1 as usize, HEADER_BYTES + sent.len());
    }
    // {…, le16 num_buffers} and the frame.
    assert_eq!(fixture.read(DATA, 1), [0]);
    assert_eq!(fixture.read(DATA + 0x1000, 11), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(fixture.read(DATA + 0x2000, 202), frame(202));
    assert_eq!(fixture.counters.get(words::REQUESTS), 3);
}

#[test]
fn a_large_frame_is_spread_over_the_buffers_that_it_needs() {
    let mut fixture = Fixture::new(false, feature::MRG_RXBUF, false);
    let sent = frame(5000);
    // It waits for buffers; none of those offered is large enough.
    fixture.send(&sent);
    let mut next = 0u16;
    for _round in 0..3 {
        for buffer in 0..6 {
            fixture.driver.offer(&[in_(DATA + 0x1000 * buffer, 1000)]);
            fixture.kick.signal();
        }
        fixture.await_used(next + 6);
        let lens: Vec<u32> = (0..6).map(|index| fixture.driver.used(next + index).1).collect();
        assert_eq!(lens, [1000, 1000, 1000, 1000, 1000, 12]);
        let mut received = Vec::new();
        for (buffer, len) in lens.iter().enumerate() {
            received.extend(fixture.read(DATA + 0x1000 * buffer as u64, *len as usize));
        }
        assert_eq!(received[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0]);
        assert_eq!(received[12..], sent);
        next += 6;
        fixture.send(&sent);
    }
}

#[test]
fn without_merged_buffers_frames_that_do_not_fit_are_dropped() {
    let mut fixture = Fixture::new(false, 0, false);
    fixture.driver.offer(&[in_(DATA, 1526)]);
    fixture.driver.offer(&[in_(DATA + 0x1000, 1526)]);
    fixture.kick.signal();
    fixture.send(&frame(1515));
    fixture.send(&frame(1514));
    fixture.await_used(1);
    assert_eq!(fixture.driver.used(0), (0, 1526));
    fixture.await_counter(words::DROPPED, 1);
    assert_eq!(fixture.read(DATA + 12, 1514), frame(1514));
}

#[test]
fn a_stop_returns_unused_buffers_to_the_ring() {
    let mut fixture = Fixture::new(false, feature::MRG_RXBUF, false);
    for buffer in 0..4 {
        fixture.driver.offer(&[in_(DATA + 0x1000 * buffer, 1000)]);
    }
    fixture.kick.signal();
    fixture.send(&frame(1900));
    fixture.await_used(2);
    fixture.stop();
    let position = fixture.driver.layout.position;
    assert_eq!((position.available, position.used), (2, 2));
    fixture.start();
    fixture.send(&frame(100));
    fixture.await_used(3);
    assert_eq!(fixture.driver.used(2), (2, 112));
}

#[test]
fn frames_are_filtered_and_dropped_without_a_link() {
    let mut fixture = Fixture::new(false, feature::MRG_RXBUF, false);
    let own = [0x52, 0x54, 0, 1, 2, 3];
    let config = FilterConfig { unicast: 1, ..FilterConfig::default() };
    fixture.wire.set_filter(ReceiveFilter::new(&config, &own).unwrap());
    for buffer in 0..3 {
        fixture.driver.offer(&[in_(DATA + 0x1000 * buffer, 1000)]);
    }
    fixture.kick.signal();
    let mut others = frame(100);
    others[5] = 9;
    fixture.send(&others);
    fixture.send(&frame(101));
    fixture.await_used(1);
    assert_eq!(fixture.driver.used(0).1, 113);
    fixture.await_counter(words::DROPPED, 1);
    fixture.wire.set_link(false);
    fixture.send(&frame(102));
    fixture.await_counter(words::DROPPED, 2);
    fixture.wire.set_link(true);
    let all = FilterConfig { flags: flag::PROMISCUOUS, ..FilterConfig::default() };
    fixture.wire.set_filter(ReceiveFilter::new(&all, &[]).unwrap());
    fixture.send(&others);
    fixture.await_used(2);
    assert_eq!(fixture.driver.used(1).1, 112);
}

#[test]
fn a_limit_delays_frames_until_it_is_lifted() {
    let mut fixture = Fixture::new(false, feature::MRG_RXBUF, false);
    let limits = RateLimits { operations: 1, operations_burst: 1, ..RateLimits::default() };
    fixture.wire.receive_limiter.set(&limits);
    for buffer in 0..8 {
        fixture.driver.offer(&[in_(DATA + 0x1000 * buffer, 1000)]);
    }
    fixture.kick.signal();
    for _ in 0..8 {
        fixture.send(&frame(100));
    }
    fixture.await_counter(words::THROTTLED, 1);
    assert!(fixture.driver.used_index() < 8);
    fixture.wire.receive_limiter.set(&RateLimits::default());
    fixture.await_used(8);

    let mut fixture = Fixture::new(true, 0, false);
    fixture.wire.transmit_limiter.set(&limits);
    fixture.write(DATA, &framed(NO_HEADER, &frame(60)));
    for _ in 0..8 {
        fixture.driver.offer(&[out(DATA, 72)]);
    }
    fixture.kick.signal();
    fixture.await_counter(words::THROTTLED, 1);
    fixture.wire.transmit_limiter.set(&RateLimits::default());
    fixture.await_used(8);
}

#[test]
fn the_machine_is_notified_when_the_peer_is_gone() {
    for transmits in [false, true] {
        let mut fixture = Fixture::new(transmits, 0, false);
        let (_, gone) = super::testing::pair();
        drop(std::mem::replace(&mut fixture.peer, gone));
        fixture.write(DATA, &framed(NO_HEADER, &frame(60)));
        let buffer = if transmits { out(DATA, 72) } else { in_(DATA, 1526) };
        fixture.driver.offer(&[buffer]);
        fixture.kick.signal();
        fixture.until("noticed", || fixture.notice.drain() > 0);
        assert!(fixture.wire.is_hung_up());
        // Transmitted frames are dropped.
        if transmits {
            fixture.await_used(1);
        }
        fixture.stop();
    }
}

#[test]
fn a_driver_that_violates_the_specification_breaks_its_queue() {
    let cases: [(bool, &[crate::queue::testing::Buffer], &str); 7] = [
        (true, &[out(DATA, 11)], "sent 11 bytes, less than a header"),
        (true, &[in_(DATA, 100)], "put a writable buffer into a transmit queue"),
        (true, &[out(DATA, 100), in_(DATA, 100)], "put a writable buffer into a transmit queue"),
        (true, &[out(0x20_0000, 100)], "not all RAM"),
        (false, &[out(DATA, 100), in_(DATA, 100)], "put a readable buffer into a receive queue"),
        (false, &[in_(DATA, 11)], "offered a buffer of 11 bytes, less than a header"),
        (false, &[in_(DATA, u32::MAX), in_(DATA, u32::MAX)], "not all RAM"),
    ];
    for (transmits, buffers, problem) in cases {
        let mut fixture = Fixture::new(transmits, 0, false);
        fixture.driver.offer(buffers);
        fixture.kick.signal();
        let (by_guest, text) = fixture.await_failure();
        assert!(by_guest && text.contains(problem), "{text}");
    }
}

/// A number near the boundaries where checks are likely to be wrong.
fn edge(random: &mut Random, limit: u64) -> u64 {
    match random.below(8) {
        0 => random.next(),
        1 => u64::MAX - random.below(32),
        2 => limit.wrapping_add(random.below(64)).wrapping_sub(32),
        _ => random.below(limit),
    }
}

/// Rings full of random numbers: whatever a driver writes, frames are moved, dropped or reported,
/// and the queue can be stopped.
#[test]
fn random_rings_do_no_harm() {
    let (mut moved, mut broken) = (0, 0);
    for seed in 1..=120u64 {
        let mut random = Random(seed);
        let transmits = random.below(2) == 0;
        let packed = if random.below(2) == 0 { 1 << 34 } else { 0 };
        let all =
            feature::CSUM | feature::HOST_TSO4 | feature::HOST_TSO6 | feature::MRG_RXBUF | 1 << 28 | packed;
        let mut fixture = Fixture::new(transmits, 0, random.below(2) == 0);
        fixture.stop();
        fixture.driver.layout.features = all;
        if packed != 0 {
            fixture.driver.layout.position = crate::queue::testing::packed::START;
        }
        let ram = fixture.ram.clone();
        let write = |at: u64, value: u64| ram.write_obj(value, GuestAddress(at)).unwrap();
        for index in 0..80u64 {
            let table = if index < 16 { 0x1000 + 16 * index } else { 0x4000 + 16 * (index - 16) };
            let wild = random.below(12) == 0;
            let address = if wild { edge(&mut random, 0x20_0000) } else { DATA + 64 * random.below(64) };
            let len = if wild {
                edge(&mut random, 1 << 32)
            } else {
                [12, 26, 72, 600, 1526][random.below(5) as usize]
            };
            let mut flags = if wild { random.below(8) } else { u64::from(!transmits) << 1 };
            if random.below(6) == 0 {
                flags |= 1;
            }
            write(table, address);
            let high = match packed {
                0 => (len & 0xffff_ffff) | flags << 32 | (random.below(17) << 48),
                _ => (len & 0xffff_ffff) | index << 32 | (flags | 1 << 7) << 48,
            };
            write(table + 8, high);
        }
        // Headers, and addresses of frames.
        for at in 0..64 {
            write(DATA + 64 * at, [0, 1, 0x0101, 0x5dc_0000_0001, random.next()][random.below(5) as usize]);
        }
        for entry in 0..16u64 {
            let head = random.below(17) as u16;
            ram.write_obj(if packed == 0 { head } else { 0 }, GuestAddress(0x2004 + 2 * entry)).unwrap();
        }
        let offered = random.below(18) as u16;
        ram.write_obj(if packed == 0 { offered } else { 0 }, GuestAddress(0x2002)).unwrap();
        fixture.start();
        for _ in 0..20 {
            let len = 14 + random.below(4000) as usize;
            let bytes = frame(len);
            let _ = super::testing::send(std::os::fd::AsRawFd::as_raw_fd(&fixture.peer), &bytes);
            fixture.kick.signal();
            std::thread::yield_now();
            let _ = fixture.try_take();
        }
        fixture.await_rest();
        let queue = fixture.queue.as_mut().unwrap();
        assert!(queue.end(), "seed {seed}");
        if let Some((by_guest, text)) = queue.failure() {
            assert!(by_guest, "seed {seed}: {text}");
            broken += 1;
        }
        moved += fixture.counters.get(words::REQUESTS);
    }
    assert!(moved > 100 && broken > 20, "{moved} {broken}");
}
