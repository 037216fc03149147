//! A vCPU that the machine thread runs itself while it waits for events: an exit is then handled by the thread that
//! took it, without a handover to another one and back. It suits a VM with one vCPU: an event for the machine thread,
//! such as another vCPU's exit, has to interrupt the guest first.

use super::run::{Core, Entered};
use super::watcher::Watcher;
use crate::clock::now_ns;
use crate::counters::{VcpuState, vcpu as words};
use crate::errno::{Errno, Result};
use crate::event::{Event, kind};
use crate::mailbox::{PARKED, PAUSE, STOP};
use crate::signals;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

/// How a turn in the guest ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    /// An exit to handle.
    Exit(Event),
    /// Something other than the guest may need the machine thread.
    Interrupted,
    /// There is nothing to run: it is parked, has an open exit, or has ended.
    Idle,
}

pub struct Carried {
    core: Core,
    watcher: Watcher,
    /// The last exit: its reason and its time.
    reason: AtomicU32,
    left: AtomicU64,
    /// When the vCPU could enter the guest again.
    now: AtomicU64,
    /// The exit waits for its answer.
    open: AtomicBool,
    /// The next KVM_RUN completes the instruction of the last exit, so one must follow before parking.
    incomplete: AtomicBool,
    ended: OnceLock<Option<Errno>>,
}

impl Carried {
    /// Call it, parked, on the thread that will run it in `Reactor::wait`.
    pub fn new(core: Core) -> Result<Carried> {
        signals::install()?;
        core.mailbox().reset();
        core.note_thread();
        core.set_state(VcpuState::Parked);
        let watcher = Watcher::start(core.reactor.clone(), core.run_page)?;
        Ok(Carried {
            core,
            watcher,
            reason: AtomicU32::new(0),
            left: AtomicU64::new(0),
            now: AtomicU64::new(now_ns()),
            open: AtomicBool::new(false),
            incomplete: AtomicBool::new(false),
            ended: OnceLock::new(),
        })
    }

    pub fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    pub fn cause_of_death(&self) -> Option<String> {
        self.ended.get().copied().flatten().map(|errno| errno.to_string())
    }

    pub fn pause(&self) -> Result<()> {
        self.alive()?;
        if self.core.mailbox().set(PAUSE) & PARKED != 0 {
            self.core.mailbox().report_still_parked();
            self.core.post();
        } else {
            self.core.reactor.interrupt();
        }
        Ok(())
    }

    pub fn resume(&self) -> Result<()> {
        self.alive()?;
        self.core.mailbox().clear(PAUSE | PARKED);
        self.core.reactor.interrupt();
        Ok(())
    }

    pub fn index(&self) -> usize {
        self.core.index
    }

    pub fn complete(&self) -> Result<()> {
        self.complete_timed().map(|_| ())
    }

    /// Returns how long the answer took, and the current time.
    pub fn complete_timed(&self) -> Result<(u64, u64)> {
        if !self.open.load(Relaxed) {
            return Err(Errno(libc::EALREADY));
        }
        self.open.store(false, Relaxed);
        let now = now_ns();
        let took = now - self.left.load(Relaxed);
        self.core.count_exit(self.reason.load(Relaxed), took);
        self.now.store(now, Relaxed);
        Ok((took, now))
    }

    pub fn stop(&self) {
        self.core.mailbox().set(STOP);
        self.core.reactor.interrupt();
    }

    /// Ends the thread that interrupts the guest. The machine thread must not call `run` any more.
    pub fn close(&self) {
        self.watcher.stop();
    }

    /// Runs the guest until it exits, until `deadline_ns`, or until an event of the reactor. Must be called on the
    /// machine thread, marked as sleeping: posting an event then signals the reactor's eventfd. On any other thread,
    /// which could not be interrupted, the guest does not run.
    pub fn run(&self, deadline_ns: Option<u64>) -> Ran {
        if !self.watcher.watches_this_thread() {
            return Ran::Idle;
        }
        let word = self.core.mailbox().word();
        if word & (STOP | PAUSE) != 0 || self.open.load(Relaxed) || self.has_ended() {
            return self.run_not(word);
        }
        self.enter(deadline_ns)
    }

    /// Handles every state but plain running.
    fn run_not(&self, word: u32) -> Ran {
        if self.has_ended() {
            return Ran::Idle;
        }
        if word & STOP != 0 {
            self.end(None);
            return Ran::Interrupted;
        }
        if self.open.load(Relaxed) {
            return Ran::Idle;
        }
        if self.incomplete.load(Relaxed) {
            self.core.run_page.set_immediate_exit(true);
            let ran = self.enter(None);
            self.core.run_page.set_immediate_exit(false);
            return ran;
        }
        if word & PARKED != 0 {
            return Ran::Idle;
        }
        self.core.set_state(VcpuState::Parked);
        if self.core.mailbox().report_parked(word) {
            self.core.post();
        }
        Ran::Interrupted
    }

    fn enter(&self, deadline_ns: Option<u64>) -> Ran {
        if !self.watcher.enter(deadline_ns) {
            return Ran::Interrupted;
        }
        // It has been parked or asleep since: that time is not the guest's.
        let entered = match self.incomplete.load(Relaxed) {
            true => self.now.load(Relaxed),
            false => now_ns(),
        };
        let result = self.core.enter();
        let now = now_ns();
        self.watcher.leave();
        self.core.counters.add(words::RUN_NS, now - entered);
        self.incomplete.store(result == Ok(Entered::Exit), Relaxed);
        match result {
            Ok(Entered::Exit) => {
                let reason = self.core.run_page.exit_reason();
                self.reason.store(reason, Relaxed);
                self.left.store(now, Relaxed);
                self.core.set_state(VcpuState::Waiting);
                self.open.store(true, Relaxed);
                Ran::Exit(Event {
                    kind: kind::EXIT,
                    index: self.core.index as u32,
                    data: reason.into(),
                    aux: 0,
                })
            }
            Ok(Entered::Interrupted) => {
                self.watcher.acknowledge();
                Ran::Interrupted
            }
            Err(errno) => {
                self.end(Some(errno));
                Ran::Interrupted
            }
        }
    }

    fn end(&self, errno: Option<Errno>) {
        let _ = self.ended.set(errno);
        self.core.report_end(errno.map_or(0, |errno| errno.0), false);
    }

    fn alive(&self) -> Result<()> {
        if self.has_ended() { Err(Errno(libc::ESRCH)) } else { Ok(()) }
    }
}
