//! A vCPU that the machine thread runs itself while it waits for events: an exit is then answered by the thread that had it,
//! without a hand-over to another one and back. It suits a VM with one vCPU: an event for the machine thread, such as
//! another vCPU's exit, has to interrupt the guest first.
//!
//! The signal that does it is blocked in the machine thread, and KVM unblocks it during KVM_RUN only
//! (KVM_SET_SIGNAL_MASK). So one that comes a moment too early is not lost, and one that comes too late interrupts no other
//! system call.

use super::run::{Core, Entered};
use super::watcher::Watcher;
use crate::clock::now_ns;
use crate::counters::{VcpuState, vcpu as words};
use crate::errno::{Errno, Result, check};
use crate::event::{Event, kind};
use crate::mailbox::{OPEN, PARKED, PAUSE, STOP};
use crate::signals;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

/// _IOW(KVMIO, 0x8b, struct kvm_signal_mask), linux/kvm.h.
const KVM_SET_SIGNAL_MASK: libc::c_ulong = 0x4004_ae8b;

/// struct kvm_signal_mask with the kernel's 64-bit sigset_t.
#[repr(C, packed)]
struct KvmSignalMask {
    len: u32,
    set: u64,
}

/// What a turn in the guest ended with.
#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    /// An exit to answer.
    Exit(Event),
    /// Something else than the guest may want the machine thread.
    Interrupted,
    /// There is nothing to run: it is parked, has an open exit, or has ended.
    Idle,
}

pub struct Carried {
    core: Core,
    watcher: Watcher,
    /// The last exit: its reason, and when it came.
    reason: AtomicU32,
    left: AtomicU64,
    /// When the vCPU could enter the guest again.
    now: AtomicU64,
    /// The next KVM_RUN completes the instruction of the last exit, so one must follow before parking.
    incomplete: AtomicBool,
    /// It has not been run yet: fds may have been ready for long, and come first.
    is_new: AtomicBool,
    ended: OnceLock<Option<Errno>>,
}

impl Carried {
    /// To be called, parked, by the thread that will run it in `Reactor::wait`.
    pub fn new(core: Core) -> Result<Carried> {
        signals::install()?;
        let set = signals::block_kick()?;
        let mut mask = KvmSignalMask { len: size_of::<u64>() as u32, set };
        // SAFETY: the struct that the request takes, followed by a signal set of the size it names.
        check(unsafe { libc::ioctl(core.fd, KVM_SET_SIGNAL_MASK, &raw mut mask) })?;
        core.mailbox().reset();
        core.note_thread();
        core.set_state(VcpuState::Parked);
        let watcher = Watcher::start(core.reactor.clone())?;
        Ok(Carried {
            core,
            watcher,
            reason: AtomicU32::new(0),
            left: AtomicU64::new(0),
            now: AtomicU64::new(now_ns()),
            incomplete: AtomicBool::new(false),
            is_new: AtomicBool::new(true),
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
            self.core.mailbox().tell_still_parked();
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

    pub fn complete(&self) -> Result<()> {
        if self.core.mailbox().clear(OPEN) & OPEN == 0 {
            return Err(Errno(libc::EALREADY));
        }
        let now = now_ns();
        self.core.count_exit(self.reason.load(Relaxed), now - self.left.load(Relaxed));
        self.now.store(now, Relaxed);
        Ok(())
    }

    pub fn stop(&self) {
        self.core.mailbox().set(STOP);
        self.core.reactor.interrupt();
    }

    /// Ends the thread that interrupts the guest. The machine thread must not call `run` any more.
    pub fn close(&self) {
        self.watcher.stop();
    }

    /// Enters the guest, until it has an exit, or until `deadline_ns` or an event of the reactor.
    /// On the machine thread, which has said that it sleeps: whoever posts an event signals the reactor's eventfd. On any other
    /// thread, which could not be interrupted, the guest does not run.
    pub fn run(&self, deadline_ns: Option<u64>) -> Ran {
        if !self.watcher.watches_this_thread() {
            return Ran::Idle;
        }
        if self.is_new.swap(false, Relaxed) {
            return Ran::Interrupted;
        }
        let word = self.core.mailbox().word();
        if word & (STOP | PAUSE | OPEN) != 0 || self.has_ended() {
            return self.run_not(word);
        }
        self.enter(deadline_ns)
    }

    /// Anything but just running.
    fn run_not(&self, word: u32) -> Ran {
        if self.has_ended() {
            return Ran::Idle;
        }
        if word & STOP != 0 {
            self.end(None);
            return Ran::Interrupted;
        }
        if word & OPEN != 0 {
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
        if self.core.mailbox().tell_parked(word) {
            self.core.post();
        }
        Ran::Interrupted
    }

    fn enter(&self, deadline_ns: Option<u64>) -> Ran {
        // A kick that came while the machine thread was not in the guest: to enter it would only end there.
        if !self.watcher.arm(deadline_ns) {
            self.watcher.take_kick();
            return Ran::Interrupted;
        }
        // It has been parked or asleep since: that is not the guest's time.
        let entered = match self.incomplete.load(Relaxed) {
            true => self.now.load(Relaxed),
            false => now_ns(),
        };
        let result = self.core.enter();
        let now = now_ns();
        self.core.counters.add(words::RUN_NS, now - entered);
        self.incomplete.store(result == Ok(Entered::Exit), Relaxed);
        match result {
            Ok(Entered::Exit) => {
                let reason = self.core.run_page.exit_reason();
                self.reason.store(reason, Relaxed);
                self.left.store(now, Relaxed);
                self.core.set_state(VcpuState::Waiting);
                self.core.mailbox().set(OPEN);
                Ran::Exit(Event {
                    kind: kind::EXIT,
                    index: self.core.index as u32,
                    data: reason.into(),
                    aux: 0,
                })
            }
            Ok(Entered::Interrupted) => {
                self.watcher.take_kick();
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
