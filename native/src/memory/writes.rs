//! How a region handles writes of queue threads: whether it accepts them, and the log of the block's pages that they
//! have changed. KVM's own dirty log has only the guest's writes.

use crate::errno::{Errno, Result, check};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use vm_memory::bitmap::{Bitmap, BitmapSlice, NewBitmap, WithBitmapSlice};

const PAGE: usize = 4096;
const BITS: usize = u64::BITS as usize;

/// Words before the bits: whether the log is on, and the number of pages that it covers.
const ON: usize = 0;
const PAGES: usize = 1;
pub const HEADER_WORDS: usize = 2;

/// Writes to a region, or to a part of one. By default they are accepted and not logged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writes {
    /// The log of the block.
    words: Option<&'static [AtomicU64]>,
    /// Offset of the region or part in the block, in bytes.
    offset: usize,
    refused: bool,
    /// The madvise(2) advice that gives pages back to the host; 0 to keep them.
    discard: i32,
}

impl Writes {
    /// With the log at `address`, for a region of `size` bytes at `offset` in the block;
    /// without a log if the address is 0.
    ///
    /// # Safety
    /// As for `words`.
    pub unsafe fn logged(address: u64, offset: u64, size: u64) -> Result<Writes> {
        if address == 0 {
            return Ok(Writes::default());
        }
        // SAFETY: the caller's promise.
        let words = unsafe { words(address as *const u64)? };
        let end = offset.checked_add(size).ok_or(Errno(libc::EINVAL))?;
        if end > (words[PAGES].load(Relaxed)).saturating_mul(PAGE as u64) {
            return Err(Errno(libc::EINVAL));
        }
        Ok(Writes { words: Some(words), offset: offset as usize, ..Writes::default() })
    }

    /// To read-only memory.
    pub fn refused() -> Writes {
        Writes { refused: true, ..Writes::default() }
    }

    pub fn are_refused(&self) -> bool {
        self.refused
    }

    /// To memory whose pages this madvise(2) advice gives back to the host.
    pub fn discarded(self, advice: i32) -> Writes {
        Writes { discard: advice, ..self }
    }

    /// None if its pages are not given back.
    pub fn discarded_by(&self) -> Option<i32> {
        (self.discard != 0 && !self.refused).then_some(self.discard)
    }
}

/// The words of a log: its header, which JavaScript has written, and its bits.
///
/// # Safety
/// They stay mapped until all threads that may write have ended, and are accessed as atomics only.
unsafe fn words(log: *const u64) -> Result<&'static [AtomicU64]> {
    if log.is_null() || !log.is_aligned() {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: the caller's promise.
    let pages = unsafe { &*log.cast::<AtomicU64>().add(PAGES) }.load(Relaxed);
    let pages = usize::try_from(pages).ok().filter(|pages| *pages <= isize::MAX as usize / PAGE);
    let len = HEADER_WORDS + pages.ok_or(Errno(libc::EINVAL))?.div_ceil(BITS);
    // SAFETY: as above; the header says how many there are.
    Ok(unsafe { std::slice::from_raw_parts(log.cast(), len) })
}

/// Turns a log on or off. Once this has returned, writes of all threads are logged.
///
/// # Safety
/// As for `words`.
pub unsafe fn set(log: *const u64, on: bool) -> Result<()> {
    // SAFETY: the caller's promise.
    let words = unsafe { words(log)? };
    words[ON].store(on.into(), SeqCst);
    if on {
        // A thread writes, then checks whether the log is on. Without a barrier between the two it might see the log
        // off although its write is not visible yet. This is the barrier, in all threads at once.
        membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)?;
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)?;
    }
    Ok(())
}

fn membarrier(command: libc::c_int) -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } as i32).map(|_| ())
}

/// Takes the bits out of the log: calls `found` with each nonzero word of bits and its index.
///
/// # Safety
/// As for `words`.
pub unsafe fn take(log: *const u64, mut found: impl FnMut(usize, u64)) -> Result<()> {
    // SAFETY: the caller's promise.
    let words = unsafe { words(log)? };
    for (index, word) in words[HEADER_WORDS..].iter().enumerate() {
        if word.load(Relaxed) != 0 {
            // Reads of the pages after this see what was written before they were marked.
            found(index, word.swap(0, SeqCst));
        }
    }
    Ok(())
}

impl Bitmap for Writes {
    /// Called after the write.
    fn mark_dirty(&self, offset: usize, len: usize) {
        let Some(words) = self.words else { return };
        if len == 0 || words[ON].load(Relaxed) == 0 {
            return;
        }
        let start = self.offset + offset;
        let (mut page, last) = (start / PAGE, (start + len - 1) / PAGE);
        while page <= last {
            let Some(word) = words.get(HEADER_WORDS + page / BITS) else { return };
            let count = (BITS - page % BITS).min(last - page + 1);
            let bits = (u64::MAX >> (BITS - count)) << (page % BITS);
            // Even if they are set already: whoever takes them must see what was written.
            word.fetch_or(bits, SeqCst);
            page += count;
        }
    }

    fn dirty_at(&self, offset: usize) -> bool {
        let page = (self.offset + offset) / PAGE;
        let word = self.words.and_then(|words| words.get(HEADER_WORDS + page / BITS));
        word.is_some_and(|word| word.load(SeqCst) & (1 << (page % BITS)) != 0)
    }

    fn slice_at(&self, offset: usize) -> Writes {
        Writes { offset: self.offset + offset, ..*self }
    }
}

impl WithBitmapSlice<'_> for Writes {
    type S = Writes;
}

impl BitmapSlice for Writes {}

impl NewBitmap for Writes {
    fn with_len(_len: usize) -> Writes {
        Writes::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of a log of `pages` pages, turned off.
    fn log_of(pages: usize) -> usize {
        let mut words = vec![0u64; HEADER_WORDS + pages.div_ceil(BITS)];
        words[PAGES] = pages as u64;
        words.leak().as_ptr() as usize
    }

    fn pages(log: usize, count: usize) -> Vec<usize> {
        let mut out = vec![0u64; count.div_ceil(BITS)];
        // SAFETY: the words are leaked.
        unsafe { take(log as *const u64, |index, bits| out[index] = bits).unwrap() };
        (0..count).filter(|page| out[page / BITS] >> (page % BITS) & 1 != 0).collect()
    }

    #[test]
    fn a_write_marks_the_pages_that_it_touches_while_the_log_is_enabled() {
        let log = log_of(200);
        // SAFETY: the words are leaked.
        let region = unsafe { Writes::logged(log as u64, 10 * 4096, 100 * 4096).unwrap() };
        region.mark_dirty(0, 4096);
        assert!(pages(log, 200).is_empty());
        // SAFETY: as above.
        unsafe { set(log as *const u64, true).unwrap() };
        region.mark_dirty(4095, 2);
        region.slice_at(4096).mark_dirty(4096, 0);
        region.slice_at(53 * 4096 + 1).mark_dirty(0, 2 * 4096);
        assert!(region.dirty_at(0) && !region.dirty_at(2 * 4096));
        assert_eq!(pages(log, 200), [10, 11, 63, 64, 65]);
        assert!(pages(log, 200).is_empty());
        region.mark_dirty(0, 100 * 4096);
        assert_eq!(pages(log, 200), (10..110).collect::<Vec<_>>());
        // SAFETY: as above.
        unsafe { set(log as *const u64, false).unwrap() };
        region.mark_dirty(0, 4096);
        assert!(pages(log, 200).is_empty());
    }

    #[test]
    fn a_region_must_be_inside_its_log() {
        let log = log_of(8) as u64;
        // SAFETY: the words are leaked.
        let new = |address, offset, size| unsafe { Writes::logged(address, offset, size) }.map(|_| ());
        assert_eq!(new(log, 4096, 7 * 4096), Ok(()));
        assert_eq!(new(0, 4096, u64::MAX), Ok(()));
        for (address, offset, size) in [(log, 4096, 8 * 4096), (log, u64::MAX, 2), (log + 4, 0, 1)] {
            assert_eq!(new(address, offset, size), Err(Errno(libc::EINVAL)));
        }
    }

    #[test]
    fn no_write_of_another_thread_is_lost() {
        const ROUNDS: u64 = 20_000;
        let log = log_of(64);
        // SAFETY: the words are leaked.
        unsafe { set(log as *const u64, true).unwrap() };
        let data: &'static [AtomicU64] = Box::leak((0..64).map(|_| AtomicU64::new(0)).collect());
        let writer = std::thread::spawn(move || {
            // SAFETY: as above.
            let region = unsafe { Writes::logged(log as u64, 0, 64 * 4096).unwrap() };
            for round in 1..=ROUNDS {
                let page = (round % 64) as usize;
                data[page].store(round, Relaxed);
                region.mark_dirty(page * 4096, 8);
            }
        });
        let mut copy = [0; 64];
        let mut sync = || pages(log, 64).into_iter().for_each(|page| copy[page] = data[page].load(Relaxed));
        while !writer.is_finished() {
            sync();
        }
        writer.join().unwrap();
        sync();
        assert_eq!(copy.to_vec(), data.iter().map(|word| word.load(Relaxed)).collect::<Vec<_>>());
    }
}
