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
const ACKNOWLEDGED: u32 = 4;
const STOPPED: u32 = 5;

const FOREVER: u64 = u64::MAX;
/// In `Shared::waits_until`: it does not wait, and reads the deadline before it does.
const AWAKE: u64 = 0;

struct Shared {
    state: AtomicU32,
    /// On CLOCK_MONOTONIC.
    deadline: AtomicU64,
    /// The deadline that the watcher read before it began to wait.
    waits_until: AtomicU64,
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
        let shared = Arc::new(Shared::new(reactor, run_page));
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
        let Shared { state, deadline, waits_until, reactor, .. } = &*self.shared;
        let next = deadline_ns.unwrap_or(FOREVER);
        if deadline.load(Relaxed) != next {
            // Ordered by the state change.
            deadline.store(next, Relaxed);
        }
        match state.compare_exchange(OUTSIDE, INSIDE, SeqCst, SeqCst) {
            Ok(_) => {
                // Whatever the last deadline was: the machine thread drains the reactor's eventfd, too, perhaps before the
                // watcher has had a CPU to see it.
                if next < waits_until.load(SeqCst) {
                    reactor.wake();
                }
                true
            }
            Err(ACKNOWLEDGED) => {
                let entered = state.compare_exchange(ACKNOWLEDGED, INSIDE, SeqCst, SeqCst).is_ok();
                futex::wake(state);
                entered
            }
            Err(_) => {
                self.acknowledge();
                false
            }
        }
    }

    /// Called when the machine thread looks for the reason of an interruption, if there was one.
    pub fn acknowledge(&self) {
        let _ = self.shared.state.compare_exchange(DUE, ACKNOWLEDGED, SeqCst, SeqCst);
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
    /// For the calling thread.
    fn new(reactor: Arc<Reactor>, run_page: RunPage) -> Shared {
        // SAFETY: neither has arguments.
        let (target, target_self) = unsafe { (libc::gettid(), libc::pthread_self()) };
        Shared {
            // Fds may have been ready for long, and come first.
            state: AtomicU32::new(DUE),
            deadline: AtomicU64::new(FOREVER),
            waits_until: AtomicU64::new(AWAKE),
            target,
            target_self,
            run_page,
            reactor,
        }
    }

    fn run(&self) -> Result<()> {
        loop {
            match self.state.load(SeqCst) {
                STOPPED => return Ok(()),
                state @ (DUE | ACKNOWLEDGED) => futex::wait(&self.state, state),
                _ => self.watch()?,
            }
        }
    }

    fn watch(&self) -> Result<()> {
        let deadline = self.settle_deadline();
        let timeout = (deadline != FOREVER).then(|| deadline.saturating_sub(now_ns()));
        let waited = self.reactor.await_fds(timeout);
        self.waits_until.store(AWAKE, SeqCst);
        match waited {
            Ok(()) | Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
        while !self.report() {}
        Ok(())
    }

    /// Returns the deadline to wait for. Either it is the current one, or the machine thread knows that it has to wake
    /// this thread for an earlier one.
    fn settle_deadline(&self) -> u64 {
        loop {
            let deadline = self.deadline.load(SeqCst);
            self.waits_until.store(deadline, SeqCst);
            if self.deadline.load(SeqCst) == deadline {
                return deadline;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoll::drain;

    #[repr(align(4096))]
    #[expect(dead_code, reason = "it is used by its address")]
    struct Page([u8; 4096]);

    /// A watcher without its thread: the test says what that does, and when it has a CPU.
    struct Alone {
        watcher: Watcher,
        _page: Box<Page>,
    }

    impl Alone {
        fn new() -> Alone {
            let page = Box::new(Page([0; 4096]));
            let address = std::ptr::from_ref(&*page).addr();
            // SAFETY: the page lives as long as the watcher.
            let run_page = unsafe { RunPage::new(address, 4096) }.unwrap();
            let reactor = Arc::new(Reactor::new().unwrap());
            let shared = Shared { state: AtomicU32::new(OUTSIDE), ..Shared::new(reactor, run_page) };
            Alone { watcher: Watcher { shared: Arc::new(shared), thread: Mutex::default() }, _page: page }
        }

        fn shared(&self) -> &Shared {
            &self.watcher.shared
        }

        /// The guest runs until an exit that needs no event. Returns whether the watcher was woken, and leaves nothing
        /// of that: the machine thread looked for events.
        fn run_guest(&self, deadline_ns: u64) -> bool {
            assert!(self.watcher.enter(Some(deadline_ns)));
            self.watcher.leave();
            drain(self.shared().reactor.wake_fd()) > 0
        }
    }

    #[test]
    fn a_deadline_is_not_lost_with_its_signal() {
        let alone = Alone::new();
        assert_eq!(alone.shared().settle_deadline(), FOREVER);
        assert!(alone.run_guest(5_000));
        assert!(alone.run_guest(5_000), "the watcher still waits forever");
        // Now it has a CPU.
        alone.shared().waits_until.store(AWAKE, SeqCst);
        assert!(!alone.run_guest(4_000), "it will read the deadline");
        assert_eq!(alone.shared().settle_deadline(), 4_000);
        assert!(!alone.run_guest(4_000));
        assert!(!alone.run_guest(6_000), "too early does no harm");
        assert!(alone.run_guest(3_000));
    }
}
