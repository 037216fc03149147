//! Walking a descriptor chain (virtio 1.3 §2.7.5).

use super::{Broken, Buffers, Result};
use crate::memory::GuestRam;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, VolatileSlice};

pub const DESCRIPTOR_BYTES: usize = 16;
/// Descriptor flags (§2.7.5).
pub const NEXT: u16 = 1;
pub const WRITE: u16 = 2;
pub const INDIRECT: u16 = 4;

/// Chains must not be longer than the queue (§2.7.5.3.1), but drivers ignore that for indirect ones.
const MAX_INDIRECT: usize = 1024;

/// A descriptor chain's memory: the device-readable part, then the device-writable part.
#[derive(Default)]
pub struct Chain<'m> {
    pub head: u16,
    /// Descriptors with a buffer.
    pub descriptors: u32,
    pub readable: Buffers<'m>,
    pub writable: Buffers<'m>,
}

#[derive(Clone, Copy)]
struct Descriptor {
    address: u64,
    len: u32,
    flags: u16,
    next: u16,
}

impl<'m> Chain<'m> {
    /// Reads the chain that starts at descriptor `head` of `table`.
    pub fn walk(
        &mut self,
        ram: &'m GuestRam,
        table: VolatileSlice<'m>,
        head: u16,
        indirect_allowed: bool,
    ) -> Result<()> {
        self.head = head;
        self.descriptors = 0;
        self.readable.clear();
        self.writable.clear();
        let Some(indirect) = self.walk_table(ram, table, head)? else {
            return Ok(());
        };
        if !indirect_allowed {
            return Err(Broken("used an indirect descriptor without having negotiated them".into()));
        }
        let table = indirect_table(ram, indirect)?;
        match self.walk_table(ram, table, 0)? {
            Some(_) => Err(Broken("put an indirect descriptor into an indirect table".into())),
            None => Ok(()),
        }
    }

    /// Gives back memory that chains of this many slices don't need.
    pub fn shrink(&mut self, slices: usize) {
        self.readable.shrink(slices);
        self.writable.shrink(slices);
    }

    /// Collects the buffers of a chain in one table. Returns the indirect descriptor that it ends with, if it does.
    fn walk_table(
        &mut self,
        ram: &'m GuestRam,
        table: VolatileSlice<'m>,
        first: u16,
    ) -> Result<Option<Descriptor>> {
        let entries = table.len() / DESCRIPTOR_BYTES;
        let mut index = usize::from(first);
        for _ in 0..entries {
            if index >= entries {
                return Err(Broken(format!("linked to descriptor {index} of {entries}")));
            }
            let descriptor = read_descriptor(&table, index);
            if descriptor.flags & INDIRECT != 0 {
                return match descriptor.flags & NEXT {
                    0 => Ok(Some(descriptor)),
                    _ => Err(Broken("linked an indirect descriptor to another one".into())),
                };
            }
            self.add(ram, descriptor)?;
            if descriptor.flags & NEXT == 0 {
                return Ok(None);
            }
            index = usize::from(descriptor.next);
        }
        Err(Broken(format!("made a loop of descriptors, starting at {first}")))
    }

    fn add(&mut self, ram: &'m GuestRam, descriptor: Descriptor) -> Result<()> {
        let Descriptor { address, len, flags, .. } = descriptor;
        self.descriptors += 1;
        let writable = flags & WRITE != 0;
        if !writable && self.writable.len() > 0 {
            return Err(Broken("put a readable descriptor after a writable one".into()));
        }
        let buffers = if writable { &mut self.writable } else { &mut self.readable };
        for slice in ram.get_slices(GuestAddress(address), len as usize) {
            buffers.push(slice.map_err(|_| outside_ram("a buffer", address, len.into()))?);
        }
        if self.readable.len() + self.writable.len() > u64::from(u32::MAX) {
            return Err(Broken("made a chain of 4 GiB or more".into()));
        }
        Ok(())
    }
}

fn indirect_table<'m>(ram: &'m GuestRam, indirect: Descriptor) -> Result<VolatileSlice<'m>> {
    let len = indirect.len as usize;
    if len == 0 || len % DESCRIPTOR_BYTES != 0 || len > MAX_INDIRECT * DESCRIPTOR_BYTES {
        return Err(Broken(format!("gave an indirect table of {len} bytes")));
    }
    let table = ram.get_slice(GuestAddress(indirect.address), len);
    table.map_err(|_| outside_ram("an indirect table", indirect.address, len as u64))
}

/// `index` is below the table's number of entries.
fn read_descriptor(table: &VolatileSlice, index: usize) -> Descriptor {
    let mut raw = [0u8; DESCRIPTOR_BYTES];
    table.read_slice(&mut raw, index * DESCRIPTOR_BYTES).expect("an index inside the table");
    let word = |at: usize| u64::from_le_bytes(raw[at..at + 8].try_into().expect("eight bytes"));
    Descriptor {
        address: word(0),
        len: word(8) as u32,
        flags: (word(8) >> 32) as u16,
        next: (word(8) >> 48) as u16,
    }
}

pub fn outside_ram(what: &str, address: u64, len: u64) -> Broken {
    Broken(format!("put {what} of {len} bytes at {address:#x}, which is not all RAM"))
}
