//! Tracks which requests may still use clusters that they looked up. A cluster that the tables no longer refer to is
//! reused only when no request from before can still use it: requests are counted by the parity of the epoch (`time`)
//! in which they began, and the epoch advances only when the requests of the previous one have ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

#[derive(Default)]
pub struct Pins {
    time: AtomicU64,
    held: [AtomicU64; 2],
}

/// While it exists, what is looked up stays in place.
pub struct Pin {
    pins: Arc<Pins>,
    parity: usize,
}

impl Pins {
    pub fn pin(self: &Arc<Pins>) -> Pin {
        loop {
            let time = self.time.load(SeqCst);
            let parity = (time & 1) as usize;
            self.held[parity].fetch_add(1, SeqCst);
            if self.time.load(SeqCst) == time {
                return Pin { pins: self.clone(), parity };
            }
            self.held[parity].fetch_sub(1, SeqCst);
        }
    }

    pub fn now(&self) -> u64 {
        self.time.load(SeqCst)
    }

    /// Advances the epoch as far as possible. Nothing uses lookups from two epochs ago. For one thread at a time.
    pub fn advance(&self) -> u64 {
        for _ in 0..2 {
            let time = self.now();
            if self.held[(time + 1) as usize & 1].load(SeqCst) != 0 {
                break;
            }
            self.time.store(time + 1, SeqCst);
        }
        self.now()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.held[self.parity].fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_when_its_pins_are_released() {
        let pins = Arc::new(Pins::default());
        let first = pins.pin();
        let dropped_at = pins.now();
        // A new epoch may begin, but not a second one.
        assert_eq!(pins.advance(), dropped_at + 1);
        let second = pins.pin();
        assert_eq!(pins.advance(), dropped_at + 1);
        drop(first);
        assert_eq!(pins.advance(), dropped_at + 2);
        assert_eq!(pins.advance(), dropped_at + 2);
        drop(second);
        assert_eq!(pins.advance(), dropped_at + 4);
    }
}
