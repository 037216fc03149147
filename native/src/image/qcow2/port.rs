//! The thread that works on an image's tables for the threads that serve requests, which never wait for tables:
//! anything not in memory is a task for it. Eventfds among the image's files signal the end of tasks; a serving thread
//! polls one in its ring, as the operation of the waiting request.

use super::{Core, Pin};
use crate::epoll::EventFd;
use crate::errno::{Errno, Result};
use crate::seccomp::Filter;
use crate::sync::lock;
use crate::thread::{Ending, Thread};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the thread does for a request. Positions are bytes of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Loads the tables that locate these bytes.
    Load {
        start: u64,
        len: u64,
    },
    /// The same, and makes the bytes writable.
    Allocate {
        start: u64,
        len: u64,
    },
    /// Decompresses a layer's cluster that contains the byte.
    Expand {
        layer: usize,
        start: u64,
    },
    Discard {
        start: u64,
        len: u64,
    },
    WriteZeroes {
        start: u64,
        len: u64,
        unmap: bool,
        durable: bool,
    },
    Flush,
    /// Nothing: signals that earlier tasks have been done.
    Pass,
    /// Writes everything to the file and forgets what is in memory.
    Settle,
}

#[derive(Clone, Debug)]
pub enum Answer {
    Done,
    /// The content of a whole cluster.
    Cluster(Arc<Vec<u8>>),
}

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const ENDED: u8 = 2;
const CANCELED: u8 = 3;

/// Eventfds of an image. If more tasks are awaited at the same time they share them, which causes spurious wake-ups.
const SIGNALS: usize = 8;

/// A task that has been requested. Dropping it withdraws the task if it has not begun.
pub struct Ticket {
    asked: Arc<Asked>,
    shared: Arc<Shared>,
}

struct Asked {
    task: Task,
    state: AtomicU8,
    answer: Mutex<Option<Result<Answer>>>,
    signal: usize,
    /// Its signal may still be set from an earlier task.
    first: bool,
}

impl Asked {
    fn new(task: Task, signal: usize, first: bool) -> Asked {
        Asked { task, state: AtomicU8::new(WAITING), answer: Mutex::new(None), signal, first }
    }
}

impl Ticket {
    /// The answer, once the task has ended.
    pub fn answer(&self) -> Option<Result<Answer>> {
        match self.asked.state.load(SeqCst) {
            ENDED => lock(&self.asked.answer).clone(),
            _ if self.shared.has_died() => Some(Err(Errno(libc::EIO))),
            _ => None,
        }
    }

    pub fn has_ended(&self) -> bool {
        self.answer().is_some()
    }

    /// The index in `Image::files` of the file that becomes readable when it has ended, and perhaps before.
    pub fn file(&self) -> u16 {
        (self.shared.core.layers.len() + self.asked.signal) as u16
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = self.asked.state.compare_exchange(WAITING, CANCELED, SeqCst, SeqCst);
        self.shared.signals[self.asked.signal].users.fetch_sub(1, SeqCst);
    }
}

#[derive(Default)]
struct Asking {
    tasks: VecDeque<Arc<Asked>>,
    /// The thread ends when there are no more tasks.
    closing: bool,
}

struct Signal {
    event: EventFd,
    /// Number of tickets that may wait for it.
    users: AtomicUsize,
}

struct Shared {
    core: Arc<Core>,
    asking: Mutex<Asking>,
    /// A task was requested, or the thread must end.
    news: Condvar,
    signals: Vec<Signal>,
    /// There is no thread, or it has died.
    died: AtomicBool,
}

pub struct Port {
    shared: Arc<Shared>,
    seccomp: bool,
    thread: Mutex<Option<Thread>>,
}

/// Threads of closed images that are stuck in the kernel.
static LEFT: Mutex<Vec<Thread>> = Mutex::new(Vec::new());
const JOIN_LIMIT: Duration = Duration::from_millis(100);

impl Port {
    pub fn open(core: Arc<Core>, seccomp: bool) -> Result<Port> {
        lock(&LEFT).retain_mut(|thread| !thread.join_within(Duration::ZERO));
        let signal = |_| Ok(Signal { event: EventFd::new()?, users: AtomicUsize::new(0) });
        let shared = Arc::new(Shared {
            core,
            asking: Mutex::default(),
            news: Condvar::new(),
            signals: (0..SIGNALS).map(signal).collect::<Result<_>>()?,
            died: AtomicBool::new(true),
        });
        Ok(Port { shared, seccomp, thread: Mutex::default() })
    }

    /// Starts the thread. Not before the process has been confined, which changes the user of all of its threads: a
    /// filtered thread can't do that.
    pub fn start(&self) -> Result<()> {
        let mut started = lock(&self.thread);
        if started.is_some() {
            return Ok(());
        }
        let filter = if self.seccomp { Some(self.shared.filter()?) } else { None };
        self.shared.died.store(false, SeqCst);
        let (running, notified) = (self.shared.clone(), self.shared.clone());
        let thread = Thread::spawn(
            "vring-image",
            None,
            move || {
                if let Some(filter) = &filter {
                    filter.apply()?;
                }
                running.run();
                Ok(())
            },
            move |ending| {
                if ending != Ending::Done {
                    notified.died.store(true, SeqCst);
                }
                notified.signals.iter().for_each(|signal| signal.event.signal());
            },
        )?;
        *started = Some(thread);
        Ok(())
    }

    pub fn ask(&self, task: Task) -> Ticket {
        let signal = self.shared.free_signal();
        let first = self.shared.signals[signal].users.fetch_add(1, SeqCst) == 0;
        let asked = Arc::new(Asked::new(task, signal, first));
        lock(&self.shared.asking).tasks.push_back(asked.clone());
        self.shared.news.notify_one();
        Ticket { asked, shared: self.shared.clone() }
    }

    /// Keeps what is looked up from now on in place.
    pub fn pin(&self) -> Pin {
        self.shared.core.pins.pin()
    }

    /// Whether the file lacks tables that are in memory.
    pub fn is_dirty(&self) -> bool {
        self.shared.core.is_dirty.load(SeqCst)
    }

    /// The eventfds that the thread signals.
    pub fn files(&self) -> impl Iterator<Item = RawFd> {
        self.shared.signals.iter().map(|signal| signal.event.as_raw_fd())
    }

    #[cfg(test)]
    pub fn cause_of_death(&self) -> Option<String> {
        lock(&self.thread).as_ref()?.life().cause_of_death()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let Some(mut thread) = lock(&self.thread).take() else { return };
        let mut asking = lock(&self.shared.asking);
        if !self.shared.core.state.readonly {
            asking.tasks.push_back(Arc::new(Asked::new(Task::Settle, 0, false)));
        }
        asking.closing = true;
        drop(asking);
        self.shared.news.notify_one();
        if !thread.join_within(JOIN_LIMIT) {
            lock(&LEFT).push(thread);
        }
    }
}

impl Shared {
    fn filter(&self) -> Result<Filter> {
        let files = self.core.files();
        let written = if self.core.state.readonly { &[] } else { &files[..1] };
        let signals: Vec<_> = self.signals.iter().map(|signal| signal.event.as_raw_fd()).collect();
        Filter::image(&files, written, &signals)
    }

    fn has_died(&self) -> bool {
        self.died.load(SeqCst)
    }

    /// The signal with the fewest waiters.
    fn free_signal(&self) -> usize {
        let users = |index: &usize| self.signals[*index].users.load(SeqCst);
        (0..SIGNALS).min_by_key(users).unwrap_or(0)
    }

    fn run(&self) {
        while let Some(asked) = self.next() {
            let signal = &self.signals[asked.signal].event;
            if asked.first {
                signal.drain();
            }
            if asked.state.compare_exchange(WAITING, RUNNING, SeqCst, SeqCst).is_err() {
                continue;
            }
            let answer = self.core.carry_out(asked.task);
            *lock(&asked.answer) = Some(answer);
            asked.state.store(ENDED, SeqCst);
            signal.signal();
        }
    }

    /// None once the port is closed.
    fn next(&self) -> Option<Arc<Asked>> {
        let mut asking = lock(&self.asking);
        loop {
            if let Some(next) = asking.tasks.pop_front() {
                return Some(next);
            }
            if asking.closing {
                return None;
            }
            asking = self.news.wait(asking).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
