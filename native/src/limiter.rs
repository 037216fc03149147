//! Rate limits: operations and bytes, each by a token bucket. One limiter may be shared by the queues of a device.

use crate::clock::now_ns;
use crate::epoll::EventFd;
use crate::errno::{Errno, Result};
use crate::sync::lock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, Weak};

const SECOND: u64 = 1_000_000_000;
/// The default burst of a rate: what it allows in this many nanoseconds.
const DEFAULT_BURST_NS: i64 = SECOND as i64 / 10;

crate::abi_struct! {
    /// Rates per second, 0 for no limit, and bursts: what may be done immediately after a pause, 0 for a tenth of a
    /// second's worth.
    pub struct RateLimits {
        pub operations: u64,
        pub operations_burst: u64,
        pub bytes: u64,
        pub bytes_burst: u64,
    }
}

/// A token bucket, represented by the time at which it was empty: it has been filling at `rate` since then.
struct Bucket {
    /// Tokens per second; 0 for no limit.
    rate: u64,
    /// How long it takes to fill.
    full_ns: i64,
    /// Signed: the clock starts at 0 with the host, and a large burst takes hours to fill.
    empty_at: i64,
}

impl Bucket {
    /// A full bucket.
    fn new(rate: u64, burst: u64, now: u64) -> Bucket {
        let full_ns = if burst == 0 { DEFAULT_BURST_NS } else { duration(burst, rate) };
        Bucket { rate, full_ns, empty_at: now as i64 - full_ns }
    }

    /// How long it stays empty.
    fn wait(&self, now: u64) -> u64 {
        let wait = if self.rate == 0 { 0 } else { self.empty_at.saturating_sub(now as i64) };
        wait.max(0) as u64
    }

    /// Taking more than is left borrows from the future.
    fn take(&mut self, tokens: u64, now: u64) {
        if self.rate > 0 {
            let empty_at = self.empty_at.max(now as i64 - self.full_ns);
            self.empty_at = empty_at.saturating_add(duration(tokens, self.rate));
        }
    }
}

/// The time in which a rate yields that many tokens.
fn duration(tokens: u64, rate: u64) -> i64 {
    let ns = u128::from(tokens) * u128::from(SECOND) / u128::from(rate.max(1));
    ns.min(i64::MAX as u128 / 2) as i64
}

pub struct Limiter {
    buckets: Mutex<[Bucket; 2]>,
    /// Whether there is any limit.
    active: AtomicBool,
    /// The threads to wake when the limits change.
    threads: Mutex<Vec<Weak<EventFd>>>,
}

impl Limiter {
    pub fn new(limits: &RateLimits) -> Limiter {
        Limiter {
            buckets: Mutex::new(buckets(limits, now_ns())),
            active: AtomicBool::new(is_limit(limits)),
            threads: Mutex::default(),
        }
    }

    /// Replaces the limits and wakes the threads that wait because of the old ones.
    pub fn set(&self, limits: &RateLimits) {
        *lock(&self.buckets) = buckets(limits, now_ns());
        self.active.store(is_limit(limits), SeqCst);
        let mut threads = lock(&self.threads);
        threads.retain(|thread| thread.upgrade().inspect(|thread| thread.signal()).is_some());
    }

    /// Wakes a thread through `control` when the limits change.
    pub fn add_thread(&self, control: Weak<EventFd>) {
        let mut threads = lock(&self.threads);
        threads.retain(|thread| thread.strong_count() > 0);
        threads.push(control);
    }

    /// Whether there is any limit.
    pub fn is_active(&self) -> bool {
        self.active.load(SeqCst)
    }

    /// Nanoseconds until an operation may begin.
    pub fn wait(&self, now: u64) -> u64 {
        if !self.is_active() {
            return 0;
        }
        lock(&self.buckets).iter().map(|bucket| bucket.wait(now)).max().unwrap_or(0)
    }

    /// Charges for an operation on `bytes`. It may exceed what is left of the limits: the
    /// next one then waits for longer.
    pub fn take(&self, bytes: u64, now: u64) {
        if self.is_active() {
            let mut buckets = lock(&self.buckets);
            buckets[0].take(1, now);
            buckets[1].take(bytes, now);
        }
    }
}

impl RateLimits {
    /// EINVAL for a burst without a rate.
    pub fn check(&self) -> Result<()> {
        let pointless = |rate, burst| rate == 0 && burst != 0;
        match pointless(self.operations, self.operations_burst) || pointless(self.bytes, self.bytes_burst) {
            true => Err(Errno(libc::EINVAL)),
            false => Ok(()),
        }
    }
}

fn is_limit(limits: &RateLimits) -> bool {
    limits.operations > 0 || limits.bytes > 0
}

fn buckets(limits: &RateLimits, now: u64) -> [Bucket; 2] {
    [
        Bucket::new(limits.operations, limits.operations_burst, now),
        Bucket::new(limits.bytes, limits.bytes_burst, now),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limiter that was full at this time.
    const START: u64 = 1_000 * SECOND;

    fn limiter(limits: RateLimits) -> Limiter {
        limiter_at(START, limits)
    }

    fn limiter_at(start: u64, limits: RateLimits) -> Limiter {
        let limiter = Limiter::new(&limits);
        *lock(&limiter.buckets) = buckets(&limits, start);
        limiter
    }

    /// How many operations of `bytes` may begin between `from` and `to`, if each begins as soon as it may.
    fn operations(limiter: &Limiter, bytes: u64, from: u64, to: u64) -> u64 {
        let (mut now, mut count) = (from, 0);
        loop {
            now += limiter.wait(now);
            if now >= to {
                return count;
            }
            limiter.take(bytes, now);
            count += 1;
        }
    }

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let limits = RateLimits { operations: 100, operations_burst: 30, ..RateLimits::default() };
        let limiter = limiter(limits);
        assert_eq!(operations(&limiter, 1 << 40, START, START + 1), 31);
        assert_eq!(operations(&limiter, 0, START + 1, START + SECOND), 99);
        assert_eq!(operations(&limiter, 0, START + SECOND, START + 3 * SECOND), 200);
        // After a pause there is one burst again, however long the pause was.
        assert_eq!(operations(&limiter, 0, START + 1000 * SECOND, START + 1000 * SECOND + 1), 31);
    }

    #[test]
    fn a_host_that_has_just_started_allows_a_full_burst() {
        let limits = RateLimits { operations: 1, operations_burst: 3600, ..RateLimits::default() };
        assert_eq!(operations(&limiter_at(SECOND, limits), 0, SECOND, SECOND + 1), 3601);
    }

    #[test]
    fn the_stricter_of_operations_and_bytes_applies_and_requests_may_exceed_a_burst() {
        let limits =
            RateLimits { operations: 1000, bytes: 1 << 20, bytes_burst: 4096, ..RateLimits::default() };
        let limiter = limiter(limits);
        assert_eq!(operations(&limiter, 1 << 20, START, START + 10 * SECOND), 11);
        let later = START + 20 * SECOND;
        assert_eq!(operations(&limiter, 0, later, later + SECOND), 1000 + 100);
    }

    #[test]
    fn without_limits_nothing_waits_and_a_change_wakes_waiters() {
        let limiter = Limiter::new(&RateLimits::default());
        limiter.take(u64::MAX, START);
        assert_eq!(limiter.wait(START), 0);
        let (thread, gone) = (std::sync::Arc::new(EventFd::new().unwrap()), EventFd::new().unwrap());
        limiter.add_thread(std::sync::Arc::downgrade(&thread));
        limiter.add_thread(std::sync::Arc::downgrade(&std::sync::Arc::new(gone)));
        limiter.set(&RateLimits { bytes: 1, bytes_burst: 1, ..RateLimits::default() });
        assert_eq!(thread.drain(), 1);
        let now = now_ns();
        limiter.take(3600, now);
        assert!(limiter.wait(now) > 3500 * SECOND);
        limiter.set(&RateLimits::default());
        assert_eq!((thread.drain(), limiter.wait(now)), (1, 0));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let most = u64::MAX;
        let limits = RateLimits { operations: 1, operations_burst: most, bytes: most, bytes_burst: most };
        let limiter = limiter(limits);
        (0..3).for_each(|_| limiter.take(most, START));
        assert_eq!(limits.check(), Ok(()));
        assert!(limiter.wait(START) < most / 2);
        assert!(RateLimits { bytes_burst: 1, ..RateLimits::default() }.check().is_err());
    }
}
