//! Giving pages of guest RAM back to the host.

use crate::memory::{Discards, GuestRam, RamSlice};
use vm_memory::bitmap::Bitmap;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

/// The unit of page numbers (virtio 1.3 §5.5.6), and of the host's pages where it may take single ones.
pub const PAGE: u64 = 4096;

/// Runs of consecutive pages in sorted numbers, which may repeat: the first page and the count.
pub struct Runs<'n>(&'n [u32]);

impl<'n> Runs<'n> {
    pub fn new(sorted: &'n [u32]) -> Runs<'n> {
        Runs(sorted)
    }
}

impl Iterator for Runs<'_> {
    type Item = (u32, u64);

    fn next(&mut self) -> Option<(u32, u64)> {
        let (&first, rest) = self.0.split_first()?;
        let mut last = first;
        let more = rest.iter().take_while(|&&number| {
            let belongs = number - last <= 1;
            if belongs {
                last = number;
            }
            belongs
        });
        let taken = 1 + more.count();
        self.0 = &self.0[taken..];
        Some((first, u64::from(last - first) + 1))
    }
}

/// Whether a page is RAM that may be given back to the host.
pub fn is_discardable(ram: &GuestRam, number: u32) -> bool {
    let region = ram.find_region(GuestAddress(u64::from(number) * PAGE));
    region.is_some_and(|region| region.bitmap().discarded_by().is_some())
}

/// Gives `len` bytes of memory at `address` back to the host, skipping what is not RAM or must be kept. Returns the
/// number of bytes given back.
pub fn discard(ram: &GuestRam, address: u64, len: u64, discards: &Discards) -> u64 {
    let mut discarded = 0;
    let mut at = address;
    while at < address + len {
        let left = address + len - at;
        // Up to the end of the region, or past a page that is not RAM.
        let Ok(slice) = ram
            .get_slices(GuestAddress(at), left as usize)
            .next()
            .unwrap_or_else(|| unreachable!("at least one byte has a slice, or an error"))
        else {
            at += PAGE;
            continue;
        };
        discarded += discard_slice(&slice, discards);
        at += slice.len() as u64;
    }
    discarded
}

/// Gives back the full host pages of a slice. Returns the number of bytes given back.
pub fn discard_slice(slice: &RamSlice, discards: &Discards) -> u64 {
    let Some(advice) = slice.bitmap().discarded_by() else { return 0 };
    let start = slice.ptr_guard().as_ptr() as u64;
    let (first, end) = (start.next_multiple_of(PAGE), (start + slice.len() as u64) / PAGE * PAGE);
    if first >= end {
        return 0;
    }
    let gone = discards.carry_out(|| {
        // SAFETY: whole pages of guest RAM, which stay mapped while the slice exists and are never
        // accessed through Rust references. The guest has given them up; from now on they read as zeros,
        // or as what backs a private mapping.
        unsafe { libc::madvise(first as *mut libc::c_void, (end - first) as usize, advice) == 0 }
    });
    // The dirty log must record the change, after it was made.
    slice.bitmap().mark_dirty((first - start) as usize, (end - first) as usize);
    if gone { end - first } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_pages_form_one_run() {
        let runs = |numbers: &[u32]| Runs::new(numbers).collect::<Vec<_>>();
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[7]), [(7, 1)]);
        assert_eq!(runs(&[0, 1, 1, 2, 9, 11, 12, 12]), [(0, 3), (9, 1), (11, 2)]);
        assert_eq!(runs(&[u32::MAX - 1, u32::MAX]), [(u32::MAX - 1, 2)]);
    }
}
