//! The guest memory of one direction of a descriptor chain, as slices whose boundaries carry no
//! meaning (virtio 1.3 §2.7.4).

use crate::memory::RamSlice;
use vm_memory::bitmap::Bitmap;

/// Slices of guest RAM in order, all checked.
#[derive(Default)]
pub struct Buffers<'m> {
    slices: Vec<RamSlice<'m>>,
    len: u64,
}

impl<'m> Buffers<'m> {
    pub fn clear(&mut self) {
        self.slices.clear();
        self.len = 0;
    }

    /// Frees the memory of more than `slices` slices. For buffers that have been cleared.
    pub fn shrink(&mut self, slices: usize) {
        self.slices.shrink_to(slices);
    }

    /// Bytes in all slices.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn push(&mut self, slice: RamSlice<'m>) {
        self.len += slice.len() as u64;
        self.slices.push(slice);
    }

    /// Removes the first bytes and copies them to `bytes`. Returns whether there were enough.
    pub fn take_front(&mut self, bytes: &mut [u8]) -> bool {
        if self.len < bytes.len() as u64 {
            return false;
        }
        self.copy_to(0, bytes);
        self.drop_front(bytes.len());
        true
    }

    /// Moves the first `count` bytes to `front`, which is empty. Returns whether there were enough.
    pub fn move_front(&mut self, count: u64, front: &mut Buffers<'m>) -> bool {
        if self.len < count {
            return false;
        }
        let mut left = count as usize;
        for slice in self.from(0) {
            if left == 0 {
                break;
            }
            let part = slice.subslice(0, left.min(slice.len())).expect("a part of the slice");
            left -= part.len();
            front.push(part);
        }
        self.drop_front(count as usize);
        true
    }

    /// Keeps the first `len` bytes.
    pub fn truncate(&mut self, len: u64) {
        while self.len > len {
            let last = self.slices.pop().expect("slices with all the bytes");
            let excess = (self.len - len) as usize;
            self.len -= last.len() as u64;
            if last.len() > excess {
                self.push(last.subslice(0, last.len() - excess).expect("a part of the slice"));
            }
        }
    }

    /// Removes the last byte.
    pub fn take_last_byte(&mut self) -> Option<RamSlice<'m>> {
        let last = self.slices.pop()?;
        let (rest, byte) = last.split_at(last.len() - 1).expect("slices are never empty");
        if !rest.is_empty() {
            self.slices.push(rest);
        }
        self.len -= 1;
        Some(byte)
    }

    /// Copies to `bytes` from byte `at` on, as much as available. Returns the number of bytes.
    pub fn copy_to(&self, at: u64, bytes: &mut [u8]) -> usize {
        let mut copied = 0;
        for slice in self.from(at) {
            if copied == bytes.len() {
                break;
            }
            copied += slice.copy_to(&mut bytes[copied..]);
        }
        copied
    }

    /// Copies `bytes` to byte `at` and on, as much as fits. Returns the number of bytes.
    pub fn copy_from(&self, at: u64, bytes: &[u8]) -> usize {
        let mut copied = 0;
        for slice in self.from(at) {
            let count = slice.len().min(bytes.len() - copied);
            if count == 0 {
                break;
            }
            slice.copy_from(&bytes[copied..copied + count]);
            copied += count;
        }
        copied
    }

    /// Zeroes `len` bytes from byte `at` on, as much as available. Returns the number of bytes.
    pub fn zero(&self, at: u64, len: u64) -> u64 {
        const ZEROS: [u8; 16384] = [0; 16384];
        let mut left = len;
        for slice in self.from(at) {
            let mut slice = slice;
            while left > 0 && !slice.is_empty() {
                let count = slice.len().min(left as usize).min(ZEROS.len());
                slice.copy_from(&ZEROS[..count]);
                slice = slice.offset(count).expect("inside the slice");
                left -= count as u64;
            }
        }
        len - left
    }

    /// Whether all bytes are zero, as far as it checks.
    pub fn are_zeros(&self) -> bool {
        let mut bytes = [0; 4096];
        let mut at = 0;
        // Most other data is nonzero in its first bytes.
        let mut count = self.copy_to(at, &mut bytes[..64]);
        while count > 0 {
            if bytes[..count].iter().any(|byte| *byte != 0) {
                return false;
            }
            at += count as u64;
            count = self.copy_to(at, &mut bytes);
        }
        true
    }

    /// Marks `len` bytes from byte `at` on, which the kernel wrote, in the dirty log.
    pub fn written(&self, at: u64, len: u64) {
        let mut left = len;
        for slice in self.from(at) {
            let count = left.min(slice.len() as u64);
            if count == 0 {
                break;
            }
            slice.bitmap().mark_dirty(0, count as usize);
            left -= count;
        }
    }

    /// The slices from byte `at` on.
    pub fn from(&self, at: u64) -> impl Iterator<Item = RamSlice<'m>> {
        let mut skip = at;
        self.slices.iter().filter_map(move |slice| {
            let len = slice.len() as u64;
            if skip >= len {
                skip -= len;
                return None;
            }
            let rest = slice.offset(std::mem::take(&mut skip) as usize);
            Some(rest.expect("the offset is below the length"))
        })
    }

    fn drop_front(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let first = self.slices[0];
            if first.len() > left {
                self.slices[0] = first.offset(left).expect("the offset is below the length");
                break;
            }
            left -= first.len();
            self.slices.remove(0);
        }
        self.len -= count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Writes;

    /// Buffers over "abcdefgh" in slices of 3, 1 and 4 bytes.
    fn with_letters(test: impl FnOnce(&mut Buffers)) {
        let mut memory = *b"abcdefgh";
        // SAFETY: the array outlives the buffers, and is accessed through them alone.
        let whole =
            unsafe { RamSlice::with_bitmap(memory.as_mut_ptr(), memory.len(), Writes::default(), None) };
        let mut buffers = Buffers::default();
        for (at, len) in [(0, 3), (3, 1), (4, 4)] {
            buffers.push(whole.subslice(at, len).unwrap());
        }
        test(&mut buffers);
    }

    #[test]
    fn the_front_is_taken_across_slices() {
        with_letters(|buffers| {
            let mut bytes = [0; 5];
            assert!(buffers.take_front(&mut bytes));
            assert_eq!(&bytes, b"abcde");
            assert_eq!(buffers.len(), 3);
            let mut more = [0; 4];
            assert!(!buffers.take_front(&mut more));
            assert_eq!(buffers.copy_to(1, &mut more), 2);
            assert_eq!(&more[..2], b"gh");
        });
    }

    #[test]
    fn the_front_is_moved_and_the_rest_truncated() {
        with_letters(|buffers| {
            let mut front = Buffers::default();
            assert!(!buffers.move_front(9, &mut front));
            assert!(buffers.move_front(5, &mut front));
            let mut bytes = [0; 5];
            assert_eq!((front.len(), front.copy_to(0, &mut bytes), &bytes), (5, 5, b"abcde"));
            buffers.truncate(9);
            assert_eq!(buffers.len(), 3);
            front.truncate(4);
            front.truncate(2);
            assert_eq!((front.len(), front.copy_to(0, &mut bytes)), (2, 2));
            buffers.truncate(0);
            assert_eq!(buffers.len(), 0);
        });
    }

    #[test]
    fn the_last_byte_is_taken_until_none_is_left() {
        with_letters(|buffers| {
            let mut taken = Vec::new();
            while let Some(byte) = buffers.take_last_byte() {
                let mut copy = [0];
                byte.copy_to(&mut copy);
                taken.push(copy[0]);
            }
            assert_eq!(taken, b"hgfedcba");
            assert_eq!(buffers.len(), 0);
        });
    }

    #[test]
    fn copies_stop_at_the_end() {
        with_letters(|buffers| {
            assert_eq!(buffers.copy_from(2, b"0123456789"), 6);
            let mut bytes = [0; 10];
            assert_eq!(buffers.copy_to(0, &mut bytes), 8);
            assert_eq!(&bytes[..8], b"ab012345");
            assert_eq!(buffers.copy_to(8, &mut bytes), 0);
        });
    }
}
