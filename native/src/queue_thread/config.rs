//! A queue as JavaScript describes it, checked.

use crate::errno::{Errno, Result};
use crate::memory::GuestRam;
use crate::queue::{PackedQueue, Position, QueueLayout, Ring, SplitQueue, feature};

crate::abi_struct! {
    /// A queue to serve, as passed by JavaScript.
    pub struct QueueConfig {
        /// Guest-physical addresses of the descriptor area, the driver area and the device area.
        pub descriptors: u64,
        pub available: u64,
        pub used: u64,
        /// Negotiated feature bits.
        pub features: u64,
        pub kick_fd: i32,
        pub call_fd: i32,
        /// Entries of the queue.
        pub size: u32,
        pub counter_slot: u32,
        /// Where it continues, as `QueueProgress` has it.
        pub last_avail: u16,
        pub used_index: u16,
    }
}

crate::abi_struct! {
    /// How far a queue thread has got, as JavaScript reads it.
    ///
    /// In a split ring both indices are free-running. In a packed one each has the index of a descriptor in bits 0 to 14 and the wrap
    /// counter in bit 15, as vhost has it: 0x8000 at first.
    ///
    /// The chains that were taken and not returned are bytes of their own. In a split ring: the 16-bit index of each one's head. In a
    /// packed ring, in which used descriptors may have overwritten them: each one's descriptors, 16 bytes each as they were in the
    /// ring; of an indirect one, that which points to its table.
    pub struct QueueProgress {
        pub last_avail: u16,
        pub used_index: u16,
        /// Bytes that tell of unfinished chains.
        pub unfinished_bytes: u32,
    }
}

impl QueueConfig {
    pub fn layout(&self) -> QueueLayout {
        QueueLayout {
            size: self.size,
            descriptors: self.descriptors,
            available: self.available,
            used: self.used,
            features: self.features,
            position: Position { available: self.last_avail, used: self.used_index },
        }
    }

    /// Has it served from another position.
    pub fn go_on_at(&mut self, position: Position) {
        self.last_avail = position.available;
        self.used_index = position.used;
    }

    pub fn is_packed(&self) -> bool {
        self.features & feature::RING_PACKED != 0
    }

    /// Refuses rings that are not in RAM, and unfinished chains that can't have been taken and not returned.
    pub fn check(&self, ram: &GuestRam, unfinished: &[u8]) -> Result<()> {
        match self.is_packed() {
            true => check::<PackedQueue>(ram, &self.layout(), unfinished),
            false => check::<SplitQueue>(ram, &self.layout(), unfinished),
        }
    }
}

fn check<'m, R: Ring<'m>>(ram: &'m GuestRam, layout: &QueueLayout, unfinished: &[u8]) -> Result<()> {
    match R::new(ram, layout) {
        Ok(ring) if ring.can_retake(unfinished) => Ok(()),
        _ => Err(Errno(libc::EINVAL)),
    }
}
