//! Packed virtqueues (virtio 1.3 §2.8): one ring, in which the driver makes descriptors available and the device
//! overwrites them with used ones. Each descriptor has one flag bit per side; compared with a counter that flips at the
//! end of the ring, it shows whether the other side has updated the descriptor.

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;

use super::chain::{
    self, Chain, DESCRIPTOR_BYTES, INDIRECT, NEXT, RawDescriptor, WRITE, indirect_table, nested_indirect,
    packed_descriptor, read_raw,
};
use super::{Broken, MAX_SIZE, Position, QueueLayout, Result, Ring, feature};
use crate::memory::{GuestRam, RamSlice};
use std::sync::atomic::{Ordering, fence};
use vm_memory::Bytes;

/// Descriptor flags (§2.8.1).
const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
/// Offset in a descriptor.
const FLAGS: usize = 14;
const LEN: usize = 8;

/// An event suppression structure: {le16 desc: 15 bits of offset, 1 of wrap counter; le16 flags} (§2.8.14).
const EVENT_BYTES: usize = 4;
/// Values of its flags.
const ENABLE: u16 = 0;
const DISABLE: u16 = 1;
const AT_DESCRIPTOR: u16 = 2;

/// The wrap counter in an index.
const WRAP: u16 = 1 << 15;

/// A position in the ring, with its wrap counter.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    index: u16,
    wrap: bool,
}

impl Place {
    fn unpack(packed: u16) -> Place {
        Place { index: packed & !WRAP, wrap: packed & WRAP != 0 }
    }

    fn pack(self) -> u16 {
        self.index | if self.wrap { WRAP } else { 0 }
    }

    /// `count` descriptors further on in a ring of `size`; `count` is at most `size`.
    fn forward(self, count: u16, size: u16) -> Place {
        let index = u32::from(self.index) + u32::from(count);
        match index.checked_sub(size.into()) {
            Some(index) => Place { index: index as u16, wrap: !self.wrap },
            None => Place { index: index as u16, wrap: self.wrap },
        }
    }

    /// How many descriptors this is behind `to`, from 0 to twice the ring's size. Indices may be invalid.
    fn distance(self, to: Place, size: u16) -> u32 {
        let round = 2 * u32::from(size);
        let linear = |place: Place| u32::from(place.index) + if place.wrap { 0 } else { u32::from(size) };
        (linear(to) % round + round - linear(self) % round) % round
    }
}

pub struct PackedQueue<'m> {
    ram: &'m GuestRam,
    size: u16,
    ring: RamSlice<'m>,
    driver_events: RamSlice<'m>,
    device_events: RamSlice<'m>,
    indirect: bool,
    event_idx: bool,
    /// The next descriptor to take, and the next to fill in. Those in between have been taken and not given back.
    available: Place,
    used: Place,
    /// The flags of the first descriptor since the last `publish`, and their offset. The driver looks at descriptors in
    /// order, so everything given back between two publishes becomes visible at once.
    first_flags: Option<(usize, u16)>,
    /// `used` as last published, and when an interrupt was last considered: None at first, when what the driver has
    /// seen is unknown.
    published: Place,
    considered: Option<Place>,
    /// Kicks are enabled for the next chain.
    kick_wanted: bool,
}

impl<'m> Ring<'m> for PackedQueue<'m> {
    fn new(ram: &'m GuestRam, layout: &QueueLayout) -> Result<PackedQueue<'m>> {
        let QueueLayout { size, features, .. } = *layout;
        if size == 0 || size > MAX_SIZE {
            return Err(Broken(format!("gave the queue a size of {size}")));
        }
        let writable_part = |what, address, align, len| chain::writable_part(ram, what, address, align, len);
        let (available, used) =
            (Place::unpack(layout.position.available), Place::unpack(layout.position.used));
        let size = size as u16;
        let inside = available.index < size && used.index < size;
        if !inside || used.distance(available, size) > size.into() {
            return Err(Broken(format!("was at {:?} of a packed ring of {size}", layout.position)));
        }
        let ring_bytes = usize::from(size) * DESCRIPTOR_BYTES;
        Ok(PackedQueue {
            ram,
            size,
            ring: writable_part("the descriptor ring", layout.descriptors, 16, ring_bytes)?,
            driver_events: chain::part(
                ram,
                "the driver's event suppression",
                layout.available,
                4,
                EVENT_BYTES,
            )?,
            device_events: writable_part("the device's event suppression", layout.used, 4, EVENT_BYTES)?,
            indirect: features & feature::INDIRECT_DESC != 0,
            event_idx: features & feature::EVENT_IDX != 0,
            available,
            used,
            first_flags: None,
            published: used,
            considered: None,
            kick_wanted: true,
        })
    }

    fn position(&self) -> Position {
        Position { available: self.available.pack(), used: self.used.pack() }
    }

    fn has_available(&self) -> bool {
        let at = usize::from(self.available.index) * DESCRIPTOR_BYTES + FLAGS;
        let flags = self.ring.load(at, Ordering::Acquire).map(u16::from_le).expect("flags inside the ring");
        let (avail, used) = (flags & AVAIL != 0, flags & USED != 0);
        avail == self.available.wrap && used != self.available.wrap
    }

    fn take(&mut self, chain: &mut Chain<'m>) -> Result<bool> {
        if !self.has_available() {
            return Ok(false);
        }
        chain.clear();
        let room = u32::from(self.size) - self.used.distance(self.available, self.size);
        let mut place = self.available;
        loop {
            if chain.ring.len() as u32 == room {
                return Err(Broken(format!(
                    "made a chain of more than the {room} descriptors left of {}",
                    self.size
                )));
            }
            let raw = read_raw(&self.ring, place.index.into());
            place = place.forward(1, self.size);
            if self.add(raw, chain)? {
                break;
            }
        }
        self.available = place;
        Ok(true)
    }

    fn put_back(&mut self, before: Position) {
        self.available = Place::unpack(before.available);
    }

    /// Saves its descriptors: those in the ring may be overwritten before the chain is given back.
    fn save(&self, chain: &Chain<'m>, saved: &mut Vec<u8>) {
        chain.ring.iter().for_each(|raw| saved.extend(raw));
    }

    fn can_retake(&self, saved: &[u8]) -> bool {
        let taken = self.used.distance(self.available, self.size) as usize;
        let ends = |raw: &RawDescriptor| packed_descriptor(raw).flags & (NEXT | INDIRECT) != NEXT;
        saved.len() % DESCRIPTOR_BYTES == 0
            && saved.len() / DESCRIPTOR_BYTES <= taken
            && saved.last_chunk().is_none_or(ends)
    }

    fn retake(&mut self, saved: &mut &[u8], chain: &mut Chain<'m>) -> Result<()> {
        chain.clear();
        loop {
            let Some((raw, rest)) = saved.split_first_chunk() else {
                return Err(Broken("left a chain without an end unfinished".into()));
            };
            *saved = rest;
            if self.add(*raw, chain)? {
                return Ok(());
            }
        }
    }

    /// §2.8.6: the used descriptor replaces the next one that isn't used yet, whichever chain that belonged to.
    fn give_back(&mut self, chain: &Chain<'m>, len: u32) {
        let at = usize::from(self.used.index) * DESCRIPTOR_BYTES;
        let mut flags = if len > 0 { WRITE } else { 0 };
        if self.used.wrap {
            flags |= AVAIL | USED;
        }
        let mut entry = [0; 6];
        entry[..4].copy_from_slice(&len.to_le_bytes());
        entry[4..].copy_from_slice(&chain.id.to_le_bytes());
        self.ring.write_slice(&entry, at + LEN).expect("a descriptor inside the ring");
        match self.first_flags {
            None => self.first_flags = Some((at + FLAGS, flags)),
            Some(_) => self.store_flags(at + FLAGS, flags),
        }
        self.used = self.used.forward(chain.ring.len() as u16, self.size);
    }

    fn publish(&mut self) -> bool {
        if let Some((at, flags)) = self.first_flags.take() {
            self.store_flags(at, flags);
        }
        std::mem::replace(&mut self.published, self.used) != self.used
    }

    /// §2.8.14.
    fn wants_interrupt(&mut self) -> bool {
        // Pairs with the driver's barrier: it writes its event suppression and then reads the ring.
        fence(Ordering::SeqCst);
        let before = self.considered.replace(self.published);
        let events =
            self.driver_events.load(0, Ordering::Relaxed).map(u32::from_le).expect("an aligned word");
        match (events >> 16) as u16 & 3 {
            DISABLE => false,
            AT_DESCRIPTOR if self.event_idx => {
                let Some(before) = before else { return true };
                let passed = Place::unpack(events as u16).distance(self.published, self.size);
                (1..=before.distance(self.published, self.size)).contains(&passed)
            }
            _ => true,
        }
    }

    fn forget_kick(&mut self) -> bool {
        std::mem::replace(&mut self.kick_wanted, false)
    }

    fn enable_kicks(&mut self) -> bool {
        match self.event_idx {
            true => self.set_event_suppression(AT_DESCRIPTOR, self.available.pack()),
            false => self.set_event_suppression(ENABLE, 0),
        }
        self.kick_wanted = true;
        // The driver makes a descriptor available and then reads this.
        fence(Ordering::SeqCst);
        self.has_available()
    }

    fn disable_kicks(&mut self) {
        self.set_event_suppression(DISABLE, 0);
        self.kick_wanted &= self.has_available();
    }
}

impl<'m> PackedQueue<'m> {
    /// Adds a descriptor of the ring to the chain. Returns whether it is the last one.
    fn add(&self, raw: RawDescriptor, chain: &mut Chain<'m>) -> Result<bool> {
        let descriptor = packed_descriptor(&raw);
        chain.ring.push(raw);
        chain.id = descriptor.other;
        if descriptor.flags & INDIRECT != 0 {
            let table = indirect_table(self.ram, descriptor, self.indirect)?;
            // The buffers are consecutive in the table, without links (§2.8.7).
            for index in 0..table.len() / DESCRIPTOR_BYTES {
                let entry = packed_descriptor(&read_raw(&table, index));
                if entry.flags & INDIRECT != 0 {
                    return Err(nested_indirect());
                }
                chain.add(self.ram, entry)?;
            }
            return Ok(true);
        }
        chain.add(self.ram, descriptor)?;
        Ok(descriptor.flags & NEXT == 0)
    }

    fn store_flags(&self, at: usize, flags: u16) {
        self.ring.store(flags.to_le(), at, Ordering::Release).expect("flags inside the ring");
    }

    /// Both halves change at once.
    fn set_event_suppression(&self, flags: u16, descriptor: u16) {
        let word = u32::from(descriptor) | u32::from(flags) << 16;
        self.device_events.store(word.to_le(), 0, Ordering::Relaxed).expect("an aligned word");
    }
}
