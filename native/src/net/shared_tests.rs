//! Wires whose frames go through memory shared with the process at the other end.

use super::feature;
use super::header::HEADER_BYTES;
use super::testing::{DATA, Fixture, send};
use crate::counters::queue as words;
use crate::frame_ring::{Direction, Putter, Taker};
use crate::queue::testing::{in_, out};
use std::os::fd::AsRawFd;

impl Fixture {
    fn taker(&self) -> Taker {
        self.shared.as_ref().unwrap().0.taker(Direction::ToNetwork)
    }

    fn putter(&self) -> Putter {
        self.shared.as_ref().unwrap().0.putter(Direction::ToMachine)
    }

    /// The next frame that is sent; the thread wakes this one for it.
    fn take_from(&self, taker: &Taker) -> Vec<u8> {
        let mut frame = vec![0; 70_000];
        let mut count = None;
        self.until("sent", || {
            if taker.sleep() {
                assert!(self.try_take().is_none_or(|message| message.len() == 1));
            }
            count = taker.take_bytes(&mut frame);
            count.is_some()
        });
        frame.truncate(count.unwrap());
        frame
    }

    /// Gives the thread a frame to receive, waking it if it sleeps.
    fn put_into(&self, putter: &Putter, frame: &[u8]) {
        assert!(putter.put_bytes(frame));
        if putter.must_wake() {
            assert!(send(self.peer.as_raw_fd(), &[0]));
        }
    }
}

fn frame(len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|byte| (byte * 7) as u8).collect();
    bytes[..14].copy_from_slice(&[0x52, 0x54, 0, 1, 2, 3, 2, 2, 2, 2, 2, 2, 8, 0]);
    bytes
}

#[test]
fn sends_frames_and_wakes_the_peer() {
    let mut fixture = Fixture::sharing(true, 0);
    let taker = fixture.taker();
    for round in 0..20 {
        let sent = frame(60 + 70 * round);
        fixture.write(DATA, &[&[0; HEADER_BYTES][..], &sent].concat());
        assert!(taker.sleep());
        fixture.driver.offer(&[out(DATA, 20), out(DATA + 20, (HEADER_BYTES + sent.len() - 20) as u32)]);
        fixture.kick.signal();
        // A message wakes the other end, and nothing else would.
        fixture.until("woken", || fixture.try_take() == Some(vec![0]));
        assert_eq!(fixture.take_from(&taker), sent);
        fixture.await_used(round as u16 + 1);
    }
    fixture.await_counter(words::REQUESTS, 20);
}

#[test]
fn computes_an_offloaded_checksum() {
    let mut fixture = Fixture::sharing(true, feature::CSUM);
    let taker = fixture.taker();
    let mut sent = frame(60);
    sent[14..].fill(0);
    fixture.write(DATA, &[&[1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0], &sent[..]].concat());
    fixture.driver.offer(&[out(DATA, 72)]);
    fixture.kick.signal();
    assert_eq!(&fixture.take_from(&taker)[50..52], [0xff, 0xff]);
}

#[test]
fn full_ring_delays_frames_until_there_is_room() {
    let mut fixture = Fixture::sharing(true, 0);
    let taker = fixture.taker();
    fixture.write(DATA, &vec![0; HEADER_BYTES + 60_000]);
    let mut offered = 0u16;
    // Until the thread waits for room, as its flag in the memory shows.
    loop {
        fixture.driver.offer(&[out(DATA, (HEADER_BYTES + 60_000) as u32)]);
        offered += 1;
        fixture.kick.signal();
        if offered > 17 {
            break;
        }
        fixture.await_used(offered.min(17));
    }
    let mut taken = 0;
    while fixture.driver.used_index() != offered {
        if taker.take_bytes(&mut [0; 60_000]).is_some() {
            taken += 1;
        }
        if taker.must_wake() {
            fixture.shared.as_ref().unwrap().1.signal();
        }
        std::thread::yield_now();
    }
    while taken < offered {
        taken += u16::from(taker.take_bytes(&mut [0; 60_000]).is_some());
    }
    assert!(fixture.queue.as_ref().unwrap().failure().is_none());
}

#[test]
fn receives_frames_into_buffers_of_any_layout() {
    let mut fixture = Fixture::sharing(false, feature::MRG_RXBUF);
    let putter = fixture.putter();
    for at in 0..10u16 {
        fixture.driver.offer(&[in_(DATA, 12), in_(DATA + 0x1000, 2000)]);
        fixture.kick.signal();
        let sent = frame(100 + usize::from(at) * 190);
        fixture.put_into(&putter, &sent);
        fixture.await_used(at + 1);
        assert_eq!(fixture.driver.used(at).1 as usize, HEADER_BYTES + sent.len());
        assert_eq!(fixture.read(DATA, 12), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(fixture.read(DATA + 0x1000, sent.len()), sent);
    }
    assert_eq!(fixture.counters.get(words::REQUESTS), 10);
    assert_eq!(fixture.counters.get(words::DROPPED), 0);
}

#[test]
fn the_sender_is_woken_when_the_driver_has_received_frames() {
    let mut fixture = Fixture::sharing(false, feature::MRG_RXBUF);
    let putter = fixture.putter();
    while putter.put_bytes(&frame(60_000)) {}
    assert!(putter.await_room());
    let mut given = 0;
    fixture.until("woken", || fixture.wire.is_shared());
    while fixture.try_take().is_none() {
        for _ in 0..4 {
            fixture.driver.offer(&[in_(DATA, 65_000)]);
            given += 1;
        }
        fixture.kick.signal();
        fixture.await_used(given);
        assert!(given < 17);
    }
    assert!(!putter.await_room());
}

#[test]
fn a_closed_peer_is_noticed_when_receiving_and_when_waiting_for_room() {
    for transmits in [false, true] {
        let mut fixture = Fixture::sharing(transmits, 0);
        if !transmits {
            fixture.driver.offer(&[in_(DATA, 2000)]);
            fixture.kick.signal();
        } else {
            fixture.write(DATA, &vec![0; HEADER_BYTES + 60_000]);
            for at in 0..18u16 {
                fixture.driver.offer(&[out(DATA, (HEADER_BYTES + 60_000) as u32)]);
                fixture.kick.signal();
                fixture.await_used(at.min(16) + u16::from(at < 17));
            }
        }
        let (gone, _) = super::testing::pair();
        drop(std::mem::replace(&mut fixture.peer, gone));
        fixture.until("hung up", || fixture.wire.is_hung_up());
        // After the wire is marked.
        fixture.until("noticed", || fixture.notice.drain() == 1);
        if transmits {
            // Everything sent from then on is lost.
            fixture.await_used(18);
        }
    }
}

/// As when a machine is handed over: the new process maps the memory before the old one stops.
#[test]
fn a_thread_continues_where_another_process_stopped() {
    for transmits in [false, true] {
        let mut fixture = Fixture::sharing(transmits, feature::MRG_RXBUF);
        fixture.stop();
        let rings = fixture.shared.as_ref().unwrap().0.clone();
        let direction = if transmits { Direction::ToNetwork } else { Direction::ToMachine };
        let (putter, taker) = (rings.putter(direction), rings.taker(direction));
        for len in [1000, 60_000, 100] {
            assert!(putter.put_bytes(&frame(len)));
            assert_eq!(taker.take_bytes(&mut [0; 70_000]), Some(len));
        }
        fixture.start();
        let sent = frame(500);
        if transmits {
            fixture.write(DATA, &[&[0; HEADER_BYTES][..], &sent].concat());
            fixture.driver.offer(&[out(DATA, (HEADER_BYTES + sent.len()) as u32)]);
            fixture.kick.signal();
            assert_eq!(fixture.take_from(&taker), sent);
        } else {
            fixture.driver.offer(&[in_(DATA, 2000)]);
            fixture.kick.signal();
            fixture.put_into(&putter, &sent);
            fixture.await_used(1);
            assert_eq!(fixture.read(DATA + HEADER_BYTES as u64, sent.len()), sent);
        }
    }
}

/// Whatever the other end writes to the memory, the queue keeps working.
#[test]
fn invalid_ring_content_stops_nothing() {
    let mut fixture = Fixture::sharing(false, feature::MRG_RXBUF);
    for _ in 0..8 {
        fixture.driver.offer(&[in_(DATA, 2000)]);
    }
    fixture.kick.signal();
    for (received, value) in [1u32, 8, 1 << 20, u32::MAX, 0x8000_0000].into_iter().enumerate() {
        let putter = fixture.putter();
        putter.lie(value);
        assert!(send(fixture.peer.as_raw_fd(), &[0]));
        fixture.until("skipped", || putter.is_taken());
        let putter = fixture.putter();
        fixture.put_into(&putter, &frame(100));
        fixture.await_counter(words::REQUESTS, received as u64 + 1);
    }
}
