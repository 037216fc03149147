//! A logical unit: a disk or a CD drive at an address of a SCSI controller.

use super::medium::Medium;
use super::sense::{self, Sense};
use super::tasks::Tasks;
use crate::counters::{Block, queue as words};
use crate::queue_thread::Outcome;
use crate::sync::lock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// A unit's address: its target, and its logical unit number there. There is one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub target: u8,
    pub lun: u16,
}

impl Address {
    /// As in REPORT LUNS (SAM-5 §4.7): peripheral addressing for the first 256 units of a target, flat space addressing
    /// for the others.
    pub fn lun_field(&self) -> [u8; 2] {
        let [high, low] = self.lun.to_be_bytes();
        if self.lun < 256 { [0, low] } else { [0x40 | high, low] }
    }

    /// As in virtio's events: always flat space addressing.
    pub fn encode(&self) -> [u8; 8] {
        let [high, low] = self.lun.to_be_bytes();
        [1, self.target, 0x40 | high, low, 0, 0, 0, 0]
    }

    /// From the LUN field of a request (virtio 1.3 §5.6.6.1). None for fields that address nothing here.
    pub fn decode(field: &[u8; 8]) -> Option<Address> {
        match field {
            [1, target, high, low, ..] if *high == 0 || high & 0xc0 == 0x40 => {
                Some(Address { target: *target, lun: u16::from(high & 0x3f) << 8 | u16::from(*low) })
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Disk,
    Cd,
}

/// A unit's identity, which never changes.
pub struct Identity {
    pub kind: Kind,
    /// ASCII, padded with spaces.
    pub vendor: [u8; 8],
    pub product: [u8; 16],
    pub revision: [u8; 4],
    /// ASCII.
    pub serial: Vec<u8>,
    /// NAA identifiers of the unit and of its port; 0 for none.
    pub wwn: u64,
    pub port_wwn: u64,
    /// Bytes of a logical block.
    pub block: u32,
    /// log2 of the logical blocks per physical block.
    pub physical_exponent: u8,
    /// In bytes; 0 if unknown.
    pub min_io: u32,
    pub optimal_io: u32,
    /// 0 if not reported, 1 for non-rotating, else revolutions per minute.
    pub rotation_rate: u16,
    pub removable: bool,
    /// It reports support for the DPO and FUA bits.
    pub dpofua: bool,
}

/// Unit attentions, reported with the next command (SAM-5 §5.14), one bit each. The lowest is reported first.
pub mod attention {
    pub const RESET: u32 = 1 << 0;
    pub const MEDIUM_CHANGED: u32 = 1 << 1;
    pub const UNITS_CHANGED: u32 = 1 << 2;
    pub const CAPACITY_CHANGED: u32 = 1 << 3;
    pub const ALL: u32 = RESET | MEDIUM_CHANGED | UNITS_CHANGED | CAPACITY_CHANGED;
}

/// Codes of media events (MMC-6 table 329).
pub mod media_event {
    pub const NONE: u8 = 0;
    pub const EJECT_REQUEST: u8 = 1;
    pub const NEW_MEDIA: u8 = 2;
    pub const MEDIA_REMOVAL: u8 = 3;
}

/// The mode parameters that a driver can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Writes are durable after a flush, not when they complete (WCE).
    pub write_cache: bool,
    /// Sense data comes in descriptor format (D_SENSE).
    pub descriptor_sense: bool,
}

/// The state of a drive with a tray.
#[derive(Default)]
pub struct Drive {
    medium: Option<Arc<Medium>>,
    pub tray_open: bool,
    /// The driver prevents removal.
    pub locked: bool,
    /// A `media_event`, until the driver has polled it.
    pub event: u8,
    /// The driver has subscribed to events about its medium (virtio 1.3 §5.6.6.2).
    pub subscribed: bool,
}

pub struct Unit {
    pub address: Address,
    pub identity: Identity,
    pub tasks: Tasks,
    default_modes: Modes,
    write_cache: AtomicBool,
    descriptor_sense: AtomicBool,
    attentions: AtomicU32,
    drive: Mutex<Drive>,
    /// Counts its commands, which its controller's queues count too; None for no counters.
    counters: Mutex<Option<Block>>,
}

impl Drive {
    /// The medium that the driver sees.
    pub fn medium(&self) -> Option<&Arc<Medium>> {
        self.medium.as_ref().filter(|_| !self.tray_open)
    }

    pub fn is_loaded(&self) -> bool {
        self.medium.is_some()
    }
}

impl Unit {
    pub fn new(address: Address, identity: Identity, write_cache: bool) -> Unit {
        let default_modes = Modes { write_cache, descriptor_sense: false };
        Unit {
            address,
            identity,
            tasks: Tasks::default(),
            default_modes,
            write_cache: AtomicBool::new(write_cache),
            descriptor_sense: AtomicBool::new(false),
            attentions: AtomicU32::new(attention::RESET),
            drive: Mutex::default(),
            counters: Mutex::default(),
        }
    }

    /// With counters, which it uses until `stop_counting`.
    pub fn counting_in(self, counters: Block) -> Unit {
        *lock(&self.counters) = Some(counters);
        self
    }

    /// Stops using its counters, which get another user: commands that have begun may end later.
    pub fn stop_counting(&self) {
        *lock(&self.counters) = None;
    }

    /// Counts a command that has ended, `took` nanoseconds after it began.
    pub fn count(&self, outcome: &Outcome, took: u64) {
        let counters = lock(&self.counters);
        let Some(counters) = &*counters else { return };
        for (word, amount) in [
            (words::REQUESTS, 1),
            (words::BYTES_TO_GUEST, outcome.to_guest),
            (words::BYTES_FROM_GUEST, outcome.from_guest),
            (words::ERRORS, u64::from(outcome.failed)),
            (words::DISK_ERRORS, u64::from(outcome.error.is_some())),
            (words::LATENCY_NS, took),
        ] {
            counters.add(word, amount);
        }
        counters.histogram(words::LATENCY, took);
    }

    pub fn is_cd(&self) -> bool {
        self.identity.kind == Kind::Cd
    }

    /// The number that identifies it to the machine thread in reports of disk errors.
    pub fn number(&self) -> u32 {
        u32::from(self.address.target) << 16 | u32::from(self.address.lun)
    }

    pub fn default_modes(&self) -> Modes {
        self.default_modes
    }

    pub fn modes(&self) -> Modes {
        let write_cache = self.write_cache.load(SeqCst);
        Modes { write_cache, descriptor_sense: self.descriptor_sense.load(SeqCst) }
    }

    pub fn set_modes(&self, modes: Modes) {
        self.write_cache.store(modes.write_cache, SeqCst);
        self.descriptor_sense.store(modes.descriptor_sense, SeqCst);
    }

    /// Runs `action` on the drive while holding its lock.
    pub fn drive<T>(&self, action: impl FnOnce(&mut Drive) -> T) -> T {
        action(&mut lock(&self.drive))
    }

    /// The medium that a command works on.
    pub fn medium(&self) -> Result<Arc<Medium>, Sense> {
        self.drive(|drive| match drive.medium() {
            Some(medium) => Ok(medium.clone()),
            None if drive.tray_open => Err(sense::NO_MEDIUM_TRAY_OPEN),
            None if self.is_cd() => Err(sense::NO_MEDIUM_TRAY_CLOSED),
            None => Err(sense::NO_MEDIUM),
        })
    }

    /// The medium, whether or not the driver sees it.
    pub fn loaded(&self) -> Option<Arc<Medium>> {
        self.drive(|drive| drive.medium.clone())
    }

    /// Inserts a medium, which closes the tray. Returns the previous medium.
    pub fn insert(&self, medium: Arc<Medium>) -> Option<Arc<Medium>> {
        self.attend(attention::MEDIUM_CHANGED);
        self.drive(|drive| {
            drive.tray_open = false;
            drive.event = media_event::NEW_MEDIA;
            drive.medium.replace(medium)
        })
    }

    /// Inserts the first medium, of which the driver needs no notification.
    pub fn start_with(&self, medium: Arc<Medium>) -> Option<Arc<Medium>> {
        self.drive(|drive| drive.medium.replace(medium))
    }

    /// Takes the medium out. Returns it.
    pub fn take_medium(&self) -> Option<Arc<Medium>> {
        self.drive(|drive| {
            let taken = drive.medium.take();
            if taken.is_some() {
                drive.event = media_event::MEDIA_REMOVAL;
                drive.locked = false;
            }
            taken
        })
    }

    /// Adds unit attentions for the driver.
    pub fn attend(&self, attention: u32) {
        self.attentions.fetch_or(attention, SeqCst);
    }

    pub fn forget_attention(&self, attention: u32) {
        self.attentions.fetch_and(!attention, SeqCst);
    }

    pub fn attentions(&self) -> u32 {
        self.attentions.load(SeqCst)
    }

    pub fn set_attentions(&self, attentions: u32) {
        self.attentions.store(attentions & attention::ALL, SeqCst);
    }

    /// Takes the most important pending attention, which is then considered reported.
    pub fn take_attention(&self) -> Option<Sense> {
        let mut pending = self.attentions();
        loop {
            if pending == 0 {
                return None;
            }
            let first = 1 << pending.trailing_zeros();
            // A reset covers all others.
            let rest = if first == attention::RESET { 0 } else { pending & !first };
            match self.attentions.compare_exchange(pending, rest, SeqCst, SeqCst) {
                Ok(_) => return Some(sense_of(first)),
                Err(changed) => pending = changed,
            }
        }
    }

    /// Restores the power-on state. The medium stays.
    pub fn reset(&self) {
        self.set_modes(self.default_modes);
        self.attentions.store(attention::RESET, SeqCst);
        self.drive(|drive| {
            drive.tray_open = false;
            drive.locked = false;
            drive.event = media_event::NONE;
            drive.subscribed = false;
        });
    }
}

fn sense_of(attention: u32) -> Sense {
    let (asc, ascq) = match attention {
        attention::MEDIUM_CHANGED => (0x28, 0x00),
        attention::UNITS_CHANGED => (0x3f, 0x0e),
        attention::CAPACITY_CHANGED => (0x2a, 0x09),
        _ => (0x29, 0x00),
    };
    sense::attention(asc, ascq)
}
