//! Signals between a vCPU's thread and other threads, in one futex word: no signal is lost between checking and
//! sleeping. The word has its own cache line, since it moves between two CPUs at every exit.

use crate::event::{Event, kind};
use crate::futex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::*};

/// The vCPU must leave KVM.
pub const PAUSE: u32 = 1 << 0;
/// The thread must end.
pub const STOP: u32 = 1 << 1;
/// The thread is out of KVM because of PAUSE.
pub const PARKED: u32 = 1 << 2;
/// An exit waits for an answer.
pub const OPEN: u32 = 1 << 3;
/// The thread sleeps on the word, or is about to.
const ASLEEP: u32 = 1 << 4;
/// Events that the machine thread has not taken yet.
const NEWS_EXIT: u32 = 1 << 5;
const NEWS_PARKED: u32 = 1 << 6;
const NEWS_ENDED: u32 = 1 << 7;
const NEWS: u32 = NEWS_EXIT | NEWS_PARKED | NEWS_ENDED;

#[repr(align(128))]
pub struct Mailbox {
    word: AtomicU32,
    exit_reason: AtomicU32,
    /// How long the vCPU was in KVM before the exit.
    ran_ns: AtomicU64,
    ended_errno: AtomicI32,
    ended_by_death: AtomicBool,
}

impl Mailbox {
    pub const fn new() -> Mailbox {
        Mailbox {
            word: AtomicU32::new(0),
            exit_reason: AtomicU32::new(0),
            ran_ns: AtomicU64::new(0),
            ended_errno: AtomicI32::new(0),
            ended_by_death: AtomicBool::new(false),
        }
    }

    /// Resets for a new thread, which starts parked. Keeps pending events of the previous one.
    pub fn reset(&self) {
        let _ = self.word.fetch_update(SeqCst, SeqCst, |word| Some(word & NEWS | PAUSE | PARKED));
    }

    pub fn word(&self) -> u32 {
        self.word.load(SeqCst)
    }

    /// Returns the previous word.
    pub fn set(&self, bits: u32) -> u32 {
        self.word.fetch_or(bits, SeqCst)
    }

    /// Clears `bits` and wakes the thread. Returns the previous word.
    pub fn clear(&self, bits: u32) -> u32 {
        let before = self.word.fetch_and(!(bits | ASLEEP), SeqCst);
        if before & ASLEEP != 0 {
            futex::wake(&self.word);
        }
        before
    }

    pub fn wake(&self) {
        if self.word() & ASLEEP != 0 {
            futex::wake(&self.word);
        }
    }

    /// Sleeps while `asleep_while` returns true; may return early.
    pub fn sleep(&self, asleep_while: impl Fn(u32) -> bool) {
        let word = self.word();
        if !asleep_while(word) {
            return;
        }
        let asleep = word | ASLEEP;
        if word == asleep || self.word.compare_exchange(word, asleep, SeqCst, Relaxed).is_ok() {
            futex::wait(&self.word, asleep);
        }
    }

    pub fn report_exit(&self, reason: u32, ran_ns: u64) {
        self.exit_reason.store(reason, Relaxed);
        self.ran_ns.store(ran_ns, Relaxed);
        self.set(OPEN | NEWS_EXIT);
    }

    /// Sets PARKED. Returns false if the word is no longer `expected`.
    pub fn report_parked(&self, expected: u32) -> bool {
        self.word.compare_exchange(expected, expected | PARKED | NEWS_PARKED, SeqCst, Relaxed).is_ok()
    }

    /// Reports once more that the vCPU is parked.
    pub fn report_still_parked(&self) {
        self.set(NEWS_PARKED);
    }

    /// May be called in a signal handler.
    pub fn report_ended(&self, errno: i32, death: bool) {
        self.ended_errno.store(errno, Relaxed);
        self.ended_by_death.store(death, Relaxed);
        self.set(NEWS_ENDED);
    }

    /// Passes pending events of vCPU `index` to `take`, until it returns false. Returns whether all were taken.
    pub fn take_news(&self, index: u32, mut take: impl FnMut(Event) -> bool) -> bool {
        let news = self.word.fetch_and(!NEWS, SeqCst) & NEWS;
        let mut left = news;
        for what in [NEWS_EXIT, NEWS_PARKED, NEWS_ENDED] {
            if news & what == 0 {
                continue;
            }
            if !take(self.event(index, what)) {
                self.set(left);
                return false;
            }
            left &= !what;
        }
        true
    }

    /// How long the vCPU was in KVM before its last exit.
    pub fn ran_ns(&self) -> u64 {
        self.ran_ns.load(Relaxed)
    }

    fn event(&self, index: u32, news: u32) -> Event {
        match news {
            NEWS_EXIT => {
                Event { kind: kind::EXIT, index, data: self.exit_reason.load(Relaxed).into(), aux: 0 }
            }
            NEWS_PARKED => Event { kind: kind::PARKED, index, data: 0, aux: 0 },
            _ => Event {
                kind: kind::VCPU_ENDED,
                index,
                data: self.ended_errno.load(Relaxed) as u64,
                aux: self.ended_by_death.load(Relaxed).into(),
            },
        }
    }
}
