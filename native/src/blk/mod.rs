//! virtio-blk request queues (virtio 1.3 §5.2.6), each served by its own thread with io_uring.

mod bounce;
mod disk;
#[cfg(test)]
mod random_tests;
mod request;
mod slot;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod uring;
mod worker;

use crate::counters::Block;
use crate::epoll::EventFd;
use crate::errno::{Errno, Result};
use crate::memory::GuestRam;
use crate::queue::{Position, QueueLayout, SplitQueue};
use crate::reactor::Reactor;
use crate::seccomp::Filter;
use crate::sync::lock;
use crate::thread::{Ending, Thread};
use disk::{Disk, SERIAL_BYTES, direct_alignment};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use worker::{Fault, Signals, Worker};

/// A queue and its disk, as passed by JavaScript.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlkQueueConfig {
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
    /// Negotiated feature bits.
    pub features: u64,
    /// Bytes.
    pub disk_size: u64,
    pub disk_fd: i32,
    pub kick_fd: i32,
    pub call_fd: i32,
    /// Entries of the queue.
    pub size: u32,
    pub counter_slot: u32,
    pub last_avail: u16,
    pub used_index: u16,
    /// `flag` bits.
    pub flags: u32,
    pub serial: [u8; SERIAL_BYTES],
}

pub mod flag {
    pub const READONLY: u32 = 1;
    /// The disk is a block device. Unused: the kernel takes the same calls for both.
    pub const BLOCK_DEVICE: u32 = 2;
    pub const DISCARD: u32 = 4;
    pub const ALL: u32 = READONLY | BLOCK_DEVICE | DISCARD;
}

/// The errno of a thread that ended because the driver violated the protocol.
const BROKEN: Errno = Errno(libc::EPROTO);

struct Shared {
    stop: EventFd,
    /// A `Position`: avail index in the low half, used index in the high half.
    position: AtomicU32,
    broken: OnceLock<String>,
}

/// The handle of a queue's thread. Dropping it stops and joins the thread.
pub struct BlkQueue {
    pub counter_slot: u32,
    shared: Arc<Shared>,
    thread: Thread,
}

impl BlkQueue {
    /// Starts the thread. It checks the queue once without a kick.
    pub fn start(
        config: &BlkQueueConfig,
        ram: Arc<GuestRam>,
        counters: Block,
        reactor: Arc<Reactor>,
        seccomp: bool,
    ) -> Result<BlkQueue> {
        let layout = queue_layout(config);
        // Refuse invalid rings here; in the thread the same call succeeds.
        SplitQueue::new(&ram, &layout).map_err(|_| Errno(libc::EINVAL))?;
        let disk = disk_of(config)?;
        let ring = uring::build(worker::ring_entries(config.size))?;
        let shared = Arc::new(Shared {
            stop: EventFd::new()?,
            position: AtomicU32::new(pack(layout.position)),
            broken: OnceLock::new(),
        });
        let signals = Signals { kick: config.kick_fd, call: config.call_fd, stop: shared.stop.as_raw_fd() };
        let filter = match seccomp {
            true => Some(Filter::queue(ring.as_raw_fd(), signals.kick, signals.call, reactor.wake_fd())?),
            false => None,
        };
        let (ring, running) = (Mutex::new(ring), shared.clone());
        let thread = Thread::spawn(
            &format!("vring-blk{}", config.counter_slot),
            None,
            move || {
                // Only this thread takes the lock, which allows borrowing the ring here and dropping it with the handle.
                let mut ring = lock(&ring);
                ring.submitter().register_enable_rings().map_err(|error| uring::errno(&error))?;
                if let Some(filter) = &filter {
                    filter.apply()?;
                }
                let on_position = |position| running.position.store(pack(position), Relaxed);
                let served = SplitQueue::new(&ram, &layout).map_err(Fault::Broken).and_then(|queue| {
                    Worker::new(&mut ring, queue, layout.size, &disk, signals, counters, &on_position).run()
                });
                match served {
                    Ok(()) => Ok(()),
                    Err(Fault::Failed(errno)) => Err(errno),
                    Err(Fault::Broken(broken)) => {
                        let _ = running.broken.set(broken.0);
                        Err(BROKEN)
                    }
                }
            },
            move |ending| {
                if ending != Ending::Done {
                    reactor.post_queue();
                }
            },
        )?;
        Ok(BlkQueue { counter_slot: config.counter_slot, shared, thread })
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

    /// Asks the thread to finish the requests in flight and end.
    pub fn request_stop(&self) {
        self.shared.stop.signal();
    }

    /// Waits for the thread to end. Returns its position in the rings.
    pub fn join(mut self) -> Position {
        self.request_stop();
        self.thread.join();
        unpack(self.shared.position.load(Relaxed))
    }
}

impl Drop for BlkQueue {
    fn drop(&mut self) {
        self.request_stop();
    }
}

fn queue_layout(config: &BlkQueueConfig) -> QueueLayout {
    QueueLayout {
        size: config.size,
        descriptors: config.descriptors,
        available: config.available,
        used: config.used,
        features: config.features,
        position: Position { available: config.last_avail, used: config.used_index },
    }
}

fn disk_of(config: &BlkQueueConfig) -> Result<Disk> {
    let valid = config.disk_size % disk::SECTOR == 0
        && config.disk_size <= i64::MAX as u64
        && config.flags & !flag::ALL == 0;
    if !valid {
        return Err(Errno(libc::EINVAL));
    }
    Ok(Disk {
        fd: config.disk_fd,
        size: config.disk_size,
        readonly: config.flags & flag::READONLY != 0,
        can_discard: config.flags & flag::DISCARD != 0,
        features: config.features,
        serial: config.serial,
        direct_alignment: direct_alignment(config.disk_fd as RawFd)?,
    })
}

fn pack(position: Position) -> u32 {
    u32::from(position.available) | u32::from(position.used) << 16
}

fn unpack(packed: u32) -> Position {
    Position { available: packed as u16, used: (packed >> 16) as u16 }
}
