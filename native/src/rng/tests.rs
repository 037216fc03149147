use super::*;
use crate::blk::testing::{Fixture, memory_file};
use crate::counters::queue as words;
use crate::limiter::RateLimits;
use crate::queue::testing::{in_, out};
use crate::queue_thread::QueueThread;

/// A queue of entropy requests, with the rings and counters of the disk fixture.
fn start(limiter: Option<Arc<Limiter>>) -> Fixture {
    let mut fixture = Fixture::new(memory_file(), 0, 0);
    fixture.stop();
    let worker = RngWorker::new(limiter);
    let queue = QueueThread::start(&fixture.config(), &[], worker, fixture.surroundings()).unwrap();
    fixture.put_queue(queue);
    fixture
}

#[test]
fn buffers_are_filled_with_different_bytes() {
    let mut rng = start(None);
    rng.driver.offer(&[in_(0x8000, 32), in_(0x9000, 5000)]);
    rng.driver.offer(&[in_(0xc000, 32)]);
    rng.kick.signal();
    rng.await_used(2);
    assert_eq!([rng.driver.used(0), rng.driver.used(1)], [(0, 5032), (2, 32)]);
    let (first, second) = (rng.read::<32>(0x8000), rng.read::<32>(0xc000));
    assert!(first != second && first != [0; 32] && rng.read::<32>(0x9000 + 4968) != [0; 32]);
    assert_eq!(rng.read::<8>(0x9000 + 5000), [0; 8]);
    assert_eq!(rng.counters.get(words::BYTES_TO_GUEST), 5064);
}

#[test]
fn a_request_of_any_size_is_filled_partly() {
    let mut rng = start(None);
    rng.driver.offer(&[in_(0x8_0000, 1 << 20)]);
    rng.kick.signal();
    rng.await_used(1);
    assert_eq!(rng.driver.used(0).1, 64 * 1024);
    assert_eq!(rng.read::<64>(0x9_0000), [0; 64]);
}

#[test]
fn a_request_without_a_writable_buffer_breaks_the_queue() {
    let mut rng = start(None);
    rng.driver.offer(&[out(0x8000, 16)]);
    rng.kick.signal();
    let text = "the driver made an entropy request without a writable buffer";
    assert_eq!(rng.await_failure(), (true, text.into()));
}

#[test]
fn a_limit_delays_requests_that_exceed_it() {
    let limits = RateLimits { bytes: 1, bytes_burst: 1000, ..RateLimits::default() };
    let limiter = Arc::new(Limiter::new(&limits));
    let mut rng = start(Some(limiter.clone()));
    for index in 0..20u64 {
        rng.driver.offer(&[in_(0x8000 + 100 * index, 100)]);
    }
    rng.kick.signal();
    rng.await_counter(words::THROTTLED, 1);
    rng.await_used(11);
    assert_eq!(rng.driver.used_index(), 11, "a burst, and the one that exceeded it");
    limiter.set(&RateLimits::default());
    rng.await_used(20);
}
