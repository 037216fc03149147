//! A queue as described by JavaScript, validated.

use crate::errno::{Errno, Result};
use crate::memory::{GuestRam, Region, with_region};
use crate::queue::{PackedQueue, Position, QueueLayout, Ring, SplitQueue, feature};
use std::sync::Arc;

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
        /// Slot of its counters; all ones for unread counters.
        pub counter_slot: u32,
        /// Where it continues, as in `QueueProgress`.
        pub last_avail: u16,
        pub used_index: u16,
        pub reserved: u32,
        /// Memory outside guest RAM that no other queue accesses: a model on the machine thread keeps its ring there.
        /// Size 0 for none. It stays mapped at `own_host` until the thread has ended.
        pub own_gpa: u64,
        pub own_size: u64,
        pub own_host: u64,
    }
}

crate::abi_struct! {
    /// How far a queue thread has got, as read by JavaScript.
    ///
    /// In a split ring both indices are free-running. In a packed one each has the index of a descriptor in bits 0 to
    /// 14 and the wrap counter in bit 15, as in vhost: initially 0x8000.
    ///
    /// The chains that were taken and not returned are separate bytes. In a split ring: the 16-bit index of each one's
    /// head. In a packed ring, where used descriptors may have overwritten them: each one's descriptors, 16 bytes each,
    /// as they were in the ring; for an indirect chain, the descriptor that points to its table.
    pub struct QueueProgress {
        pub last_avail: u16,
        pub used_index: u16,
        /// Bytes that describe unfinished chains.
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

    /// Sets the position to continue at.
    pub fn go_on_at(&mut self, position: Position) {
        self.last_avail = position.available;
        self.used_index = position.used;
    }

    pub fn is_packed(&self) -> bool {
        self.features & feature::RING_PACKED != 0
    }

    /// What the queue is served from: guest RAM and its own memory.
    pub fn with_own_memory(&self, ram: Arc<GuestRam>) -> Result<Arc<GuestRam>> {
        if self.own_size == 0 {
            return Ok(ram);
        }
        let own = Region { gpa: self.own_gpa, size: self.own_size, host: self.own_host, ..Region::default() };
        // SAFETY: the creator of the config keeps the memory mapped, as its fields require; it has no log.
        Ok(Arc::new(unsafe { with_region(&ram, &own)? }))
    }

    /// Refuses rings outside RAM, and unfinished chains that can't have been taken and not returned.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::guest_ram;
    use vm_memory::{Bytes, GuestAddress};

    /// Regions start on host page boundaries.
    #[repr(align(4096))]
    struct Page([u8; 4096]);

    /// One leaked page at `gpa`.
    fn page(gpa: u64) -> Region {
        let memory: &'static mut Page = Box::leak(Box::new(Page([0; 4096])));
        Region { gpa, size: 4096, host: memory.0.as_mut_ptr() as u64, ..Region::default() }
    }

    #[test]
    fn a_queue_has_its_own_memory_besides_the_guests() {
        // SAFETY: the pages are leaked.
        let ram = Arc::new(unsafe { guest_ram(&[page(0)]).unwrap() });
        let config = QueueConfig::default();
        assert!(Arc::ptr_eq(&config.with_own_memory(ram.clone()).unwrap(), &ram));
        let Region { size, host, .. } = page(0);
        let own = QueueConfig { own_gpa: 1 << 52, own_size: size, own_host: host, ..config };
        let both = own.with_own_memory(ram.clone()).unwrap();
        both.write_obj(7u8, GuestAddress((1 << 52) + 4095)).unwrap();
        both.write_obj(7u8, GuestAddress(4095)).unwrap();
        assert!(both.write_obj(7u8, GuestAddress((1 << 52) + 4096)).is_err());
        assert!(ram.write_obj(7u8, GuestAddress(1 << 52)).is_err());
        assert_eq!(ram.read_obj::<u8>(GuestAddress(4095)).unwrap(), 7);
        for (own_gpa, own_size, own_host) in [(4095, size, host), (1 << 52, size, 0), (u64::MAX, size, host)]
        {
            let wrong = QueueConfig { own_gpa, own_size, own_host, ..config };
            assert!(wrong.with_own_memory(ram.clone()).is_err());
        }
    }
}
