//! Split virtqueues (virtio 1.3 §2.7).

#[cfg(test)]
mod tests;

use super::chain::{
    self, Chain, DESCRIPTOR_BYTES, Descriptor, INDIRECT, NEXT, indirect_table, nested_indirect, read_raw,
    split_descriptor,
};
use super::{Broken, MAX_SIZE, Position, QueueLayout, Result, Ring, feature};
use crate::memory::{GuestRam, RamSlice};
use std::sync::atomic::{Ordering, fence};
use vm_memory::Bytes;

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

pub struct SplitQueue<'m> {
    ram: &'m GuestRam,
    size: u16,
    descriptors: RamSlice<'m>,
    available: RamSlice<'m>,
    used: RamSlice<'m>,
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

impl<'m> Ring<'m> for SplitQueue<'m> {
    fn new(ram: &'m GuestRam, layout: &QueueLayout) -> Result<SplitQueue<'m>> {
        let QueueLayout { size, features, position, .. } = *layout;
        if !size.is_power_of_two() || size > MAX_SIZE {
            return Err(Broken(format!("gave the queue a size of {size}")));
        }
        let entries = size as usize;
        let part = |what, address, align, len| chain::part(ram, what, address, align, len);
        let available_len = RING + entries * AVAIL_ENTRY_BYTES + EVENT_BYTES;
        let used_len = RING + entries * USED_ENTRY_BYTES + EVENT_BYTES;
        Ok(SplitQueue {
            ram,
            size: size as u16,
            descriptors: part("the descriptor table", layout.descriptors, 16, entries * DESCRIPTOR_BYTES)?,
            available: part("the available ring", layout.available, 2, available_len)?,
            used: chain::writable_part(ram, "the used ring", layout.used, 4, used_len)?,
            indirect: features & feature::INDIRECT_DESC != 0,
            event_idx: features & feature::EVENT_IDX != 0,
            position,
            offered: position.available,
            published: position.used,
            considered: None,
            kick_wanted: true,
        })
    }

    fn position(&self) -> Position {
        self.position
    }

    fn has_available(&self) -> bool {
        load(&self.available, INDEX, Ordering::Acquire) != self.position.available
    }

    fn take(&mut self, chain: &mut Chain<'m>) -> Result<bool> {
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
        self.walk(head, chain)?;
        self.position.available = self.position.available.wrapping_add(1);
        Ok(true)
    }

    fn put_back(&mut self, before: Position) {
        self.position.available = before.available;
    }

    /// The head, little-endian: the chain stays in the descriptor table until it is given back.
    fn save(&self, chain: &Chain<'m>, saved: &mut Vec<u8>) {
        saved.extend(chain.id.to_le_bytes());
    }

    fn can_retake(&self, saved: &[u8]) -> bool {
        let taken = self.position.available.wrapping_sub(self.position.used).min(self.size);
        let mut heads = saved.chunks_exact(2).map(|head| u16::from_le_bytes([head[0], head[1]]));
        saved.len() % 2 == 0 && saved.len() / 2 <= taken.into() && heads.all(|head| head < self.size)
    }

    fn retake(&mut self, saved: &mut &[u8], chain: &mut Chain<'m>) -> Result<()> {
        let Some((head, rest)) = saved.split_first_chunk() else {
            return Err(Broken("left half a descriptor unfinished".into()));
        };
        *saved = rest;
        let head = u16::from_le_bytes(*head);
        if head >= self.size {
            return Err(Broken(format!("left descriptor {head} of {} unfinished", self.size)));
        }
        self.walk(head, chain)
    }

    fn give_back(&mut self, chain: &Chain<'m>, len: u32) {
        let at = RING + usize::from(self.position.used % self.size) * USED_ENTRY_BYTES;
        let entry = u64::from(chain.id) | u64::from(len) << 32;
        self.used.write_slice(&entry.to_le_bytes(), at).expect("an entry inside the ring");
        self.position.used = self.position.used.wrapping_add(1);
    }

    fn publish(&mut self) -> bool {
        if self.published == self.position.used {
            return false;
        }
        self.published = self.position.used;
        store(&self.used, INDEX, self.published, Ordering::Release);
        true
    }

    /// §2.7.7.2, §2.7.10.
    fn wants_interrupt(&mut self) -> bool {
        // Pairs with the driver's barrier: it writes its event index or flag and then reads the used index.
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

    fn forget_kick(&mut self) -> bool {
        std::mem::replace(&mut self.kick_wanted, false)
    }

    fn enable_kicks(&mut self) -> bool {
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

    fn enable_kicks_after(&mut self, chains: u16) -> bool {
        if !self.event_idx {
            return self.enable_kicks();
        }
        let event_at = RING + usize::from(self.size) * USED_ENTRY_BYTES;
        let event = self.position.available.wrapping_add(chains - 1);
        store(&self.used, event_at, event, Ordering::Relaxed);
        self.kick_wanted = true;
        fence(Ordering::SeqCst);
        let offered = load(&self.available, INDEX, Ordering::Acquire).wrapping_sub(self.position.available);
        offered >= chains
    }

    /// With EVENT_IDX, an index that has already been passed has that effect.
    fn disable_kicks(&mut self) {
        if !self.event_idx {
            store(&self.used, FLAGS, NO_NOTIFY, Ordering::Relaxed);
            self.kick_wanted &= self.has_available();
        }
    }
}

impl<'m> SplitQueue<'m> {
    /// Reads the chain that starts at descriptor `head`.
    fn walk(&self, head: u16, chain: &mut Chain<'m>) -> Result<()> {
        chain.clear();
        chain.id = head;
        let Some(indirect) = self.walk_table(self.descriptors, head, chain)? else { return Ok(()) };
        let table = indirect_table(self.ram, indirect, self.indirect)?;
        match self.walk_table(table, 0, chain)? {
            Some(_) => Err(nested_indirect()),
            None => Ok(()),
        }
    }

    /// Collects the buffers of a chain in one table. Returns the indirect descriptor that ends it, if any.
    fn walk_table(
        &self,
        table: RamSlice<'m>,
        first: u16,
        chain: &mut Chain<'m>,
    ) -> Result<Option<Descriptor>> {
        let entries = table.len() / DESCRIPTOR_BYTES;
        let mut index = usize::from(first);
        for _ in 0..entries {
            if index >= entries {
                return Err(Broken(format!("linked to descriptor {index} of {entries}")));
            }
            let descriptor = split_descriptor(&read_raw(&table, index));
            if descriptor.flags & INDIRECT != 0 {
                return Ok(Some(descriptor));
            }
            chain.add(self.ram, descriptor)?;
            if descriptor.flags & NEXT == 0 {
                return Ok(None);
            }
            index = usize::from(descriptor.other);
        }
        Err(Broken(format!("made a loop of descriptors, starting at {first}")))
    }
}

/// `at` is even and inside `ring`.
fn load(ring: &RamSlice, at: usize, order: Ordering) -> u16 {
    u16::from_le(ring.load(at, order).expect("an aligned word inside the ring"))
}

fn store(ring: &RamSlice, at: usize, value: u16, order: Ordering) {
    ring.store(value.to_le(), at, order).expect("an aligned word inside the ring");
}
