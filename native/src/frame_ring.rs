//! Frames in memory that two processes share, with one ring per direction: frames are copied in and out without a
//! system call. Neither process trusts the other: every position and length is checked, and invalid ones are skipped.
//!
//! The consumer sets a flag in the ring before it sleeps; the producer then wakes it, once for any number of frames. A
//! producer that finds the ring full does the same in reverse. The two sides choose how to wake each other.

use crate::errno::{Errno, Result, check};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*, fence};

/// Bytes of frames in each direction, a power of two.
const CAPACITY: usize = 1 << 20;
/// Bytes before the frames, which hold the words of both rings.
const HEADER: usize = 4096;
/// The size of the memory, as in `src/vmm/backends/net/frame-ring.ts`.
pub const BYTES: usize = HEADER + 2 * CAPACITY;

/// Each frame follows its length and begins at a multiple of this.
const ALIGNMENT: usize = 8;
const LENGTH: usize = 4;
/// The longest frame: an IP packet of 65,535 bytes, and the Ethernet, VLAN and virtio headers.
const MAX_FRAME: usize = 65_535 + 14 + 4 + 12;
/// Free space at which a waiting producer is woken.
const AMPLE: u32 = CAPACITY as u32 / 2;

/// Words of a ring, each in its own cache line.
#[derive(Clone, Copy)]
enum Word {
    /// Bytes put in, modulo 2^32.
    Put,
    /// Bytes taken out.
    Taken,
    /// Nonzero if the consumer sleeps.
    Asleep,
    /// Nonzero if the producer waits for room.
    Full,
}
const LINE: usize = 64;
const WORDS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the machine.
    ToNetwork = 0,
    ToMachine = 1,
}

/// The memory of both rings, mapped.
pub struct FrameRings(*mut u8);

// SAFETY: an address of memory that other processes write anyway.
unsafe impl Send for FrameRings {}
// SAFETY: as above.
unsafe impl Sync for FrameRings {}

impl FrameRings {
    /// Maps the memory, a memfd. EINVAL if its size is wrong or may change: shrinking it while
    /// mapped would kill the process.
    pub fn map(fd: RawFd) -> Result<Arc<FrameRings>> {
        const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        // SAFETY: plain data, which fstat fills.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: as above; no pointers.
        let seals = unsafe {
            check(libc::fstat(fd, &raw mut status))?;
            check(libc::fcntl(fd, libc::F_GET_SEALS))?
        };
        if status.st_size != BYTES as i64 || seals & SEALS != SEALS {
            return Err(Errno(libc::EINVAL));
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a mapping at an address that the kernel chooses.
        let base = unsafe { libc::mmap(ptr::null_mut(), BYTES, prot, libc::MAP_SHARED, fd, 0) };
        if base == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(Arc::new(FrameRings(base.cast()))) }
    }

    pub fn putter(self: &Arc<FrameRings>, direction: Direction) -> Putter {
        let ring = Ring { rings: self.clone(), direction };
        let put = AtomicU32::new(ring.word(Word::Put).load(Relaxed));
        Putter { ring, put }
    }

    pub fn taker(self: &Arc<FrameRings>, direction: Direction) -> Taker {
        let ring = Ring { rings: self.clone(), direction };
        let taken = AtomicU32::new(ring.word(Word::Taken).load(Relaxed));
        Taker { ring, taken }
    }
}

impl Drop for FrameRings {
    fn drop(&mut self) {
        // SAFETY: this object owns the mapping, and nothing uses it any more.
        unsafe { libc::munmap(self.0.cast(), BYTES) };
    }
}

struct Ring {
    rings: Arc<FrameRings>,
    direction: Direction,
}

impl Ring {
    fn word(&self, word: Word) -> &AtomicU32 {
        let at = (self.direction as usize * WORDS + word as usize) * LINE;
        // SAFETY: within the header, and aligned; the mapping lives as long as `self`.
        unsafe { &*self.rings.0.add(at).cast::<AtomicU32>() }
    }

    fn data(&self) -> *mut u8 {
        // SAFETY: within the mapping.
        unsafe { self.rings.0.add(HEADER + self.direction as usize * CAPACITY) }
    }

    /// Calls back with the address and length of each part of a range, which may wrap around to the ring's start.
    fn parts(&self, at: u32, len: usize, mut each: impl FnMut(*mut u8, usize)) {
        let at = at as usize % CAPACITY;
        let first = len.min(CAPACITY - at);
        // SAFETY: within the ring's data.
        each(unsafe { self.data().add(at) }, first);
        if len > first {
            each(self.data(), len - first);
        }
    }

    /// # Safety
    /// `from` is readable for `len` bytes, which are at most `CAPACITY`.
    unsafe fn copy_in(&self, at: u32, from: *const u8, len: usize) {
        let mut from = from;
        self.parts(at, len, |to, part| {
            // SAFETY: the caller's promise, and a part of the ring's data, which is never the caller's memory.
            unsafe {
                ptr::copy_nonoverlapping(from, to, part);
                from = from.add(part);
            }
        });
    }

    /// # Safety
    /// `to` is writable for `len` bytes, which are at most `CAPACITY`.
    unsafe fn copy_out(&self, at: u32, to: *mut u8, len: usize) {
        let mut to = to;
        self.parts(at, len, |from, part| {
            // SAFETY: as above.
            unsafe {
                ptr::copy_nonoverlapping(from, to, part);
                to = to.add(part);
            }
        });
    }

    /// Clears a flag and returns whether it was set. What the caller did before is visible to
    /// whoever sets the flag later.
    fn claim(&self, word: Word) -> bool {
        fence(SeqCst);
        let flag = self.word(word);
        flag.load(Relaxed) != 0 && flag.swap(0, SeqCst) != 0
    }

    /// Sets a flag. Either this side sees what the other did before, or the other sees the flag.
    fn set(&self, word: Word) {
        self.word(word).store(1, SeqCst);
        fence(SeqCst);
    }

    fn unset(&self, word: Word) {
        self.word(word).store(0, Relaxed);
    }
}

/// Puts frames into a ring, from one thread at a time.
pub struct Putter {
    ring: Ring,
    /// This side's copy of the ring's word, which the other process may have overwritten.
    put: AtomicU32,
}

impl Putter {
    /// Continues at the ring's position: another process has put frames in since this side was made.
    pub fn resume(&self) {
        self.put.store(self.ring.word(Word::Put).load(Acquire), Relaxed);
    }

    fn room(&self) -> u32 {
        let used = self.put.load(Relaxed).wrapping_sub(self.ring.word(Word::Taken).load(Acquire));
        (CAPACITY as u32).saturating_sub(used)
    }

    /// Puts a frame in. Returns false if there is no room now.
    ///
    /// # Safety
    /// The parts are readable, and together no longer than the longest frame.
    pub unsafe fn put(&self, parts: &[libc::iovec]) -> bool {
        let len: usize = parts.iter().map(|part| part.iov_len).sum();
        let whole = (LENGTH + len).next_multiple_of(ALIGNMENT) as u32;
        if len > MAX_FRAME || whole > self.room() {
            return false;
        }
        let start = self.put.load(Relaxed);
        let length = (len as u32).to_ne_bytes();
        let mut at = start.wrapping_add(LENGTH as u32);
        // SAFETY: the caller's promise; the frame is shorter than the ring.
        unsafe {
            self.ring.copy_in(start, length.as_ptr(), LENGTH);
            for part in parts {
                self.ring.copy_in(at, part.iov_base.cast(), part.iov_len);
                at = at.wrapping_add(part.iov_len as u32);
            }
        }
        let end = start.wrapping_add(whole);
        self.put.store(end, Relaxed);
        self.ring.word(Word::Put).store(end, Release);
        true
    }

    pub fn put_bytes(&self, frame: &[u8]) -> bool {
        let part = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        // SAFETY: a slice.
        unsafe { self.put(&[part]) }
    }

    /// Whether the consumer must be woken for the frames that were put in.
    pub fn must_wake(&self) -> bool {
        self.ring.claim(Word::Asleep)
    }

    /// Claims more bytes than there are.
    #[cfg(test)]
    pub fn lie(&self, bytes: u32) {
        let end = self.put.load(Relaxed).wrapping_add(bytes);
        self.ring.word(Word::Put).store(end, SeqCst);
    }

    #[cfg(test)]
    pub fn is_taken(&self) -> bool {
        self.ring.word(Word::Taken).load(SeqCst) == self.ring.word(Word::Put).load(SeqCst)
    }

    /// Asks to be woken when there is ample room. Returns false if there already is.
    pub fn await_room(&self) -> bool {
        self.ring.set(Word::Full);
        let is_ample = self.room() >= AMPLE;
        if is_ample {
            self.ring.unset(Word::Full);
        }
        !is_ample
    }
}

/// Takes frames out of a ring, from one thread at a time.
pub struct Taker {
    ring: Ring,
    taken: AtomicU32,
}

impl Taker {
    /// Continues at the ring's position: another process has taken frames out since this side was made.
    pub fn resume(&self) {
        self.taken.store(self.ring.word(Word::Taken).load(Acquire), Relaxed);
    }

    fn filled(&self) -> usize {
        self.ring.word(Word::Put).load(Acquire).wrapping_sub(self.taken.load(Relaxed)) as usize
    }

    pub fn has_frames(&self) -> bool {
        self.filled() > 0
    }

    /// Takes the next frame out, and copies as much of it as fits. Returns the number of bytes copied,
    /// or None if there is no frame.
    ///
    /// # Safety
    /// The parts are writable.
    pub unsafe fn take(&self, parts: &[libc::iovec]) -> Option<usize> {
        let filled = self.filled();
        if filled == 0 {
            return None;
        }
        let start = self.taken.load(Relaxed);
        let mut length = [0; LENGTH];
        // SAFETY: an array of that size.
        unsafe { self.ring.copy_out(start, length.as_mut_ptr(), LENGTH) };
        let len = u32::from_ne_bytes(length) as usize;
        let whole = LENGTH.saturating_add(len).next_multiple_of(ALIGNMENT);
        if filled > CAPACITY || len > MAX_FRAME || whole > filled {
            // An honest peer never writes such a length.
            self.took(self.ring.word(Word::Put).load(Acquire));
            return None;
        }
        let mut copied = 0;
        for part in parts {
            let count = part.iov_len.min(len - copied);
            let at = start.wrapping_add((LENGTH + copied) as u32);
            // SAFETY: the caller's promise; the frame is shorter than the ring.
            unsafe { self.ring.copy_out(at, part.iov_base.cast(), count) };
            copied += count;
        }
        self.took(start.wrapping_add(whole as u32));
        Some(copied)
    }

    pub fn take_bytes(&self, frame: &mut [u8]) -> Option<usize> {
        let part = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
        // SAFETY: a slice.
        unsafe { self.take(&[part]) }
    }

    fn took(&self, end: u32) {
        self.taken.store(end, Relaxed);
        self.ring.word(Word::Taken).store(end, Release);
    }

    /// Asks to be woken when there are frames. Returns false if there already are some.
    pub fn sleep(&self) -> bool {
        self.ring.set(Word::Asleep);
        let has_frames = self.has_frames();
        if has_frames {
            self.ring.unset(Word::Asleep);
        }
        !has_frames
    }

    /// Notes that it is awake, whatever woke it.
    pub fn rise(&self) {
        self.ring.unset(Word::Asleep);
    }

    /// Whether the producer must be woken because there is ample room.
    pub fn must_wake(&self) -> bool {
        self.filled() <= CAPACITY - AMPLE as usize && self.ring.claim(Word::Full)
    }
}

/// Memory for rings.
#[cfg(test)]
pub fn memory() -> std::os::fd::OwnedFd {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    // SAFETY: a NUL-terminated name; the fd is this function's own.
    unsafe {
        let fd = OwnedFd::from_raw_fd(
            check(libc::memfd_create(c"frames".as_ptr(), libc::MFD_ALLOW_SEALING)).unwrap(),
        );
        check(libc::ftruncate(fd.as_raw_fd(), BYTES as i64)).unwrap();
        check(libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW))
            .unwrap();
        fd
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn ends() -> (Arc<FrameRings>, Putter, Taker) {
        let rings = FrameRings::map(memory().as_raw_fd()).unwrap();
        (rings.clone(), rings.putter(Direction::ToMachine), rings.taker(Direction::ToMachine))
    }

    /// The word of the ring that `ends` uses.
    fn word(rings: &Arc<FrameRings>, word: Word) -> u32 {
        Ring { rings: rings.clone(), direction: Direction::ToMachine }.word(word).load(SeqCst)
    }

    fn set_word(rings: &Arc<FrameRings>, word: Word, value: u32) {
        Ring { rings: rings.clone(), direction: Direction::ToMachine }.word(word).store(value, SeqCst);
    }

    #[test]
    fn frames_are_unchanged_after_many_wraparounds() {
        let (_rings, putter, taker) = ends();
        let mut buffer = vec![0; MAX_FRAME];
        let mut number = 0usize;
        for round in 0..400 {
            let frames: Vec<Vec<u8>> = (0..1 + round % 7)
                .map(|index| {
                    number += 1;
                    vec![number as u8; (number * 7919 + index * 31) % MAX_FRAME + 1]
                })
                .collect();
            assert!(frames.iter().all(|frame| putter.put_bytes(frame)));
            for frame in &frames {
                let count = taker.take_bytes(&mut buffer).unwrap();
                assert!(buffer[..count] == frame[..], "frame of {} bytes", frame.len());
            }
            assert_eq!(taker.take_bytes(&mut buffer), None);
        }
    }

    #[test]
    fn a_frame_is_gathered_scattered_and_truncated_to_the_buffers() {
        let (_rings, putter, taker) = ends();
        let iovec =
            |bytes: &mut [u8]| libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let mut parts = [vec![1u8; 3], vec![2; 4], vec![], vec![3; 2]];
        let gathered: Vec<libc::iovec> = parts.iter_mut().map(|part| iovec(part)).collect();
        let (mut first, mut second) = ([0; 5], [0; 3]);
        // SAFETY: slices.
        unsafe {
            assert!(putter.put(&gathered));
            assert_eq!(taker.take(&[iovec(&mut first), iovec(&mut second)]), Some(8));
        }
        assert_eq!((first, second), ([1, 1, 1, 2, 2], [2, 2, 3]));
        assert!(!taker.has_frames());
    }

    #[test]
    fn a_full_ring_accepts_no_more_until_enough_is_free() {
        let (_rings, putter, taker) = ends();
        let mut count = 0;
        while putter.put_bytes(&[7; 1514]) {
            count += 1;
        }
        assert_eq!(count, CAPACITY / (LENGTH + 1514).next_multiple_of(ALIGNMENT));
        assert!(putter.await_room());
        let mut taken = 0;
        while !taker.must_wake() {
            assert!(taker.take_bytes(&mut [0; 1514]).is_some());
            taken += 1;
        }
        assert!(taken >= count / 2 && taken < count);
        assert!(!taker.must_wake());
        assert!(!putter.await_room());
        assert!(putter.put_bytes(&[7; 1514]));
    }

    #[test]
    fn a_sleeping_peer_is_woken_once() {
        let (_rings, putter, taker) = ends();
        putter.put_bytes(&[1; 60]);
        assert!(!putter.must_wake());
        assert!(!taker.sleep());
        taker.take_bytes(&mut [0; 60]);
        assert!(taker.sleep());
        putter.put_bytes(&[1; 60]);
        assert!(putter.must_wake() && !putter.must_wake());
        taker.take_bytes(&mut [0; 60]);
        assert!(taker.sleep());
        taker.rise();
        assert!(!putter.must_wake());
    }

    #[test]
    fn a_successor_continues_at_the_same_position() {
        let (rings, putter, taker) = ends();
        for byte in 0..5 {
            putter.put_bytes(&[byte; 100]);
        }
        taker.take_bytes(&mut [0; 100]);
        drop((putter, taker));
        let (putter, taker) = (rings.putter(Direction::ToMachine), rings.taker(Direction::ToMachine));
        putter.put_bytes(&[5; 100]);
        for byte in 1..=5 {
            let mut frame = [0; 100];
            assert_eq!(taker.take_bytes(&mut frame), Some(100));
            assert_eq!(frame, [byte; 100]);
        }
        assert!(!taker.has_frames());
    }

    /// Whatever the other process writes, no more than a frame is taken, and the ring keeps working.
    #[test]
    fn invalid_entries_are_skipped() {
        let (rings, putter, taker) = ends();
        let mut buffer = vec![0; MAX_FRAME];
        for put in [1, 8, CAPACITY as u32 + 8, u32::MAX, 1 << 31] {
            set_word(&rings, Word::Put, taker.taken.load(SeqCst).wrapping_add(put));
            while let Some(count) = taker.take_bytes(&mut buffer) {
                assert!(count <= MAX_FRAME);
            }
            assert!(!taker.has_frames());
        }
        for length in [MAX_FRAME as u32 + 1, u32::MAX, u32::MAX - 3, 100] {
            // SAFETY: a word.
            unsafe { taker.ring.copy_in(taker.taken.load(SeqCst), length.to_ne_bytes().as_ptr(), LENGTH) };
            set_word(&rings, Word::Put, taker.taken.load(SeqCst).wrapping_add(16));
            assert_eq!(taker.take_bytes(&mut buffer), None);
            assert!(!taker.has_frames());
        }
        // False claims about what it has taken make no more room than there is.
        for taken in [1, CAPACITY as u32 + 1, u32::MAX / 2, u32::MAX] {
            set_word(&rings, Word::Taken, putter.put.load(SeqCst).wrapping_sub(taken));
            assert!(putter.room() <= CAPACITY as u32);
        }
        set_word(&rings, Word::Taken, putter.put.load(SeqCst).wrapping_add(1));
        assert_eq!((putter.room(), putter.put_bytes(&[1])), (0, false));
        assert!(word(&rings, Word::Put) != 0);
    }

    #[test]
    fn unsealed_memory_or_another_size_is_rejected() {
        // SAFETY: NUL-terminated names; the fds are closed.
        unsafe {
            let unsealed = libc::memfd_create(c"frames".as_ptr(), libc::MFD_ALLOW_SEALING);
            libc::ftruncate(unsealed, BYTES as i64);
            assert_eq!(FrameRings::map(unsealed).err(), Some(Errno(libc::EINVAL)));
            libc::ftruncate(unsealed, BYTES as i64 - 4096);
            libc::fcntl(unsealed, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW);
            assert_eq!(FrameRings::map(unsealed).err(), Some(Errno(libc::EINVAL)));
            libc::close(unsealed);
        }
    }
}
