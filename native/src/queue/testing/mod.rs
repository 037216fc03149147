//! A driver's side of a queue in fake guest RAM, for tests.

pub mod packed;

use super::chain::{DESCRIPTOR_BYTES, INDIRECT, NEXT, WRITE};
use super::{Position, QueueLayout};
use crate::memory::GuestRam;
use vm_memory::{Bytes, GuestAddress};

/// RAM is two adjacent regions with this border.
pub const REGION_BORDER: u64 = 0x10_0000;
const RAM_END: u64 = 0x20_0000;

pub fn ram() -> GuestRam {
    GuestRam::from_ranges(&[
        (GuestAddress(0), REGION_BORDER as usize),
        (GuestAddress(REGION_BORDER), (RAM_END - REGION_BORDER) as usize),
    ])
    .unwrap()
}

/// xorshift64* with a fixed seed: failures are reproducible.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[derive(Clone, Copy)]
pub struct Buffer {
    address: u64,
    len: u32,
    flags: u16,
}

impl Buffer {
    pub fn indirect(address: u64, len: u32) -> Buffer {
        Buffer { address, len, flags: INDIRECT }
    }
}

/// A buffer that the device reads.
pub fn out(address: u64, len: u32) -> Buffer {
    Buffer { address, len, flags: 0 }
}

/// A buffer that the device writes.
pub fn in_(address: u64, len: u32) -> Buffer {
    Buffer { address, len, flags: WRITE }
}

pub struct Driver<'m> {
    pub ram: &'m GuestRam,
    pub layout: QueueLayout,
    next_descriptor: u16,
    available_index: u16,
}

impl<'m> Driver<'m> {
    /// A queue of `size` whose rings are below 0x4000.
    pub fn new(ram: &'m GuestRam, size: u32) -> Driver<'m> {
        assert!(size <= 256);
        let layout = QueueLayout {
            size,
            descriptors: 0x1000,
            available: 0x2000,
            used: 0x3000,
            features: 0,
            position: Position::default(),
        };
        Driver { ram, layout, next_descriptor: 0, available_index: 0 }
    }

    /// Pretends that the queue has been used up to `position`.
    pub fn start_at(&mut self, position: Position) {
        self.layout.position = position;
        self.set_available_index(position.available);
    }

    /// Makes a chain of the next free descriptors available. Returns its head.
    pub fn offer(&mut self, buffers: &[Buffer]) -> u16 {
        let size = self.layout.size as u16;
        let head = self.next_descriptor;
        for (at, buffer) in buffers.iter().enumerate() {
            let index = (head + at as u16) % size;
            let next = (at + 1 < buffers.len()).then_some((index + 1) % size);
            self.write_descriptor(index, *buffer, next);
        }
        self.next_descriptor = (head + buffers.len() as u16) % size;
        self.offer_head(head);
        head
    }

    pub fn offer_head(&mut self, head: u16) {
        let slot = u64::from(self.available_index) % u64::from(self.layout.size);
        self.write_u16(self.layout.available + 4 + 2 * slot, head);
        self.set_available_index(self.available_index.wrapping_add(1));
    }

    pub fn write_descriptor(&self, index: u16, buffer: Buffer, next: Option<u16>) {
        self.write_at(self.layout.descriptors + u64::from(index) * DESCRIPTOR_BYTES as u64, buffer, next);
    }

    pub fn write_table(&self, address: u64, buffers: &[Buffer]) {
        for (at, buffer) in buffers.iter().enumerate() {
            let next = (at + 1 < buffers.len()).then_some(at as u16 + 1);
            self.write_at(address + (at * DESCRIPTOR_BYTES) as u64, *buffer, next);
        }
    }

    pub fn set_available_index(&mut self, index: u16) {
        self.available_index = index;
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        self.write_u16(self.layout.available + 2, index);
    }

    pub fn set_available_flags(&self, flags: u16) {
        self.write_u16(self.layout.available, flags);
    }

    pub fn set_used_event(&self, index: u16) {
        self.write_u16(self.layout.available + 4 + 2 * u64::from(self.layout.size), index);
    }

    pub fn available_event(&self) -> u16 {
        self.read_u16(self.layout.used + 4 + 8 * u64::from(self.layout.size))
    }

    pub fn used_flags(&self) -> u16 {
        self.read_u16(self.layout.used)
    }

    pub fn used_index(&self) -> u16 {
        self.read_u16(self.layout.used + 2)
    }

    /// Head and length of the used entry with (free-running) index `index`.
    pub fn used(&self, index: u16) -> (u16, u32) {
        let at = self.layout.used + 4 + 8 * (u64::from(index) % u64::from(self.layout.size));
        let entry: u64 = self.ram.read_obj(GuestAddress(at)).unwrap();
        (entry as u16, (entry >> 32) as u32)
    }

    fn write_at(&self, address: u64, buffer: Buffer, next: Option<u16>) {
        let Buffer { address: target, len, flags } = buffer;
        let flags = flags | if next.is_some() { NEXT } else { 0 };
        let word = u64::from(len) | u64::from(flags) << 32 | u64::from(next.unwrap_or(0)) << 48;
        self.ram.write_obj(target, GuestAddress(address)).unwrap();
        self.ram.write_obj(word, GuestAddress(address + 8)).unwrap();
    }

    fn write_u16(&self, address: u64, value: u16) {
        self.ram.write_obj(value, GuestAddress(address)).unwrap();
    }

    fn read_u16(&self, address: u64) -> u16 {
        self.ram.read_obj(GuestAddress(address)).unwrap()
    }
}
