//! Jobs: threads that write a snapshot's files, verify them, or send RAM to another host. A job that writes files of a
//! machine gets its RAM and its disks, which must not change; a manager's gets its files. Holes and zero pages are skipped. A job
//! never delays its VM's end: once the VM closes the gate, the job touches no guest memory, even if the host's file system
//! blocks it.

pub mod abi;
mod copy;
mod crc32c;
mod send;
#[cfg(test)]
mod send_tests;
mod source;
#[cfg(test)]
mod testing;
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
/// The unit of checksums.
const CHUNK: usize = 1 << 20;

/// Whether a job may continue, and touch its VM's memory.
#[derive(Default)]
pub struct Gate {
    closed: AtomicBool,
    touching: Mutex<()>,
}

impl Gate {
    /// Cancels the job. When this returns, it no longer touches guest memory.
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

/// The files of a job, by what its thread does with them.
#[derive(Default)]
pub struct JobFiles {
    pub read: Vec<RawFd>,
    pub written: Vec<RawFd>,
    /// Sockets.
    pub sent_to: Vec<RawFd>,
    pub synced: Vec<RawFd>,
}

impl JobFiles {
    fn and(mut self, other: JobFiles) -> JobFiles {
        self.read.extend(other.read);
        self.written.extend(other.written);
        self.sent_to.extend(other.sent_to);
        self.synced.extend(other.synced);
        self
    }
}

/// State shared between a job's thread and its users.
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
    /// Starts a job. `bytes` are what a part may write; when it has ended, 8 bytes are written
    /// to `ended`, as to an eventfd.
    ///
    /// # Safety
    /// As for `Part::new`.
    pub unsafe fn start(parts: &[JobPart], bytes: &[u8], ended: RawFd, seccomp: bool) -> Result<Job> {
        let gate = Arc::new(Gate::default());
        // SAFETY: the caller's promise.
        let new = |part| unsafe { Part::new(part, bytes, &gate) };
        let parts = parts.iter().map(new).collect::<Result<Vec<_>>>()?;
        let ended: OwnedFd = duplicate(ended)?;
        let files = parts.iter().map(Part::files).fold(JobFiles::default(), JobFiles::and);
        let filter = match seccomp {
            true => Some(Filter::job(&files, ended.as_raw_fd())?),
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
                // Its files are closed with its end: a job without a handle may be kept for long.
                let mut parts = std::mem::take(&mut *lock(&parts));
                running.run(&mut parts);
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
    /// Jobs without a handle that are stuck in the kernel.
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

/// Forgets a job. If it has not ended, it is canceled, and abandoned if the file system blocks it.
pub fn forget(handle: i32) -> Result<()> {
    let mut job = lock(&TABLE).jobs.remove(&handle).ok_or(Errno(libc::ENOENT))?;
    job.shared.gate.close();
    // A job that has reported its end is about to leave its thread.
    let limit = if job.thread.life().ending().is_some() { JOIN_LIMIT } else { Duration::ZERO };
    if !job.thread.join_within(limit) {
        lock(&TABLE).left.push(job);
    }
    Ok(())
}

const JOIN_LIMIT: Duration = Duration::from_millis(100);
