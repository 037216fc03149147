//! The thread that interrupts the guest of a machine thread that runs its vCPU itself. While the guest runs, it waits in the
//! machine thread's place: for the reactor's fds and for the next deadline.

use crate::clock::now_ns;
use crate::errno::{Errno, Result};
use crate::futex;
use crate::reactor::Reactor;
use crate::signals;
use crate::thread::Thread;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex};

/// The machine thread knows of whatever there was to wait for.
const IDLE: u32 = 0;
const ARMED: u32 = 1;
const STOPPED: u32 = 2;
/// The machine thread has been interrupted, and does not know yet what for.
const KICKED: u32 = 3;

const FOREVER: u64 = u64::MAX;

thread_local! {
    /// SAFETY: gettid has no arguments.
    static THREAD_ID: libc::pid_t = unsafe { libc::gettid() };
}

struct Shared {
    state: AtomicU32,
    /// On CLOCK_MONOTONIC.
    deadline: AtomicU64,
    /// Thread id of the machine thread.
    target: libc::pid_t,
    reactor: Arc<Reactor>,
}

pub struct Watcher {
    shared: Arc<Shared>,
    thread: Mutex<Option<Thread>>,
}

impl Watcher {
    /// Interrupts the calling thread, when armed.
    pub fn start(reactor: Arc<Reactor>) -> Result<Watcher> {
        let target = THREAD_ID.with(|id| *id);
        let shared = Arc::new(Shared {
            state: AtomicU32::new(IDLE),
            deadline: AtomicU64::new(FOREVER),
            target,
            reactor,
        });
        let watching = shared.clone();
        let thread = Thread::spawn("vring-watch", None, move || watching.run(), |_| {})?;
        Ok(Watcher { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Whether the calling thread is the one that this interrupts.
    pub fn watches_this_thread(&self) -> bool {
        THREAD_ID.with(|id| *id) == self.shared.target
    }

    /// Interrupts the machine thread once an fd of the reactor is ready, or at the deadline. It may do so without a reason,
    /// and after the machine thread has left the guest: then it must look for the reason first, and this returns false.
    pub fn arm(&self, deadline_ns: Option<u64>) -> bool {
        let Shared { state, deadline, reactor, .. } = &*self.shared;
        let next = deadline_ns.unwrap_or(FOREVER);
        let last = deadline.load(Relaxed);
        if last != next {
            deadline.store(next, SeqCst);
        }
        match state.compare_exchange(IDLE, ARMED, SeqCst, SeqCst) {
            Ok(_) => futex::wake(state),
            Err(KICKED) => return false,
            // It waits already, until the deadline of then.
            Err(ARMED) if next < last => reactor.wake(),
            Err(_) => {}
        }
        true
    }

    /// The machine thread looks for the reason of the interruption, if there has been one.
    pub fn take_kick(&self) {
        let _ = self.shared.state.compare_exchange(KICKED, IDLE, SeqCst, SeqCst);
        signals::consume_kick();
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
                ARMED => self.watch()?,
                unarmed => futex::wait(&self.state, unarmed),
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
        // The machine thread may be on its way into the guest again, and arms it again then.
        if self.state.compare_exchange(ARMED, KICKED, SeqCst, SeqCst).is_ok() {
            signals::kick_thread(self.target);
        }
        Ok(())
    }
}
