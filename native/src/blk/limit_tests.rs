//! Limits, the write cache, and a capacity that changes while requests arrive.

use super::feature;
use super::request::{STATUS_IOERR, STATUS_OK};
use super::testing::*;
use crate::counters::queue as words;
use crate::image::Image;
use crate::limiter::{Limiter, RateLimits};
use crate::queue::testing::{in_, out};
use std::sync::Arc;

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const WRITE_ZEROES: u32 = 13;

/// A disk that allows `operations` operations immediately, and one an hour after that.
fn limited(operations: u64) -> (Fixture, Arc<Limiter>) {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.stop();
    // One less: the last one may exceed what is left.
    let limits = RateLimits { bytes: 1, bytes_burst: 3600 * (operations - 1), ..RateLimits::default() };
    let limiter = Arc::new(Limiter::new(&limits));
    disk.limiter = Some(limiter.clone());
    disk.start(0);
    (disk, limiter)
}

/// Bytes of a request, with header and status.
const REQUEST: u32 = 3584;

fn offer(disk: &mut Fixture, count: u64) {
    for tag in 0..count {
        disk.offer(tag, IN, 0, &[in_(DATA, REQUEST)]);
    }
    disk.kick.signal();
}

#[test]
fn requests_beyond_the_limit_stay_in_the_ring_and_the_queue_stops_at_once() {
    let (mut disk, _) = limited(3);
    offer(&mut disk, 8);
    disk.await_used(3);
    disk.await_counter(words::THROTTLED, 1);
    let position = disk.stop();
    assert_eq!((position.available, position.used), (3, 3));
    assert!(disk.unfinished.is_empty());
    assert_eq!(disk.counters.get(words::REQUESTS), 3);
    assert!(disk.counters.get(words::THROTTLED_NS) > 0);
    // The limit outlives the queue.
    disk.start(0);
    disk.await_counter(words::THROTTLED, 2);
    assert_eq!(disk.driver.used_index(), 3);
}

#[test]
fn a_queue_that_waits_for_a_limit_notices_a_change_at_once() {
    let (mut disk, limiter) = limited(2);
    offer(&mut disk, 8);
    disk.await_used(2);
    disk.await_counter(words::THROTTLED, 1);
    limiter.set(&RateLimits { operations: 1_000_000, ..RateLimits::default() });
    disk.await_used(8);
    limiter.set(&RateLimits { operations: 1, operations_burst: 1, ..RateLimits::default() });
    limiter.take(0, crate::clock::now_ns());
    limiter.take(0, crate::clock::now_ns() + 3600 * 1_000_000_000);
    let throttled = disk.counters.get(words::THROTTLED);
    offer(&mut disk, 1);
    disk.await_counter(words::THROTTLED, throttled + 1);
    limiter.set(&RateLimits::default());
    disk.await_used(9);
}

#[test]
fn queues_share_a_limit() {
    let (mut first, limiter) = limited(4);
    let mut second = Fixture::new(memory_file(), FEATURES, 0);
    second.stop();
    second.limiter = Some(limiter);
    second.start(0);
    offer(&mut first, 4);
    first.await_used(4);
    offer(&mut second, 1);
    second.await_counter(words::THROTTLED, 1);
    assert_eq!(second.driver.used_index(), 0);
}

#[test]
fn a_limit_does_not_hide_the_completion_of_a_stuck_request() {
    let (mut disk, _) = limited(2);
    offer(&mut disk, 2);
    disk.await_used(2);
    offer(&mut disk, 1);
    disk.await_counter(words::THROTTLED, 1);
    assert_eq!(disk.stop().used, 2);
}

#[test]
fn a_changed_capacity_applies_to_the_next_requests() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    let beyond = [in_(DATA, 512)];
    assert_eq!(disk.request(IN, SECTORS, &beyond).0, STATUS_IOERR);
    disk.file.set_len((SECTORS + 8) * 512).unwrap();
    disk.image.as_ref().unwrap().state().resize((SECTORS + 8) * 512).unwrap();
    assert_eq!(disk.request(IN, SECTORS, &beyond).0, STATUS_OK);
    assert_eq!(disk.request(IN, SECTORS + 8, &beyond).0, STATUS_IOERR);
    disk.image.as_ref().unwrap().state().resize(512).unwrap();
    assert_eq!(disk.request(OUT, 1, &[out(DATA, 512)]).0, STATUS_IOERR);
}

/// Whether writes are durable when they complete, with these features and this cache setting.
fn writes_through(features: u64, write_through: bool) -> bool {
    let mut disk = Fixture::new(memory_file(), features, 0);
    let worker = disk.worker(0);
    disk.image.as_ref().unwrap().state().set_write_through(write_through);
    worker.writes_through()
}

#[test]
fn writes_are_durable_if_the_driver_selects_it_or_cannot_flush() {
    let (flush, wce) = (feature::FLUSH, feature::CONFIG_WCE);
    assert!(writes_through(0, false), "no means to flush");
    assert!(!writes_through(flush, false) && !writes_through(flush, true), "it flushes");
    assert!(writes_through(flush | wce, true) && !writes_through(flush | wce, false));
    assert!(writes_through(wce, true) && !writes_through(wce, false));
}

#[test]
fn switches_the_cache_mode_during_requests() {
    let mut disk = Fixture::new(memory_file(), FEATURES | feature::CONFIG_WCE, 0);
    for round in 0..20u8 {
        disk.image.as_ref().unwrap().state().set_write_through(round % 2 == 0);
        disk.write(DATA, &[round; 512]);
        assert_eq!(disk.request(OUT, 3, &[out(DATA, 512)]), (STATUS_OK, 1));
        assert_eq!(disk.on_disk::<512>(3 * 512), [round; 512]);
        assert_eq!(disk.ranges(WRITE_ZEROES, &[(3, 1, 0)]), STATUS_OK);
        assert_eq!(disk.on_disk::<512>(3 * 512), [0; 512]);
        assert_eq!(disk.request(FLUSH, 0, &[]), (STATUS_OK, 1));
    }
}
