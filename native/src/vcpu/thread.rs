//! A vCPU on its own thread: KVM_RUN in a loop. An exit to user space is posted to the machine thread, which reads the
//! `kvm_run` page, writes the answer to it, and calls `complete`.

use super::run::{Core, Entered};
use crate::clock::now_ns;
use crate::counters::{VcpuState, vcpu as words};
use crate::errno::{Errno, Result};
use crate::mailbox::{OPEN, PARKED, PAUSE, STOP};
use crate::seccomp::Filter;
use crate::spin::Spin;
use crate::thread::{Ending, Thread};
use std::sync::Arc;
use std::sync::atomic::{Ordering::*, fence};

/// The longest spin for an answer.
const SPIN_NS: u64 = 20_000;

/// The handle of a vCPU's thread. Dropping it stops and joins the thread.
pub struct VcpuThread {
    core: Arc<Core>,
    thread: Thread,
}

impl VcpuThread {
    /// Starts the thread, parked, on host CPU `cpu` if given.
    pub fn start(core: Core, cpu: Option<usize>, filter: Option<Filter>) -> Result<VcpuThread> {
        let core = Arc::new(core);
        core.mailbox().reset();
        let (running, ended) = (core.clone(), core.clone());
        let thread = Thread::spawn(
            &format!("vring-vcpu{}", core.index),
            cpu,
            move || {
                running.note_thread();
                if let Some(filter) = &filter {
                    filter.apply()?;
                }
                running.run()
            },
            move |ending| {
                let errno = match ending {
                    Ending::Failed(errno) => errno.0,
                    _ => 0,
                };
                ended.report_end(errno, ending.is_death());
            },
        )?;
        Ok(VcpuThread { core, thread })
    }

    pub fn has_ended(&self) -> bool {
        self.thread.life().ending().is_some()
    }

    pub fn cause_of_death(&self) -> Option<String> {
        self.thread.life().cause_of_death()
    }

    /// Pauses it; a PARKED event follows. An open exit is answered and its instruction completed first.
    pub fn pause(&self) -> Result<()> {
        self.alive()?;
        if self.core.mailbox().set(PAUSE) & PARKED != 0 {
            self.core.mailbox().report_still_parked();
            self.core.post();
        } else {
            self.leave_kvm();
        }
        Ok(())
    }

    pub fn resume(&self) -> Result<()> {
        self.alive()?;
        self.core.mailbox().clear(PAUSE | PARKED);
        Ok(())
    }

    /// Continues after the open exit has been answered in the `kvm_run` page.
    pub fn complete(&self) -> Result<()> {
        let before = self.core.mailbox().clear(OPEN);
        if before & OPEN == 0 { Err(Errno(libc::EALREADY)) } else { Ok(()) }
    }

    /// Asks the thread to end, whatever it is waiting for.
    pub fn stop(&self) {
        self.core.mailbox().set(STOP);
        self.leave_kvm();
        self.core.mailbox().wake();
    }

    fn leave_kvm(&self) {
        self.core.run_page.set_immediate_exit(true);
        self.thread.kick();
    }

    fn alive(&self) -> Result<()> {
        if self.has_ended() { Err(Errno(libc::ESRCH)) } else { Ok(()) }
    }
}

impl Drop for VcpuThread {
    fn drop(&mut self) {
        self.stop();
        self.thread.join();
    }
}

/// Why the thread should leave its loop.
struct Stopped;

impl Core {
    fn run(&self) -> Result<()> {
        let mut spin = Spin::new(SPIN_NS);
        let mut now = now_ns();
        // The next KVM_RUN completes the instruction of the last exit, so one must follow before parking.
        let mut incomplete = false;
        loop {
            // `leave_kvm` runs after PAUSE or STOP has been set; with the opposite order here, neither is missed.
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
            incomplete = self.enter()? == Entered::Exit;
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

    /// Posts the exit and waits for its answer. Returns the time of the answer.
    fn exchange(&self, left: u64, ran_ns: u64, spin: &mut Spin) -> std::result::Result<u64, Stopped> {
        let reason = self.run_page.exit_reason();
        self.set_state(VcpuState::Waiting);
        self.mailbox().report_exit(reason, ran_ns);
        self.post();
        self.wait_answered(spin)?;
        let answered = now_ns();
        self.count_exit(reason, answered - left);
        Ok(answered)
    }

    fn wait_answered(&self, spin: &mut Spin) -> std::result::Result<(), Stopped> {
        let waits = |word: u32| word & (OPEN | STOP) == OPEN;
        let mailbox = self.mailbox();
        // With as many vCPUs as CPUs, the machine thread may be waiting for this one.
        let mut answered = spin.until_yielding(|| !waits(mailbox.word()));
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
            } else if mailbox.report_parked(word) {
                self.post();
            }
        }
    }
}
