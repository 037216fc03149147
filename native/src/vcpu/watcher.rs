//! The thread that interrupts the guest when the machine thread runs the vCPU itself. While the machine
//! thread is in the guest, or answers one of its exits, this thread waits in its place: for the reactor's
//! fds and for the next deadline.
//!
//! The signal is sent only to a thread that has marked itself as in KVM_RUN, and a thread leaving it waits until the
//! signal has been sent: it is never pending in another system call, which it would interrupt. That costs two atomic
//! instructions per exit; having KVM change the signal mask for each KVM_RUN (KVM_SET_SIGNAL_MASK) costs 0.13 µs.

use super::run::RunPage;
use crate::clock::now_ns;
use crate::errno::{Errno, Result};
use crate::futex;
use crate::reactor::Reactor;
use crate::signals;
use crate::thread::Thread;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex};

/// The watcher waits; the machine thread is not in the guest.
const OUTSIDE: u32 = 0;
/// The watcher waits; the machine thread is in the guest, or on its way.
const INSIDE: u32 = 1;
/// The signal is being sent.
const KICKING: u32 = 2;
/// Something has happened that the machine thread has not looked at; the watcher sleeps.
const DUE: u32 = 3;
/// The machine thread has been notified; the watcher sleeps.
const TOLD: u32 = 4;
const STOPPED: u32 = 5;

const FOREVER: u64 = u64::MAX;

struct Shared {
    state: AtomicU32,
    /// On CLOCK_MONOTONIC.
    deadline: AtomicU64,
    /// Thread id of the machine thread.
    target: libc::pid_t,
    /// The same thread, by what it can ask for without a system call.
    target_self: libc::pthread_t,
    run_page: RunPage,
    reactor: Arc<Reactor>,
}

pub struct Watcher {
    shared: Arc<Shared>,
    thread: Mutex<Option<Thread>>,
}

impl Watcher {
    /// For the calling thread, which runs the vCPU of `run_page`.
    pub fn start(reactor: Arc<Reactor>, run_page: RunPage) -> Result<Watcher> {
        // SAFETY: neither has arguments.
        let (target, target_self) = unsafe { (libc::gettid(), libc::pthread_self()) };
        let shared = Arc::new(Shared {
            // Fds may have been ready for long, and come first.
            state: AtomicU32::new(DUE),
            deadline: AtomicU64::new(FOREVER),
            target,
            target_self,
            run_page,
            reactor,
        });
        let watching = shared.clone();
        let thread = Thread::spawn("vring-watch", None, move || watching.run(), |_| {})?;
        Ok(Watcher { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Whether the calling thread is the one that it interrupts.
    pub fn watches_this_thread(&self) -> bool {
        // SAFETY: it has no arguments.
        unsafe { libc::pthread_self() == self.shared.target_self }
    }

    /// Called before KVM_RUN, which is interrupted once a reactor fd is ready, or at the deadline, or perhaps
    /// spuriously. Returns false if there may be something to look at first.
    pub fn enter(&self, deadline_ns: Option<u64>) -> bool {
        let Shared { state, deadline, reactor, .. } = &*self.shared;
        let next = deadline_ns.unwrap_or(FOREVER);
        let last = deadline.load(Relaxed);
        if last != next {
            // Ordered by the state change.
            deadline.store(next, Relaxed);
        }
        match state.compare_exchange(OUTSIDE, INSIDE, SeqCst, SeqCst) {
            Ok(_) => {
                if next < last {
                    // It is already waiting, until the previous deadline, which is later.
                    reactor.wake();
                }
                true
            }
            Err(TOLD) => {
                let entered = state.compare_exchange(TOLD, INSIDE, SeqCst, SeqCst).is_ok();
                futex::wake(state);
                entered
            }
            Err(_) => {
                self.tell();
                false
            }
        }
    }

    /// Called when the machine thread looks for the reason of an interruption, if there was one.
    pub fn tell(&self) {
        let _ = self.shared.state.compare_exchange(DUE, TOLD, SeqCst, SeqCst);
    }

    /// Called after KVM_RUN.
    pub fn leave(&self) {
        let Shared { state, run_page, .. } = &*self.shared;
        if state.compare_exchange(INSIDE, OUTSIDE, SeqCst, SeqCst).is_ok() {
            return;
        }
        while state.load(SeqCst) == KICKING {
            std::thread::yield_now();
        }
        // The signal is handled on return from the kernel, here at the latest.
        signals::take_kick();
        run_page.set_immediate_exit(false);
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.shared.state.store(STOPPED, SeqCst);
        futex::wake(&self.shared.state);
        self.shared.reactor.wake();
        drop(crate::sync::lock(&self.thread).take());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self) -> Result<()> {
        loop {
            match self.state.load(SeqCst) {
                STOPPED => return Ok(()),
                state @ (DUE | TOLD) => futex::wait(&self.state, state),
                _ => self.watch()?,
            }
        }
    }

    fn watch(&self) -> Result<()> {
        let deadline = self.deadline.load(SeqCst);
        let timeout = (deadline != FOREVER).then(|| deadline.saturating_sub(now_ns()));
        match self.reactor.await_fds(timeout) {
            Ok(()) | Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
        while !self.report() {}
        Ok(())
    }

    /// Makes the machine thread check. Returns false if it has entered or left the guest in the meantime.
    fn report(&self) -> bool {
        let change = |from, to| self.state.compare_exchange(from, to, SeqCst, SeqCst).is_ok();
        match self.state.load(SeqCst) {
            INSIDE if change(INSIDE, KICKING) => {
                // For a thread that has not reached KVM_RUN yet.
                self.run_page.set_immediate_exit(true);
                signals::kick_thread(self.target);
                // Unless it has been stopped.
                change(KICKING, DUE);
                true
            }
            OUTSIDE => change(OUTSIDE, DUE),
            INSIDE => false,
            _ => true,
        }
    }
}
