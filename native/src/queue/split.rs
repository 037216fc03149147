//! The rings of a split virtqueue (virtio 1.3 §2.7.6 to §2.7.10).

#[cfg(test)]
mod tests;

use super::chain::{Chain, DESCRIPTOR_BYTES, outside_ram};
use super::{Broken, Result, feature};
use crate::memory::GuestRam;
use std::sync::atomic::{Ordering, fence};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, VolatileSlice};

/// Offsets in both rings.
const FLAGS: usize = 0;
const INDEX: usize = 2;
const RING: usize = 4;
const AVAIL_ENTRY_BYTES: usize = 2;
const USED_ENTRY_BYTES: usize = 8;
/// The event index after the ring's entries.
const EVENT_BYTES: usize = 2;

/// In the avail ring's flags: the driver needs no interrupts.
const NO_INTERRUPT: u16 = 1;
/// In the used ring's flags: the device needs no kicks.
const NO_NOTIFY: u16 = 1;

pub const MAX_SIZE: u32 = 32768;

/// A queue as set up by the driver.
#[derive(Clone, Copy)]
pub struct QueueLayout {
    pub size: u32,
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
    /// Negotiated features.
    pub features: u64,
    pub position: Position,
}

/// The device's position: the next entry to take, and the next to fill in. Both wrap at 2^16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub available: u16,
    pub used: u16,
}

pub struct SplitQueue<'m> {
    ram: &'m GuestRam,
    size: u16,
    descriptors: VolatileSlice<'m>,
    available: VolatileSlice<'m>,
    used: VolatileSlice<'m>,
    indirect: bool,
    event_idx: bool,
    position: Position,
    /// The avail index as last read.
    offered: u16,
    /// The used index as last published.
    published: u16,
    /// The used index when an interrupt was last considered. None at first: what the driver has seen is unknown.
    considered: Option<u16>,
    /// Kicks are enabled for the next chain.
    kick_wanted: bool,
}

impl<'m> SplitQueue<'m> {
    pub fn new(ram: &'m GuestRam, layout: &QueueLayout) -> Result<SplitQueue<'m>> {
        let QueueLayout { size, features, position, .. } = *layout;
        if !size.is_power_of_two() || size > MAX_SIZE {
            return Err(Broken(format!("gave the queue a size of {size}")));
        }
        let entries = size as usize;
        let ring = |what, address: u64, align: u64, len: usize| {
            if address % align != 0 {
                return Err(Broken(format!("put {what} at {address:#x}, not a multiple of {align}")));
            }
            let slice = ram.get_slice(GuestAddress(address), len);
            slice.map_err(|_| outside_ram(what, address, len as u64))
        };
        let available_len = RING + entries * AVAIL_ENTRY_BYTES + EVENT_BYTES;
        let used_len = RING + entries * USED_ENTRY_BYTES + EVENT_BYTES;
        Ok(SplitQueue {
            ram,
            size: size as u16,
            descriptors: ring("the descriptor table", layout.descriptors, 16, entries * DESCRIPTOR_BYTES)?,
            available: ring("the available ring", layout.available, 2, available_len)?,
            used: ring("the used ring", layout.used, 4, used_len)?,
            indirect: features & feature::INDIRECT_DESC != 0,
            event_idx: features & feature::EVENT_IDX != 0,
            position,
            offered: position.available,
            published: position.used,
            considered: None,
            kick_wanted: true,
        })
    }

    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether the driver offers a chain that hasn't been taken.
    pub fn has_available(&self) -> bool {
        load(&self.available, INDEX, Ordering::Acquire) != self.position.available
    }

    /// Takes the next chain. Returns whether there was one.
    pub fn take(&mut self, chain: &mut Chain<'m>) -> Result<bool> {
        if self.offered == self.position.available {
            self.offered = load(&self.available, INDEX, Ordering::Acquire);
        }
        let waiting = self.offered.wrapping_sub(self.position.available);
        if waiting == 0 {
            return Ok(false);
        }
        if waiting > self.size {
            return Err(Broken(format!("offered {waiting} chains in a queue of {}", self.size)));
        }
        let slot = usize::from(self.position.available % self.size);
        let head = load(&self.available, RING + slot * AVAIL_ENTRY_BYTES, Ordering::Relaxed);
        if head >= self.size {
            return Err(Broken(format!("offered descriptor {head} of {}", self.size)));
        }
        chain.walk(self.ram, self.descriptors, head, self.indirect)?;
        self.position.available = self.position.available.wrapping_add(1);
        Ok(true)
    }

    /// Reads a chain that was taken in an earlier life of the queue and not given back.
    pub fn retake(&self, head: u16, chain: &mut Chain<'m>) -> Result<()> {
        if head >= self.size {
            return Err(Broken(format!("left descriptor {head} of {} unfinished", self.size)));
        }
        chain.walk(self.ram, self.descriptors, head, self.indirect)
    }

    /// Returns a chain in which the device wrote `len` bytes. The driver sees it after `publish`.
    pub fn give_back(&mut self, head: u16, len: u32) {
        let at = RING + usize::from(self.position.used % self.size) * USED_ENTRY_BYTES;
        let entry = u64::from(head) | u64::from(len) << 32;
        self.used.write_slice(&entry.to_le_bytes(), at).expect("an entry inside the ring");
        self.position.used = self.position.used.wrapping_add(1);
    }

    /// Publishes the returned chains to the driver. Returns whether there were any.
    pub fn publish(&mut self) -> bool {
        if self.published == self.position.used {
            return false;
        }
        self.published = self.position.used;
        store(&self.used, INDEX, self.published, Ordering::Release);
        true
    }

    /// Whether the driver wants an interrupt for what has been published since this was last asked (§2.7.7.2, §2.7.10).
    pub fn wants_interrupt(&mut self) -> bool {
        // The driver writes its event index or flag and then reads the used index; this is the other half.
        fence(Ordering::SeqCst);
        let before = self.considered.replace(self.published);
        if !self.event_idx {
            return load(&self.available, FLAGS, Ordering::Relaxed) & NO_INTERRUPT == 0;
        }
        let Some(before) = before else { return true };
        let event_at = RING + usize::from(self.size) * AVAIL_ENTRY_BYTES;
        let event = load(&self.available, event_at, Ordering::Relaxed);
        self.published.wrapping_sub(event).wrapping_sub(1) < self.published.wrapping_sub(before)
    }

    /// Whether kicks were enabled for the chains just taken. Disables them for the following ones.
    pub fn forget_kick(&mut self) -> bool {
        std::mem::replace(&mut self.kick_wanted, false)
    }

    /// Asks the driver for a kick at its next chain. Returns whether there is one already.
    pub fn enable_kicks(&mut self) -> bool {
        if self.event_idx {
            let event_at = RING + usize::from(self.size) * USED_ENTRY_BYTES;
            store(&self.used, event_at, self.position.available, Ordering::Relaxed);
        } else {
            store(&self.used, FLAGS, 0, Ordering::Relaxed);
        }
        self.kick_wanted = true;
        // The driver writes the avail index and then reads this.
        fence(Ordering::SeqCst);
        self.has_available()
    }

    /// Disables kicks. With EVENT_IDX, an index that has been passed already does that.
    pub fn disable_kicks(&mut self) {
        if !self.event_idx {
            store(&self.used, FLAGS, NO_NOTIFY, Ordering::Relaxed);
            self.kick_wanted &= self.has_available();
        }
    }
}

/// `at` is even and inside `ring`.
fn load(ring: &VolatileSlice, at: usize, order: Ordering) -> u16 {
    u16::from_le(ring.load(at, order).expect("an aligned word inside the ring"))
}

fn store(ring: &VolatileSlice, at: usize, value: u16, order: Ordering) {
    ring.store(value.to_le(), at, order).expect("an aligned word inside the ring");
}
