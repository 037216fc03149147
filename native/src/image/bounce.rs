//! Aligned buffers for O_DIRECT requests whose guest buffers are not.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

pub const BOUNCE_BYTES: usize = 256 * 1024;
const ALIGNMENT: usize = 4096;
/// Bounds the memory for a driver that never aligns its buffers: further requests wait.
const MAX_BUFFERS: usize = 16;

const LAYOUT: Layout = match Layout::from_size_align(BOUNCE_BYTES, ALIGNMENT) {
    Ok(layout) => layout,
    Err(_) => panic!("a valid layout"),
};

/// `BOUNCE_BYTES` bytes that the kernel may read and write while a request is in flight.
pub struct Bounce(NonNull<u8>);

impl Bounce {
    fn new() -> Bounce {
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc_zeroed(LAYOUT) };
        Bounce(NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(LAYOUT)))
    }

    pub fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// The bytes, for use while no request with this buffer is in flight.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: this value owns `BOUNCE_BYTES` initialized bytes, and callers have no request in flight with them.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), BOUNCE_BYTES) }
    }
}

impl Drop for Bounce {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0.as_ptr(), LAYOUT) };
    }
}

/// Buffers allocated on first use and kept for later requests.
#[derive(Default)]
pub struct BouncePool {
    free: Vec<Bounce>,
    made: usize,
}

impl BouncePool {
    /// None while all are in use.
    pub fn take(&mut self) -> Option<Bounce> {
        if let Some(bounce) = self.free.pop() {
            return Some(bounce);
        }
        if self.made == MAX_BUFFERS {
            return None;
        }
        self.made += 1;
        Some(Bounce::new())
    }

    pub fn give_back(&mut self, bounce: Bounce) {
        self.free.push(bounce);
    }

    /// Frees the buffers that aren't in use.
    pub fn shrink(&mut self) {
        self.made -= self.free.len();
        self.free = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_bounded_reused_and_freed() {
        let mut pool = BouncePool::default();
        let mut taken: Vec<_> = (0..MAX_BUFFERS).map(|_| pool.take().unwrap()).collect();
        assert!(pool.take().is_none());
        let first = taken[0].as_ptr();
        pool.give_back(taken.swap_remove(0));
        taken.push(pool.take().unwrap());
        assert_eq!(taken.last().unwrap().as_ptr(), first);
        taken.drain(..MAX_BUFFERS - 1).for_each(|bounce| pool.give_back(bounce));
        pool.shrink();
        assert_eq!((pool.made, pool.free.len()), (1, 0));
        assert!((1..MAX_BUFFERS).all(|_| pool.take().is_some()));
        assert!(pool.take().is_none());
    }
}
