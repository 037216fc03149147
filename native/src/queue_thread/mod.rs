//! Threads that serve virtqueues. `serve.rs` has their loop, generic over the ring and over the worker that knows what
//! the requests mean; this module has the handle that the rest of the program uses.

mod config;
mod direct;
mod file_table;
#[cfg(test)]
mod filter_tests;
mod kernel;
mod needs;
mod queues;
mod serve;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
pub mod testing;
mod uring;
#[cfg(test)]
pub mod userfault;
mod worker;

use crate::counters::{Block, NO_COUNTERS};
use crate::epoll::EventFd;
use crate::errno::{Errno, Result, check};
use crate::gate::Gate;
use crate::image::ErrorLog;
use crate::memory::GuestRam;
use crate::queue::{PackedQueue, Position, Ring, SplitQueue};
use crate::reactor::Reactor;
use crate::sync::lock;
use crate::thread::{Ending, Thread};
pub use config::{QueueConfig, QueueProgress};
pub use direct::{Post, Server};
use file_table::Tenant;
pub use file_table::{FileTable, Tenure};
use io_uring::IoUring;
pub use kernel::{Fault, Served};
pub use needs::{Needs, file};
pub use queues::Queues;
use serve::{Context, End, Loop};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use uring::{Confined, Eventfds};
pub use worker::{Next, Outcome, Parting, Worker};

/// The most requests taken and not yet returned.
pub const MAX_IN_FLIGHT: u32 = 256;

/// How long a queue may take to end after it was asked to, before it is abandoned as stuck, when its VM ends.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// Interval between attempts to abandon it.
const STOP_CHECK: Duration = Duration::from_millis(10);
/// How long a thread that has reported its end needs to exit, if the kernel has none of its requests left.
const EXIT_LIMIT: Duration = Duration::from_millis(100);

/// The errno of a thread that ended because the driver violated the protocol.
const BROKEN: Errno = Errno(libc::EPROTO);

/// What a queue's thread shares with its handle. The fds belong to the queue: their numbers must not be reused for
/// other files while an abandoned thread still runs.
struct Shared {
    config: QueueConfig,
    /// Wakes the thread to check whether it must stop, or whether guest memory or its limits have changed.
    control: Arc<EventFd>,
    stop: AtomicBool,
    /// The memory to serve the queue from, and whether it differs from what the thread uses.
    memory: Mutex<Arc<GuestRam>>,
    memory_changed: AtomicBool,
    kick: OwnedFd,
    call: OwnedFd,
    gate: Gate,
    /// A `Position`: avail index in the low half, used index in the high half.
    position: AtomicU32,
    /// The chains that were in progress when the thread ended.
    unfinished: OnceLock<Vec<u8>>,
    errors: ErrorLog,
    broken: OnceLock<String>,
}

/// Where a queue was stopped.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped {
    pub position: Position,
    /// The chains that were taken and not returned, as in `QueueProgress`. They may have been executed in part, and can
    /// be executed again.
    pub unfinished: Vec<u8>,
}

/// What a queue thread gets from its VM.
#[derive(Clone)]
pub struct Surroundings {
    pub ram: Arc<GuestRam>,
    pub counters: Block,
    pub reactor: Arc<Reactor>,
    pub seccomp: bool,
}

/// The handle of a queue's thread. Dropping it stops and joins the thread.
pub struct QueueThread {
    pub counter_slot: u32,
    shared: Arc<Shared>,
    thread: Thread,
    stop_requested: OnceLock<Instant>,
    /// Keeps its ring among those that receive the files of a table.
    _tenant: Option<Arc<Tenant>>,
}

/// The kind of a thread's queue, and the queue's number if it has one.
fn thread_name(kind: &str, counter_slot: u32) -> String {
    match counter_slot {
        NO_COUNTERS => format!("vring-{kind}"),
        slot => format!("vring-{kind}{slot}"),
    }
}

impl QueueThread {
    /// Starts the thread, with the chains in `unfinished`, which were taken and not returned before. It checks the
    /// queue once without a kick.
    pub fn start<W: Worker>(
        config: &QueueConfig,
        unfinished: &[u8],
        worker: W,
        surroundings: Surroundings,
    ) -> Result<QueueThread> {
        let Surroundings { ram, counters, reactor, seccomp } = surroundings;
        let ram = config.with_own_memory(ram)?;
        // Refuse invalid rings here; the same call in the thread then succeeds.
        config.check(&ram, unfinished)?;
        let shared = Arc::new(Shared::new(config, ram)?);
        let needs = worker.needs();
        let confined = shared.confine(config, &needs, reactor.wake_fd(), seccomp)?;
        let tenant = shared.join_table(&needs, &confined)?;
        for limiter in worker.limiters() {
            limiter.add_thread(Arc::downgrade(&shared.control));
        }
        let (running, notified) = (shared.clone(), reactor.clone());
        let (config, unfinished) = (*config, unfinished.to_vec());
        let name = thread_name(W::NAME, config.counter_slot);
        let mut queue = QueueThread::spawn(&name, config.counter_slot, shared, reactor, move || {
            confined.run(|ring| {
                let report = || notified.post_queue();
                let context =
                    Context { worker: &worker, needs: &needs, shared: &running, counters, report: &report };
                running.ended(serve(context, ring, config, unfinished.clone()))
            })
        })?;
        queue._tenant = tenant;
        Ok(queue)
    }

    /// The same for a queue served by system calls.
    pub fn start_server<S: Server>(
        config: &QueueConfig,
        unfinished: &[u8],
        server: S,
        surroundings: Surroundings,
    ) -> Result<QueueThread> {
        let Surroundings { ram, counters, reactor, seccomp } = surroundings;
        let ram = config.with_own_memory(ram)?;
        config.check(&ram, unfinished)?;
        let shared = Arc::new(Shared::new(config, ram)?);
        let filter = if seccomp { Some(shared.direct_filter(&server, reactor.wake_fd())?) } else { None };
        server.add_thread(Arc::downgrade(&shared.control));
        let running = shared.clone();
        let (config, unfinished) = (*config, unfinished.to_vec());
        let name = thread_name(S::NAME, config.counter_slot);
        QueueThread::spawn(&name, config.counter_slot, shared, reactor, move || {
            if let Some(filter) = &filter {
                filter.apply()?;
            }
            running.ended(direct::serve(&server, &running, counters, config, &unfinished))
        })
    }

    fn spawn(
        name: &str,
        counter_slot: u32,
        shared: Arc<Shared>,
        reactor: Arc<Reactor>,
        body: impl Fn() -> Result<()> + Send + Sync + 'static,
    ) -> Result<QueueThread> {
        let thread = Thread::spawn(name, None, body, move |_| reactor.post_queue())?;
        Ok(QueueThread { counter_slot, shared, thread, stop_requested: OnceLock::new(), _tenant: None })
    }

    /// Why the queue is no longer served, unless it was asked to stop: whether the driver violated the
    /// protocol, and a message.
    pub fn failure(&self) -> Option<(bool, String)> {
        let ending = self.thread.life().ending()?;
        if let Some(broken) = self.shared.broken.get() {
            return Some((true, format!("the driver {broken}")));
        }
        match ending {
            Ending::Done => None,
            Ending::Failed(errno) => Some((false, format!("its thread failed: {errno}"))),
            Ending::Panicked | Ending::Trapped(_) => {
                let cause = self.thread.life().cause_of_death().unwrap_or_default();
                Some((false, format!("its thread died: {cause}")))
            }
        }
    }

    /// The queue's disk errors.
    pub fn errors(&self) -> &ErrorLog {
        &self.shared.errors
    }

    /// Asks the thread to end. No request begins a new step, and the kernel is asked to cancel those in progress.
    pub fn request_stop(&self) {
        self.stop_requested.get_or_init(Instant::now);
        self.shared.stop.store(true, SeqCst);
        self.shared.control.signal();
    }

    /// Whether the thread has been asked to end, and has reported its end.
    pub fn has_stopped(&self) -> bool {
        self.stop_requested.get().is_some() && self.has_ended()
    }

    /// Makes the thread continue with other memory: it leaves the old one between two steps of its requests, as when it
    /// is asked to end, soon after this has returned.
    pub fn use_memory(&self, ram: Arc<GuestRam>) {
        self.shared.change_memory(ram);
        self.shared.control.signal();
    }

    /// The same, without waking the thread.
    #[cfg(test)]
    pub fn use_memory_silently(&self, ram: Arc<GuestRam>) {
        self.shared.change_memory(ram);
    }

    /// Whether it has left the memory that it used before the last `use_memory`.
    #[cfg(test)]
    pub fn has_memory(&self) -> bool {
        !self.shared.has_memory_changed()
    }

    pub fn has_ended(&self) -> bool {
        self.thread.life().ending().is_some()
    }

    /// Asks the thread to end and waits for that, at most `limit`. Returns whether it has ended.
    pub fn end_within(&mut self, limit: Duration) -> bool {
        self.request_stop();
        let limit = if self.has_ended() { limit.max(EXIT_LIMIT) } else { limit };
        self.thread.join_within(limit)
    }

    /// Asks the thread to end, and abandons it if it is stuck in a disk request: when it continues, it touches nothing
    /// of the VM. Until it has ended, the kernel may still write to the guest's memory, and uses the disk. Returns
    /// whether it has ended instead.
    pub fn abandon(&mut self) -> bool {
        loop {
            // A thread that has reported its end waits in the kernel, too.
            let reported = self.has_ended();
            if self.end_within(if reported { EXIT_LIMIT } else { Duration::ZERO }) {
                return true;
            }
            if reported || self.shared.gate.abandon() {
                return false;
            }
            // It is entering the kernel, or about to end.
            self.thread.join_within(STOP_CHECK);
        }
    }

    /// Waits for the thread to end, for `STOP_LIMIT` since it was first asked to, then abandons it.
    /// Returns whether it has ended.
    pub fn end(&mut self) -> bool {
        self.request_stop();
        let asked = self.stop_requested.get().map_or(Duration::ZERO, Instant::elapsed);
        self.end_within(STOP_LIMIT.saturating_sub(asked)) || self.abandon()
    }

    /// Whether an abandoned thread has ended by now.
    pub fn has_left(&mut self) -> bool {
        // A trapped thread may have left requests in the kernel, which its exit waits for.
        let returned =
            self.thread.life().ending().is_some_and(|ending| !matches!(ending, Ending::Trapped(_)));
        self.thread.join_within(if returned { EXIT_LIMIT } else { Duration::ZERO })
    }

    /// Waits for an abandoned thread to end.
    pub fn join(&mut self) {
        self.thread.join();
    }

    /// Where it stopped. Only for a thread that has ended.
    pub fn stopped(&self) -> Stopped {
        Stopped {
            position: unpack(self.shared.position.load(Relaxed)),
            unfinished: self.shared.unfinished.get().cloned().unwrap_or_default(),
        }
    }
}

impl Drop for QueueThread {
    fn drop(&mut self) {
        self.request_stop();
    }
}

/// Serves the queue until it is asked to stop, always from the VM's current memory. Returns the unfinished chains.
fn serve<W: Worker>(
    context: Context<'_, W>,
    ring: &mut IoUring,
    mut config: QueueConfig,
    mut unfinished: Vec<u8>,
) -> Served<Vec<u8>> {
    loop {
        let ram = context.shared.take_memory();
        let end = match config.is_packed() {
            true => serve_from::<PackedQueue, W>(&ram, &config, context, ring, &unfinished)?,
            false => serve_from::<SplitQueue, W>(&ram, &config, context, ring, &unfinished)?,
        };
        unfinished = end.unfinished;
        if !end.goes_on {
            return Ok(unfinished);
        }
        config.go_on_at(unpack(context.shared.position.load(Relaxed)));
    }
}

fn serve_from<'m, R: Ring<'m>, W: Worker>(
    ram: &'m GuestRam,
    config: &QueueConfig,
    context: Context<'_, W>,
    ring: &mut IoUring,
    unfinished: &[u8],
) -> Served<End> {
    let queue = R::new(ram, &config.layout())?;
    Loop::new(ring, queue, ram, config.size, context).run(unfinished)
}

impl Shared {
    fn new(config: &QueueConfig, ram: Arc<GuestRam>) -> Result<Shared> {
        Ok(Shared {
            config: *config,
            control: Arc::new(EventFd::new()?),
            stop: AtomicBool::new(false),
            memory: Mutex::new(ram),
            memory_changed: AtomicBool::new(false),
            kick: duplicate(config.kick_fd)?,
            call: duplicate(config.call_fd)?,
            gate: Gate::default(),
            position: AtomicU32::new(pack(config.layout().position)),
            unfinished: OnceLock::new(),
            errors: ErrorLog::default(),
            broken: OnceLock::new(),
        })
    }

    fn change_memory(&self, ram: Arc<GuestRam>) {
        // Guest RAM never overlaps the queue's own memory; if it did, the queue would find itself without its ring.
        *lock(&self.memory) = self.config.with_own_memory(ram.clone()).unwrap_or(ram);
        self.memory_changed.store(true, SeqCst);
    }

    fn has_memory_changed(&self) -> bool {
        self.memory_changed.load(SeqCst)
    }

    /// The memory to serve the queue from now on.
    fn take_memory(&self) -> Arc<GuestRam> {
        // Cleared before reading, so that a later change is noticed.
        self.memory_changed.store(false, SeqCst);
        lock(&self.memory).clone()
    }

    /// The confinement of this queue's thread.
    fn confine(&self, config: &QueueConfig, needs: &Needs, wake: RawFd, seccomp: bool) -> Result<Confined> {
        let (kick, control, call) = (self.kick.as_raw_fd(), self.control.as_raw_fd(), self.call.as_raw_fd());
        let eventfds = Eventfds { kick, control, call, wake };
        Confined::new(kernel::ring_entries(config.size, needs.sources.len()), &eventfds, needs, seccomp)
    }

    /// Registers the files of the worker's table with the ring.
    fn join_table(&self, needs: &Needs, confined: &Confined) -> Result<Option<Arc<Tenant>>> {
        let Some(table) = &needs.table else { return Ok(None) };
        let tenant = Arc::new(Tenant {
            ring: duplicate(confined.ring_fd())?,
            control: self.control.clone(),
            first: needs.files.len() as u32,
        });
        table.add(&tenant)?;
        Ok(Some(tenant))
    }

    fn ended(&self, served: Served<Vec<u8>>) -> Result<()> {
        match served {
            Ok(unfinished) => {
                let _ = self.unfinished.set(unfinished);
                Ok(())
            }
            Err(Fault::Failed(errno)) => Err(errno),
            Err(Fault::Abandoned) => Err(Errno(libc::ETIMEDOUT)),
            Err(Fault::Broken(broken)) => {
                let _ = self.broken.set(broken.0);
                Err(BROKEN)
            }
        }
    }
}

/// Another fd of the same open file.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: no pointers; a non-negative result is a new fd that nothing else owns.
    unsafe { check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

fn pack(position: Position) -> u32 {
    u32::from(position.available) | u32::from(position.used) << 16
}

fn unpack(packed: u32) -> Position {
    Position { available: packed as u16, used: (packed >> 16) as u16 }
}
