//! A driver's side of a packed queue in fake guest RAM, for tests.

use super::Buffer;
use crate::memory::GuestRam;
use crate::queue::chain::{DESCRIPTOR_BYTES, NEXT};
use crate::queue::{Position, QueueLayout, feature};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Acquire, Release};
use vm_memory::{Bytes, GuestAddress};

const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
const WRAP: u16 = 1 << 15;
/// A queue that has just been set up.
pub const START: Position = Position { available: WRAP, used: WRAP };

pub struct PackedDriver<'m> {
    pub ram: &'m GuestRam,
    pub layout: QueueLayout,
    /// Where the next chain goes, and where the next used descriptor is expected: index, and wrap counter in bit 15.
    next: u16,
    used: u16,
    /// Descriptor counts of the chains that have not been returned, by ID.
    chains: BTreeMap<u16, u16>,
}

impl<'m> PackedDriver<'m> {
    /// A queue of `size` whose parts are below 0x4000.
    pub fn new(ram: &'m GuestRam, size: u32) -> PackedDriver<'m> {
        assert!(size <= 256);
        let layout = QueueLayout {
            size,
            descriptors: 0x1000,
            available: 0x2000,
            used: 0x3000,
            features: feature::RING_PACKED,
            position: START,
        };
        PackedDriver { ram, layout, next: WRAP, used: WRAP, chains: BTreeMap::new() }
    }

    /// How many descriptors can be made available.
    pub fn room(&self) -> u16 {
        self.layout.size as u16 - self.chains.values().sum::<u16>()
    }

    /// Makes a chain available. Returns its ID, the lowest free one.
    pub fn offer(&mut self, buffers: &[Buffer]) -> u16 {
        let id = self.free_id();
        assert!(buffers.len() <= usize::from(self.room()));
        self.chains.insert(id, buffers.len() as u16);
        let first = self.next;
        for (at, buffer) in buffers.iter().enumerate() {
            let next = at + 1 < buffers.len();
            let place = self.next;
            let mut flags = buffer.flags | if next { NEXT } else { 0 };
            flags |= if place & WRAP != 0 { AVAIL } else { USED };
            self.write_descriptor(place & !WRAP, *buffer, id);
            if at > 0 {
                self.write_flags(place & !WRAP, flags);
            }
            self.next = self.forward(place, 1);
        }
        let flags = buffers[0].flags | if buffers.len() > 1 { NEXT } else { 0 };
        self.write_flags(first & !WRAP, flags | if first & WRAP != 0 { AVAIL } else { USED });
        id
    }

    /// The ID of the next chain.
    pub fn free_id(&self) -> u16 {
        (0..).find(|id| !self.chains.contains_key(id)).unwrap()
    }

    /// Position of the next chain.
    pub fn next_available(&self) -> u16 {
        self.next
    }

    /// The next chain that the device has returned: its ID and how much was written.
    pub fn take_used(&mut self) -> Option<(u16, u32)> {
        let at = self.at(self.used & !WRAP);
        let flags = u16::from_le(self.ram.load(GuestAddress(at + 14), Acquire).unwrap());
        let wrap = self.used & WRAP != 0;
        if (flags & AVAIL != 0) != wrap || (flags & USED != 0) != wrap {
            return None;
        }
        let len: u32 = self.ram.read_obj(GuestAddress(at + 8)).unwrap();
        let id: u16 = self.ram.read_obj(GuestAddress(at + 12)).unwrap();
        assert_eq!(flags & 2 != 0, len > 0, "the flag of a written buffer");
        let count = self.chains.remove(&id).expect("an ID that is not returned");
        self.used = self.forward(self.used, count);
        Some((id, len))
    }

    /// Position of the next used descriptor, for `set_events`.
    pub fn next_used(&self) -> u16 {
        self.used
    }

    pub fn forward(&self, place: u16, count: u16) -> u16 {
        let (index, size) = ((place & !WRAP) + count, self.layout.size as u16);
        if index < size { place & WRAP | index } else { (place ^ WRAP) & WRAP | (index - size) }
    }

    /// {buffer, ID}, without flags.
    fn write_descriptor(&self, index: u16, buffer: Buffer, id: u16) {
        let at = self.at(index);
        self.ram.write_obj(buffer.address, GuestAddress(at)).unwrap();
        self.ram.write_obj(buffer.len, GuestAddress(at + 8)).unwrap();
        self.ram.write_obj(id, GuestAddress(at + 12)).unwrap();
    }

    pub fn write_flags(&self, index: u16, flags: u16) {
        self.ram.store(flags.to_le(), GuestAddress(self.at(index) + 14), Release).unwrap();
    }

    /// A descriptor with these flags, whatever their meaning.
    pub fn write_raw(&self, index: u16, buffer: Buffer, id: u16, flags: u16) {
        self.write_descriptor(index, buffer, id);
        self.write_flags(index, flags);
    }

    /// An indirect table.
    pub fn write_table(&self, address: u64, buffers: &[Buffer]) {
        for (index, buffer) in buffers.iter().enumerate() {
            let at = address + (index * DESCRIPTOR_BYTES) as u64;
            self.ram.write_obj(buffer.address, GuestAddress(at)).unwrap();
            self.ram
                .write_obj(u64::from(buffer.len) | u64::from(buffer.flags) << 48, GuestAddress(at + 8))
                .unwrap();
        }
    }

    /// Sets when the driver wants interrupts.
    pub fn set_events(&self, flags: u16, place: u16) {
        let word = u32::from(place) | u32::from(flags) << 16;
        self.ram.store(word.to_le(), GuestAddress(self.layout.available), Release).unwrap();
    }

    /// When the device wants kicks: flags and position.
    pub fn device_events(&self) -> (u16, u16) {
        let word: u32 = self.ram.load(GuestAddress(self.layout.used), Acquire).unwrap();
        ((word >> 16) as u16, word as u16)
    }

    fn at(&self, index: u16) -> u64 {
        self.layout.descriptors + u64::from(index) * DESCRIPTOR_BYTES as u64
    }
}
