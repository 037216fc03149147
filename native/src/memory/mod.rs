//! Guest RAM as queue threads see it: every access goes through vm-memory, which checks it against these regions.

mod discards;
mod writes;

use crate::errno::{Errno, Result};
use std::sync::Arc;
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{GuestAddress, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap, VolatileSlice};

pub use discards::Discards;
pub use writes::{Writes, set as set_write_log, take as take_written};

pub type GuestRam = GuestMemoryMmap<Writes>;
/// A part of guest RAM.
pub type RamSlice<'m> = VolatileSlice<'m, Writes>;

crate::abi_struct! {
    /// One region of RAM, as passed by JavaScript.
    pub struct Region {
        /// Guest-physical start.
        pub gpa: u64,
        pub size: u64,
        /// Host address in this process.
        pub host: u64,
        /// Address of its block's log in this process; 0 if it has none.
        pub log: u64,
        /// Offset of the region in its block, in bytes.
        pub offset: u64,
        /// 1 if it is read-only, else 0.
        pub readonly: u64,
        /// How its pages are given back to the host: MADV_REMOVE or MADV_DONTNEED of madvise(2), or 0 if they are not.
        pub discard: u64,
    }
}

/// # Safety
/// Each region is mapped readable and writable at `host` while the result or a copy of it exists, and never accessed
/// through Rust references. Their logs are as `Writes::logged` needs them.
pub unsafe fn guest_ram(regions: &[Region]) -> Result<GuestRam> {
    let mut mapped = Vec::with_capacity(regions.len());
    for region in regions {
        // SAFETY: the caller's promise.
        mapped.push(unsafe { map(region)? });
    }
    if mapped.is_empty() {
        return Ok(GuestRam::default());
    }
    mapped.sort_by_key(GuestMemoryRegion::start_addr);
    GuestRam::from_regions(mapped).map_err(|_| Errno(libc::EINVAL))
}

/// `ram` with an additional region. EINVAL if the two overlap.
///
/// # Safety
/// As for `guest_ram`.
pub unsafe fn with_region(ram: &GuestRam, region: &Region) -> Result<GuestRam> {
    // SAFETY: the caller's promise.
    let mapped = unsafe { map(region)? };
    ram.insert_region(Arc::new(mapped)).map_err(|_| Errno(libc::EINVAL))
}

/// # Safety
/// As for `guest_ram`.
unsafe fn map(region: &Region) -> Result<GuestRegionMmap<Writes>> {
    let size = usize::try_from(region.size).map_err(|_| Errno(libc::EINVAL))?;
    if region.host == 0 || size == 0 || region.gpa.checked_add(region.size).is_none() {
        return Err(Errno(libc::EINVAL));
    }
    let writes = match region.readonly {
        // SAFETY: the caller's promise.
        0 => unsafe { Writes::logged(region.log, region.offset, region.size)? },
        _ => Writes::refused(),
    };
    let writes = match i32::try_from(region.discard) {
        Ok(0) => writes,
        Ok(advice @ (libc::MADV_REMOVE | libc::MADV_DONTNEED)) => writes.discarded(advice),
        _ => return Err(Errno(libc::EINVAL)),
    };
    let builder = MmapRegionBuilder::new_with_bitmap(size, writes)
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(libc::MAP_SHARED | libc::MAP_NORESERVE);
    // SAFETY: the caller's promise. A region built this way does not unmap when dropped.
    let mapping = unsafe { builder.with_raw_mmap_pointer(region.host as *mut u8) };
    let mapping = mapping.build().map_err(|_| Errno(libc::EINVAL))?;
    GuestRegionMmap::new(mapping, GuestAddress(region.gpa)).ok_or(Errno(libc::EINVAL))
}
