//! Adaptive spinning. A wake-up through the kernel costs a few microseconds at both ends; if the event usually comes
//! sooner, polling for it is cheaper. If it doesn't, the loop only takes CPU time from the producer: after some failed
//! spins, spinning is skipped for a while. However many VMs there are, no more threads spin than there are CPUs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clock::now_ns;

/// After this many failed spins in a row ...
const MAX_MISSES: u32 = 4;
/// ... this many waits skip spinning.
const SKIPPED_WAITS: u32 = 32;
/// Checks between two reads of the clock.
const LOOKS: u32 = 16;
/// A yield of this length has given the CPU to a thread that uses up its time slice.
const SLICE_NS: u64 = 500_000;
/// How often the number of skipped waits doubles at most.
const MAX_DOUBLINGS: u32 = 6;

/// How many threads are spinning, and how many may.
struct Turns {
    taken: AtomicUsize,
    most: OnceLock<usize>,
}

impl Turns {
    const fn new() -> Turns {
        Turns { taken: AtomicUsize::new(0), most: OnceLock::new() }
    }

    fn take(&self) -> Option<Turn<'_>> {
        let most = self.most.get().copied().unwrap_or(2);
        let turn = Turn(self);
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        (before < most).then_some(turn)
    }
}

/// A permit to spin, released when dropped.
struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The permits of this process.
static TURNS: Turns = Turns::new();

/// Determines how many threads may spin at a time. Call it before the first one starts: its
/// seccomp filter forbids the query.
pub fn count_cpus() {
    TURNS.most.get_or_init(|| {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        // A vCPU and its machine thread alternate, and one starts spinning just before the other stops.
        usize::max(cpus, 2)
    });
}

pub struct Spin {
    turns: &'static Turns,
    limit_ns: u64,
    misses: u32,
    skip: u32,
    /// How often the number of waits skipped for lost time slices has doubled.
    doublings: u32,
}

impl Spin {
    pub fn new(limit_ns: u64) -> Spin {
        Spin { turns: &TURNS, limit_ns, misses: 0, skip: 0, doublings: 0 }
    }

    /// Spins until `ready` returns true or the limit passes. Returns whether it became true.
    pub fn until(&mut self, ready: impl FnMut() -> bool) -> bool {
        self.run(ready, LOOKS, std::hint::spin_loop)
    }

    /// The same, for an event that may come from a thread waiting for this CPU, or whose check is expensive: it yields
    /// the CPU, so that thread runs in the meantime and has produced many events when it stops.
    pub fn until_yielding(&mut self, ready: impl FnMut() -> bool) -> bool {
        self.run(ready, 1, std::thread::yield_now)
    }

    /// The same, for an event that comes from a thread that does not stop for an answer, such as a vCPU that polls. When
    /// all CPUs are in use, a yield costs a time slice, in which that thread soon has nothing left to do, whereas a
    /// thread that sleeps runs as soon as it is woken. So after such a yield it skips waits, twice as many each time.
    pub fn until_crowded(&mut self, ready: impl FnMut() -> bool) -> bool {
        self.run_until_crowded(ready, std::thread::yield_now)
    }

    /// A turn to spin in; else what the wait returns without spinning.
    fn begin(&mut self, ready: &mut impl FnMut() -> bool) -> Result<Turn<'static>, bool> {
        if self.skip > 0 {
            self.skip -= 1;
            return Err(ready());
        }
        if ready() {
            self.misses = 0;
            return Err(true);
        }
        let turns = self.turns;
        turns.take().ok_or(false)
    }

    fn run_until_crowded(&mut self, mut ready: impl FnMut() -> bool, pause: fn()) -> bool {
        let _turn = match self.begin(&mut ready) {
            Ok(turn) => turn,
            Err(is_ready) => return is_ready,
        };
        let start = now_ns();
        let mut before = start;
        loop {
            pause();
            let now = now_ns();
            let is_ready = ready();
            if now - before >= SLICE_NS {
                self.doublings = u32::min(self.doublings + 1, MAX_DOUBLINGS);
                self.skip = SKIPPED_WAITS << self.doublings;
                return is_ready;
            }
            if is_ready {
                self.misses = 0;
                self.doublings = self.doublings.saturating_sub(1);
                return true;
            }
            if now - start >= self.limit_ns {
                self.missed();
                return false;
            }
            before = now;
        }
    }

    /// `looks` is how often it pauses between two reads of the clock.
    fn run(&mut self, mut ready: impl FnMut() -> bool, looks: u32, pause: fn()) -> bool {
        let _turn = match self.begin(&mut ready) {
            Ok(turn) => turn,
            Err(is_ready) => return is_ready,
        };
        let mut start = None;
        loop {
            for _ in 0..looks {
                if ready() {
                    self.misses = 0;
                    return true;
                }
                pause();
            }
            // An event during the last pause is not a miss.
            let now = now_ns();
            if now - *start.get_or_insert(now) >= self.limit_ns && !ready() {
                self.missed();
                return false;
            }
        }
    }

    fn missed(&mut self) {
        self.misses += 1;
        if self.misses == MAX_MISSES {
            self.misses = 0;
            self.skip = SKIPPED_WAITS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A spin that shares its permits with no other test.
    fn alone(limit_ns: u64) -> Spin {
        Spin { turns: Box::leak(Box::new(Turns::new())), ..Spin::new(limit_ns) }
    }

    /// How often `ready` is called in one wait for an event that never comes.
    fn looks(spin: &mut Spin) -> u32 {
        let mut looks = 0;
        assert!(!spin.until(|| {
            looks += 1;
            false
        }));
        looks
    }

    #[test]
    fn futile_spins_suspend_spinning() {
        let mut spin = alone(1_000);
        for _ in 0..MAX_MISSES {
            assert!(looks(&mut spin) >= LOOKS);
        }
        for _ in 0..SKIPPED_WAITS {
            assert_eq!(looks(&mut spin), 1);
        }
        assert!(looks(&mut spin) >= LOOKS);
    }

    #[test]
    fn a_successful_spin_resets_the_misses() {
        let mut spin = alone(1_000);
        for _ in 0..10 {
            for _ in 1..MAX_MISSES {
                assert!(looks(&mut spin) >= LOOKS);
            }
            assert!(spin.until(|| true));
        }
    }

    /// As long as a yield to a thread that uses up its time slice.
    fn slice() {
        let start = now_ns();
        while now_ns() - start < SLICE_NS {}
    }

    /// How often `ready` is called in one wait for an event that comes during the pause.
    fn looks_until_crowded(spin: &mut Spin, pause: fn()) -> u32 {
        let mut looks = 0;
        spin.run_until_crowded(
            || {
                looks += 1;
                looks > 1
            },
            pause,
        );
        looks
    }

    #[test]
    fn a_yield_that_costs_a_time_slice_suspends_spinning_longer_each_time() {
        let mut spin = alone(u64::MAX);
        for doublings in [1, 2, 3] {
            assert_eq!(looks_until_crowded(&mut spin, slice), 2);
            for _ in 0..SKIPPED_WAITS << doublings {
                assert_eq!(looks_until_crowded(&mut spin, slice), 1);
            }
        }
        assert_eq!(looks_until_crowded(&mut spin, slice), 2);
    }

    #[test]
    fn the_suspension_is_limited() {
        let mut spin = alone(u64::MAX);
        for _ in 0..2 * MAX_DOUBLINGS {
            spin.skip = 0;
            looks_until_crowded(&mut spin, slice);
        }
        assert_eq!(spin.skip, SKIPPED_WAITS << MAX_DOUBLINGS);
    }

    #[test]
    fn the_number_of_spinning_threads_is_limited() {
        let mut spin = alone(u64::MAX);
        let turns = [spin.turns.take(), spin.turns.take()];
        assert!(turns.iter().all(Option::is_some));
        assert_eq!(looks(&mut spin), 1);
        drop(turns);
        assert!(spin.turns.take().is_some());
    }
}
