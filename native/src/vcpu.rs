//! A vCPU's thread: KVM_RUN in a loop. An exit to user space is posted to the machine thread, which reads the
//! `kvm_run` page, writes the answer to it, and calls `complete`.

use crate::clock::now_ns;
use crate::counters::{Block, VcpuState, vcpu as words};
use crate::errno::{Errno, Result};
use crate::mailbox::{Mailbox, OPEN, PARKED, PAUSE, STOP};
use crate::reactor::Reactor;
use crate::seccomp::Filter;
use crate::spin::Spin;
use crate::thread::{Ending, Thread};
use kvm_bindings::kvm_run;
use std::mem::offset_of;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::*, fence};

/// KVM_RUN: _IO(KVMIO, 0x80), linux/kvm.h.
pub const KVM_RUN: libc::c_ulong = 0xae80;
/// The longest spin for an answer.
const SPIN_NS: u64 = 20_000;

/// The arguments of a vCPU thread.
pub struct VcpuConfig {
    pub index: usize,
    pub fd: RawFd,
    pub run_page: RunPage,
    /// Host CPU to pin the thread to.
    pub cpu: Option<usize>,
    pub counters: Block,
    pub filter: Option<Filter>,
}

/// The fields of a mapped `kvm_run` page that the thread uses.
#[derive(Clone, Copy)]
pub struct RunPage {
    immediate_exit: *const AtomicU8,
    exit_reason: *const AtomicU32,
}

// SAFETY: both fields are accessed atomically, and the page outlives the thread (see `RunPage::new`).
unsafe impl Send for RunPage {}
// SAFETY: as above.
unsafe impl Sync for RunPage {}

impl RunPage {
    /// # Safety
    /// `address` is null, or where `size` bytes of a vCPU's `kvm_run` are mapped until its thread has been joined.
    pub unsafe fn new(address: usize, size: usize) -> Result<RunPage> {
        if address == 0 || address % 4096 != 0 || size < size_of::<kvm_run>() {
            return Err(Errno(libc::EINVAL));
        }
        Ok(RunPage {
            immediate_exit: (address + offset_of!(kvm_run, immediate_exit)) as *const AtomicU8,
            exit_reason: (address + offset_of!(kvm_run, exit_reason)) as *const AtomicU32,
        })
    }

    fn set_immediate_exit(&self, on: bool) {
        // SAFETY: `new`'s caller promised that the page stays mapped.
        unsafe { (*self.immediate_exit).store(on.into(), SeqCst) };
    }

    fn exit_reason(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.exit_reason).load(Relaxed) }
    }
}

struct Shared {
    index: usize,
    fd: RawFd,
    run_page: RunPage,
    counters: Block,
    reactor: Arc<Reactor>,
}

/// The handle of a vCPU's thread. Dropping it stops and joins the thread.
pub struct Vcpu {
    shared: Arc<Shared>,
    thread: Thread,
}

impl Vcpu {
    /// Starts the thread, parked.
    pub fn start(config: VcpuConfig, reactor: Arc<Reactor>) -> Result<Vcpu> {
        let shared = Arc::new(Shared {
            index: config.index,
            fd: config.fd,
            run_page: config.run_page,
            counters: config.counters,
            reactor,
        });
        shared.mailbox().reset();
        let filter = config.filter;
        let (running, ended) = (shared.clone(), shared.clone());
        let thread = Thread::spawn(
            &format!("vring-vcpu{}", config.index),
            config.cpu,
            move || {
                // SAFETY: gettid has no arguments.
                running.counters.set(words::TID, unsafe { libc::gettid() } as u64);
                if let Some(filter) = &filter {
                    filter.apply()?;
                }
                running.run()
            },
            move |ending| ended.report(ending),
        )?;
        Ok(Vcpu { shared, thread })
    }

    pub fn has_ended(&self) -> bool {
        self.thread.life().ending().is_some()
    }

    pub fn cause_of_death(&self) -> Option<String> {
        self.thread.life().cause_of_death()
    }

    /// Asks for a PARKED event. An open exit is answered and its instruction completed first.
    pub fn pause(&self) -> Result<()> {
        self.alive()?;
        if self.shared.mailbox().set(PAUSE) & PARKED != 0 {
            self.shared.mailbox().tell_still_parked();
            self.shared.post();
        } else {
            self.leave_kvm();
        }
        Ok(())
    }

    pub fn resume(&self) -> Result<()> {
        self.alive()?;
        self.shared.mailbox().clear(PAUSE | PARKED);
        Ok(())
    }

    /// The open exit has been answered in the `kvm_run` page.
    pub fn complete(&self) -> Result<()> {
        let before = self.shared.mailbox().clear(OPEN);
        if before & OPEN == 0 { Err(Errno(libc::EALREADY)) } else { Ok(()) }
    }

    /// Asks the thread to end, whatever it is waiting for.
    pub fn stop(&self) {
        self.shared.mailbox().set(STOP);
        self.leave_kvm();
        self.shared.mailbox().wake();
    }

    fn leave_kvm(&self) {
        self.shared.run_page.set_immediate_exit(true);
        self.thread.kick();
    }

    fn alive(&self) -> Result<()> {
        if self.has_ended() { Err(Errno(libc::ESRCH)) } else { Ok(()) }
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        self.stop();
        self.thread.join();
    }
}

/// Why the thread should leave its loop.
struct Stopped;

impl Shared {
    fn mailbox(&self) -> &Mailbox {
        self.reactor.mailbox(self.index)
    }

    fn post(&self) {
        self.reactor.post_vcpu(self.index);
    }

    fn run(&self) -> Result<()> {
        let mut spin = Spin::new(SPIN_NS);
        let mut now = now_ns();
        // The next KVM_RUN completes the instruction of the last exit, so one must follow before parking.
        let mut incomplete = false;
        loop {
            // `leave_kvm` comes after PAUSE or STOP has been set: with the other order here neither is missed.
            self.run_page.set_immediate_exit(false);
            fence(SeqCst);
            let word = self.mailbox().word();
            if word & STOP != 0 {
                return Ok(());
            }
            if word & PAUSE != 0 && !incomplete {
                match self.park() {
                    Ok(()) => now = now_ns(),
                    Err(Stopped) => return Ok(()),
                }
                continue;
            }
            if word & PAUSE != 0 {
                self.run_page.set_immediate_exit(true);
            }
            let entered = now;
            incomplete = self.enter()?;
            now = now_ns();
            self.counters.add(words::RUN_NS, now - entered);
            if incomplete {
                match self.exchange(now, now - entered, &mut spin) {
                    Ok(answered) => now = answered,
                    Err(Stopped) => return Ok(()),
                }
            }
        }
    }

    /// One KVM_RUN. Returns whether it ended with an exit to answer.
    fn enter(&self) -> Result<bool> {
        self.set_state(VcpuState::Running);
        // SAFETY: KVM_RUN takes no argument; it writes into the `kvm_run` page and guest memory, which Rust code
        // accesses only as atomics and volatile memory.
        let result = unsafe { libc::ioctl(self.fd, KVM_RUN, 0) };
        let errno = if result < 0 { Errno::last().0 } else { 0 };
        self.counters.add(words::ENTRIES, 1);
        match errno {
            0 => Ok(true),
            libc::EINTR => {
                self.counters.add(words::KICKS, 1);
                Ok(false)
            }
            // A vCPU that waited for its SIPI.
            libc::EAGAIN => Ok(false),
            errno => Err(Errno(errno)),
        }
    }

    /// Posts the exit and waits for its answer. Returns the time of the answer.
    fn exchange(&self, left: u64, ran_ns: u64, spin: &mut Spin) -> std::result::Result<u64, Stopped> {
        let reason = self.run_page.exit_reason();
        self.set_state(VcpuState::Waiting);
        self.mailbox().tell_exit(reason, ran_ns);
        self.post();
        self.wait_answered(spin)?;
        let answered = now_ns();
        let took = answered - left;
        let reason = (reason as usize).min(words::REASONS - 1);
        self.counters.add(words::EXITS + reason, 1);
        self.counters.add(words::EXIT_NS + reason, took);
        self.counters.add(words::DEVICE_NS, took);
        self.counters.histogram(words::LATENCY, took);
        Ok(answered)
    }

    fn wait_answered(&self, spin: &mut Spin) -> std::result::Result<(), Stopped> {
        let waits = |word: u32| word & (OPEN | STOP) == OPEN;
        let mailbox = self.mailbox();
        let mut answered = spin.until(|| !waits(mailbox.word()));
        while !answered {
            mailbox.sleep(waits);
            answered = !waits(mailbox.word());
        }
        if mailbox.word() & STOP != 0 { Err(Stopped) } else { Ok(()) }
    }

    /// Reports that the vCPU is out of KVM, and waits until it may continue.
    fn park(&self) -> std::result::Result<(), Stopped> {
        self.set_state(VcpuState::Parked);
        let mailbox = self.mailbox();
        loop {
            let word = mailbox.word();
            if word & STOP != 0 {
                return Err(Stopped);
            }
            if word & PAUSE == 0 {
                return Ok(());
            }
            if word & PARKED != 0 {
                mailbox.sleep(|word| word & (PAUSE | PARKED | STOP) == PAUSE | PARKED);
            } else if mailbox.tell_parked(word) {
                self.post();
            }
        }
    }

    fn set_state(&self, state: VcpuState) {
        self.counters.set(words::STATE, state as u64);
    }

    /// May run in a signal handler.
    fn report(&self, ending: Ending) {
        self.set_state(VcpuState::Stopped);
        let errno = match ending {
            Ending::Failed(errno) => errno.0,
            _ => 0,
        };
        self.mailbox().tell_ended(errno, ending.is_death());
        self.post();
    }
}
