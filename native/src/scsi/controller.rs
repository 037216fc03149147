//! The units of a SCSI controller, which come and go while its queues run, and the events that it sends to its driver.

use super::event_queue::Events;
use super::medium::Medium;
use super::unit::{Address, Unit, attention};
use crate::epoll::{self, EventFd};
use crate::errno::{Errno, Result};
use crate::image::Image;
use crate::limiter::Limiter;
use crate::queue_thread::FileTable;
use crate::sync::lock;
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock, Weak};

/// The most files of all media together.
const MAX_FILES: usize = 256;
/// Sizes before a driver has set them (virtio 1.3 §5.6.4).
pub const DEFAULT_CDB_SIZE: u32 = 32;
pub const DEFAULT_SENSE_SIZE: u32 = 96;

pub struct Controller {
    units: RwLock<BTreeMap<Address, Arc<Unit>>>,
    pub files: Arc<FileTable>,
    pub events: Events,
    /// Signaled when a command that task management waits for has ended.
    pub task_ended: EventFd,
    /// Signaled when the machine thread must `settle` and check the trays.
    machine: OwnedFd,
    /// Media that were removed while requests used them. The machine thread closes them: queue threads may not do that.
    removed: Mutex<Vec<Arc<Medium>>>,
    /// Queue threads must retry their requests.
    wake: AtomicBool,
    cdb_size: AtomicU32,
    sense_size: AtomicU32,
    /// Held while units and media change.
    changing: Mutex<()>,
}

impl Controller {
    /// `machine` is an eventfd.
    pub fn new(machine: OwnedFd) -> Result<Controller> {
        Ok(Controller {
            units: RwLock::default(),
            files: Arc::new(FileTable::new(MAX_FILES)),
            events: Events::new()?,
            task_ended: EventFd::new()?,
            machine,
            removed: Mutex::default(),
            wake: AtomicBool::new(false),
            cdb_size: AtomicU32::new(DEFAULT_CDB_SIZE),
            sense_size: AtomicU32::new(DEFAULT_SENSE_SIZE),
            changing: Mutex::default(),
        })
    }

    pub fn sizes(&self) -> (u32, u32) {
        (self.cdb_size.load(SeqCst), self.sense_size.load(SeqCst))
    }

    /// Sets the bytes of a CDB, at most 255, and of sense data, at most 65535, in requests that begin from now on.
    pub fn set_sizes(&self, cdb: u32, sense: u32) -> Result<()> {
        if cdb > 255 || sense > 65535 {
            return Err(Errno(libc::EINVAL));
        }
        self.cdb_size.store(cdb, SeqCst);
        self.sense_size.store(sense, SeqCst);
        Ok(())
    }

    pub fn unit(&self, address: Address) -> Option<Arc<Unit>> {
        self.units.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&address).cloned()
    }

    /// The units of a target, or all, in order of their addresses.
    pub fn units(&self, target: Option<u8>) -> Vec<Arc<Unit>> {
        let units = self.units.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let chosen = units.values().filter(|unit| target.is_none_or(|target| unit.address.target == target));
        chosen.cloned().collect()
    }

    pub fn has_target(&self, target: u8) -> bool {
        let units = self.units.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        units.range(Address { target, lun: 0 }..).next().is_some_and(|(found, _)| found.target == target)
    }

    /// EEXIST if its address is taken.
    pub fn add(&self, unit: Unit) -> Result<()> {
        let _changing = lock(&self.changing);
        let mut units = self.units.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if units.contains_key(&unit.address) {
            return Err(Errno(libc::EEXIST));
        }
        let target = unit.address.target;
        units.values().filter(|other| other.address.target == target).for_each(notify_units_changed);
        units.insert(unit.address, Arc::new(unit));
        Ok(())
    }

    /// Commands of the unit that have begun continue, but not to its medium.
    pub fn remove(&self, address: Address) -> Result<()> {
        let _changing = lock(&self.changing);
        let mut units = self.units.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let unit = units.remove(&address).ok_or(Errno(libc::ENOENT))?;
        units.values().filter(|other| other.address.target == address.target).for_each(notify_units_changed);
        drop(units);
        unit.stop_counting();
        self.discard(unit.take_medium());
        Ok(())
    }

    /// Called when a thread is about to serve requests to the media.
    pub fn prepare(&self) -> Result<()> {
        let mut media = self.units(None).into_iter().filter_map(|unit| unit.loaded());
        media.try_for_each(|medium| medium.image.prepare())
    }

    /// Inserts a medium into a drive, replacing the current one. With `first` the driver is not notified.
    pub fn insert(
        &self,
        address: Address,
        image: Arc<dyn Image>,
        limiter: Arc<Limiter>,
        first: bool,
    ) -> Result<()> {
        let _changing = lock(&self.changing);
        let unit = self.unit(address).ok_or(Errno(libc::ENOENT))?;
        if !self.files.controls().is_empty() {
            image.prepare()?;
        }
        let medium = Arc::new(Medium::new(&self.files, image, limiter)?);
        self.discard(if first { unit.start_with(medium) } else { unit.insert(medium) });
        if !first {
            self.events.medium_changed(&unit);
        }
        Ok(())
    }

    /// Removes the medium from a drive.
    pub fn eject(&self, address: Address) -> Result<()> {
        let _changing = lock(&self.changing);
        let unit = self.unit(address).ok_or(Errno(libc::ENOENT))?;
        let medium = unit.take_medium();
        if medium.is_some() {
            self.events.medium_changed(&unit);
        }
        self.discard(medium);
        Ok(())
    }

    fn discard(&self, medium: Option<Arc<Medium>>) {
        if let Some(medium) = medium {
            medium.remove(&self.files);
            lock(&self.removed).push(medium);
        }
        self.settle();
    }

    /// What the machine thread does for the queue threads: closes media that no request uses any more, and wakes the
    /// threads if they must retry their requests.
    pub fn settle(&self) {
        lock(&self.removed).retain(|medium| Arc::strong_count(medium) > 1);
        if self.wake.swap(false, SeqCst) {
            self.files.controls().iter().filter_map(Weak::upgrade).for_each(|control| control.signal());
        }
    }

    /// Asks the machine thread to settle and check the trays.
    pub fn signal_machine(&self) {
        epoll::signal(self.machine.as_raw_fd());
    }

    /// Makes the queue threads retry their requests.
    pub fn wake_queues(&self) {
        self.wake.store(true, SeqCst);
        self.signal_machine();
    }

    /// The eventfds that a request queue's thread writes to.
    pub fn written_by_requests(&self) -> [RawFd; 3] {
        [self.task_ended.as_raw_fd(), self.events.fd(), self.machine.as_raw_fd()]
    }

    pub fn machine_fd(&self) -> RawFd {
        self.machine.as_raw_fd()
    }

    /// The limiters of all media, for a queue that starts.
    pub fn limiters(&self) -> Vec<Arc<Limiter>> {
        let media = self.units(None).into_iter().filter_map(|unit| unit.loaded());
        media.map(|medium| medium.limiter.clone()).collect()
    }
}

fn notify_units_changed(unit: &Arc<Unit>) {
    unit.attend(attention::UNITS_CHANGED);
}
