//! A descriptor chain: one buffer of the driver, read from a ring or from an indirect table.

use super::{Broken, Buffers, Result};
use crate::memory::{GuestRam, RamSlice};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

pub const DESCRIPTOR_BYTES: usize = 16;
/// Descriptor flags, the same in both kinds of rings (virtio 1.3 §2.7.5, §2.8.13).
pub const NEXT: u16 = 1;
pub const WRITE: u16 = 2;
pub const INDIRECT: u16 = 4;

/// Chains must not be longer than the queue (§2.7.5.3.1), but drivers ignore that for indirect ones.
const MAX_INDIRECT: usize = 1024;

/// A descriptor as laid out in memory.
pub type RawDescriptor = [u8; DESCRIPTOR_BYTES];

/// A descriptor chain's memory: the device-readable part, then the device-writable part.
#[derive(Default)]
pub struct Chain<'m> {
    /// Its name in the used ring: the head of a split ring's chain, the buffer ID of a packed one's.
    pub id: u16,
    /// The chain's descriptors in a packed ring, which used ones may overwrite before the chain is given back.
    pub ring: Vec<RawDescriptor>,
    /// Descriptors with a buffer.
    pub descriptors: u32,
    /// The RAM of its buffers; None without a buffer.
    pub ram: Option<&'m GuestRam>,
    pub readable: Buffers<'m>,
    pub writable: Buffers<'m>,
}

/// The part of a descriptor that both kinds of rings share.
#[derive(Clone, Copy)]
pub struct Descriptor {
    pub address: u64,
    pub len: u32,
    pub flags: u16,
    /// The next descriptor in a split ring; the buffer ID in a packed one.
    pub other: u16,
}

impl<'m> Chain<'m> {
    /// Forgets the chain, keeping its memory for the next one.
    pub fn clear(&mut self) {
        self.id = 0;
        self.ring.clear();
        self.descriptors = 0;
        self.ram = None;
        self.readable.clear();
        self.writable.clear();
    }

    /// Frees memory that chains of this many slices don't need.
    pub fn shrink(&mut self, slices: usize) {
        self.ring.shrink_to(slices);
        self.readable.shrink(slices);
        self.writable.shrink(slices);
    }

    /// Adds the buffer of a descriptor.
    pub fn add(&mut self, ram: &'m GuestRam, descriptor: Descriptor) -> Result<()> {
        let Descriptor { address, len, flags, .. } = descriptor;
        self.descriptors += 1;
        self.ram = Some(ram);
        let writable = flags & WRITE != 0;
        if !writable && self.writable.len() > 0 {
            return Err(Broken("put a readable descriptor after a writable one".into()));
        }
        let buffers = if writable { &mut self.writable } else { &mut self.readable };
        for slice in ram.get_slices(GuestAddress(address), len as usize) {
            let slice = slice.map_err(|_| outside_ram("a buffer", address, len.into()))?;
            if writable {
                require_writable("a writable buffer", address, &slice)?;
            }
            buffers.push(slice);
        }
        if self.readable.len() + self.writable.len() > u64::from(u32::MAX) {
            return Err(Broken("made a chain of 4 GiB or more".into()));
        }
        Ok(())
    }
}

/// The table that an indirect descriptor points to, which ends its chain.
pub fn indirect_table<'m>(ram: &'m GuestRam, indirect: Descriptor, allowed: bool) -> Result<RamSlice<'m>> {
    if !allowed {
        return Err(Broken("used an indirect descriptor without having negotiated them".into()));
    }
    if indirect.flags & NEXT != 0 {
        return Err(Broken("linked an indirect descriptor to another one".into()));
    }
    let len = indirect.len as usize;
    if len == 0 || len % DESCRIPTOR_BYTES != 0 || len > MAX_INDIRECT * DESCRIPTOR_BYTES {
        return Err(Broken(format!("gave an indirect table of {len} bytes")));
    }
    let table = ram.get_slice(GuestAddress(indirect.address), len);
    table.map_err(|_| outside_ram("an indirect table", indirect.address, len as u64))
}

pub fn nested_indirect() -> Broken {
    Broken("put an indirect descriptor into an indirect table".into())
}

/// `index` is below the table's number of entries.
pub fn read_raw(table: &RamSlice, index: usize) -> RawDescriptor {
    let mut raw = [0; DESCRIPTOR_BYTES];
    table.read_slice(&mut raw, index * DESCRIPTOR_BYTES).expect("an index inside the table");
    raw
}

/// {le64 address, le32 len, le16 flags, le16 next} (§2.7.5).
pub fn split_descriptor(raw: &RawDescriptor) -> Descriptor {
    let (address, rest) = words(raw);
    Descriptor { address, len: rest as u32, flags: (rest >> 32) as u16, other: (rest >> 48) as u16 }
}

/// {le64 address, le32 len, le16 id, le16 flags} (§2.8.13).
pub fn packed_descriptor(raw: &RawDescriptor) -> Descriptor {
    let (address, rest) = words(raw);
    Descriptor { address, len: rest as u32, flags: (rest >> 48) as u16, other: (rest >> 32) as u16 }
}

fn words(raw: &RawDescriptor) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(raw[at..at + 8].try_into().expect("eight bytes"));
    (word(0), word(8))
}

pub fn outside_ram(what: &str, address: u64, len: u64) -> Broken {
    Broken(format!("put {what} of {len} bytes at {address:#x}, which is not all RAM"))
}

fn require_writable(what: &str, address: u64, slice: &RamSlice) -> Result<()> {
    match slice.bitmap().are_refused() {
        true => Err(Broken(format!("put {what} at {address:#x}, which can only be read"))),
        false => Ok(()),
    }
}

/// Like `part`, for a part that the device writes.
pub fn writable_part<'m>(
    ram: &'m GuestRam,
    what: &str,
    address: u64,
    align: u64,
    len: usize,
) -> Result<RamSlice<'m>> {
    let part = part(ram, what, address, align, len)?;
    require_writable(what, address, &part)?;
    Ok(part)
}

/// A part of a queue, checked. `align` is a power of two.
pub fn part<'m>(ram: &'m GuestRam, what: &str, address: u64, align: u64, len: usize) -> Result<RamSlice<'m>> {
    if address % align != 0 {
        return Err(Broken(format!("put {what} at {address:#x}, not a multiple of {align}")));
    }
    ram.get_slice(GuestAddress(address), len).map_err(|_| outside_ram(what, address, len as u64))
}
