//! Jobs: threads that write a snapshot's files, or verify them. A machine gives one its RAM and its disks, which must stand still; a
//! manager its files. Holes and zero pages are left out. A job never keeps its VM: once that closes the gate, it touches no guest
//! memory, wherever the host's file system keeps it.

pub mod abi;
mod copy;
mod crc32c;
mod source;
#[cfg(test)]
mod tests;

pub use copy::FICLONE;

use crate::epoll::signal;
use crate::errno::{Errno, Result};
use crate::seccomp::Filter;
use crate::sync::lock;
use crate::thread::{Ending, Thread};
use abi::{JobPart, JobReport, failure};
use copy::{Failed, Part, duplicate};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAGE: usize = 4096;
/// What has a checksum of its own.
const CHUNK: usize = 1 << 20;

/// Whether a job may go on, and touch its VM's memory.
#[derive(Default)]
pub struct Gate {
    closed: AtomicBool,
    touching: Mutex<()>,
}

impl Gate {
    /// Cancels the job. When this returns, it touches no guest memory any more.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
        drop(lock(&self.touching));
    }

    fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    fn touching<T>(&self, touch: impl FnOnce() -> Result<T>) -> Result<T> {
        let _touching = lock(&self.touching);
        if self.is_closed() { Err(Errno(libc::ECANCELED)) } else { touch() }
    }
}

/// What its thread and others know of a job.
pub struct Shared {
    gate: Arc<Gate>,
    done: AtomicU64,
    written: AtomicU64,
    cloned: AtomicU64,
    failed: Mutex<Option<(u32, Failed)>>,
}

pub struct Job {
    shared: Arc<Shared>,
    thread: Thread,
}

impl Job {
    /// Starts a job. `bytes` are those that a part may write; `ended` is written to when it has ended, as an eventfd is: 8 bytes.
    ///
    /// # Safety
    /// As for `Part::new`.
    pub unsafe fn start(parts: &[JobPart], bytes: &[u8], ended: RawFd, seccomp: bool) -> Result<Job> {
        let gate = Arc::new(Gate::default());
        // SAFETY: the caller's promise.
        let new = |part| unsafe { Part::new(part, bytes, &gate) };
        let parts = parts.iter().map(new).collect::<Result<Vec<_>>>()?;
        let ended: OwnedFd = duplicate(ended)?;
        let (read, written): (Vec<_>, Vec<_>) = parts.iter().map(Part::files).unzip();
        let filter = match seccomp {
            true => Some(Filter::job(&read.concat(), &written.concat(), ended.as_raw_fd())?),
            false => None,
        };
        let shared = Arc::new(Shared {
            gate,
            done: AtomicU64::new(0),
            written: AtomicU64::new(0),
            cloned: AtomicU64::new(0),
            failed: Mutex::default(),
        });
        let (running, parts) = (shared.clone(), Mutex::new(parts));
        let thread = Thread::spawn(
            "vring-snapshot",
            None,
            move || {
                if let Some(filter) = &filter {
                    filter.apply()?;
                }
                running.run(&mut lock(&parts));
                Ok(())
            },
            move |_| signal(ended.as_raw_fd()),
        )?;
        Ok(Job { shared, thread })
    }

    pub fn gate(&self) -> Arc<Gate> {
        self.shared.gate.clone()
    }

    pub fn report(&self) -> JobReport {
        let shared = &self.shared;
        let ending = self.thread.life().ending();
        let mut report = JobReport {
            done: shared.done.load(Relaxed),
            written: shared.written.load(Relaxed),
            cloned: shared.cloned.load(Relaxed),
            ended: ending.is_some().into(),
            ..JobReport::default()
        };
        if let Some((part, failed)) = &*lock(&shared.failed) {
            report.part = *part;
            report.failure = failed.failure;
            report.errno = failed.errno.0;
            report.offset = failed.offset;
        } else if let Some(ending) = ending.filter(|ending| *ending != Ending::Done) {
            report.failure = failure::DIED;
            report.errno = if let Ending::Failed(errno) = ending { errno.0 } else { libc::ENOTRECOVERABLE };
        }
        report
    }
}

impl Shared {
    fn run(&self, parts: &mut [Part]) {
        for (index, part) in parts.iter_mut().enumerate() {
            match part.run(self) {
                Ok(cloned) => {
                    self.cloned.fetch_or(u64::from(cloned) << index.min(63), Relaxed);
                }
                Err(failed) => {
                    *lock(&self.failed) = Some((index as u32, failed));
                    return;
                }
            }
        }
    }
}

/// The jobs of this process, by handle.
struct Table {
    jobs: BTreeMap<i32, Job>,
    /// Those that nobody waits for, and that the kernel has not let go of.
    left: Vec<Job>,
    next: i32,
}

static TABLE: Mutex<Table> = Mutex::new(Table { jobs: BTreeMap::new(), left: Vec::new(), next: 1 });

pub fn insert(job: Job) -> Result<i32> {
    let mut table = lock(&TABLE);
    table.left.retain_mut(|job| !job.thread.join_within(Duration::ZERO));
    let handle = table.next;
    table.next = handle.checked_add(1).ok_or(Errno(libc::ENFILE))?;
    table.jobs.insert(handle, job);
    Ok(handle)
}

pub fn report(handle: i32) -> Result<JobReport> {
    Ok(lock(&TABLE).jobs.get(&handle).ok_or(Errno(libc::ENOENT))?.report())
}

/// Asks a job to end, without waiting.
pub fn cancel(handle: i32) -> Result<()> {
    let gate = lock(&TABLE).jobs.get(&handle).ok_or(Errno(libc::ENOENT))?.gate();
    gate.close();
    Ok(())
}

/// Forgets a job. One that has not ended is canceled, and left to itself if its file system does not let go of it.
pub fn forget(handle: i32) -> Result<()> {
    let mut job = lock(&TABLE).jobs.remove(&handle).ok_or(Errno(libc::ENOENT))?;
    job.shared.gate.close();
    // One that has reported its end is about to leave its thread.
    let limit = if job.thread.life().ending().is_some() { JOIN_LIMIT } else { Duration::ZERO };
    if !job.thread.join_within(limit) {
        lock(&TABLE).left.push(job);
    }
    Ok(())
}

const JOIN_LIMIT: Duration = Duration::from_millis(100);
