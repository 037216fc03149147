//! The rings of a split virtqueue (virtio 1.3 §2.7.6 to §2.7.10).

use super::chain::{Chain, DESCRIPTOR_BYTES, outside_ram};
use super::{Broken, Result, feature};
use crate::memory::GuestRam;
use std::sync::atomic::{Ordering, fence};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, VolatileSlice};

/// Offsets in both rings.
const FLAGS: usize = 0;
const INDEX: usize = 2;
const RING: usize = 4;
const AVAIL_ENTRY_BYTES: usize = 2;
const USED_ENTRY_BYTES: usize = 8;
/// The event index behind the ring's entries.
const EVENT_BYTES: usize = 2;

/// In the available ring's flags: the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;
/// In the used ring's flags: the device wants no kicks.
const NO_NOTIFY: u16 = 1;

pub const MAX_SIZE: u32 = 32768;

/// A queue as the driver set it up.
#[derive(Clone, Copy)]
pub struct QueueLayout {
    pub size: u32,
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
    /// Negotiated features.
    pub features: u64,
    pub position: Position,
}

/// How far the device has got: the next entry to take, and the next to fill in. Both wrap at 2^16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub available: u16,
    pub used: u16,
}

pub struct SplitQueue<'m> {
    ram: &'m GuestRam,
    size: u16,
    descriptors: VolatileSlice<'m>,
    available: VolatileSlice<'m>,
    used: VolatileSlice<'m>,
    indirect: bool,
    event_idx: bool,
    position: Position,
    /// The available index as last read.
    offered: u16,
    /// The used index as last published.
    published: u16,
    /// The same when an interrupt was last considered. None at first: what the driver was told before isn't known.
    considered: Option<u16>,
    /// The driver was asked to kick for the next chain.
    kick_wanted: bool,
}

impl<'m> SplitQueue<'m> {
    pub fn new(ram: &'m GuestRam, layout: &QueueLayout) -> Result<SplitQueue<'m>> {
        let QueueLayout { size, features, position, .. } = *layout;
        if !size.is_power_of_two() || size > MAX_SIZE {
            return Err(Broken(format!("gave the queue a size of {size}")));
        }
        let entries = size as usize;
        let ring = |what, address: u64, align: u64, len: usize| {
            if address % align != 0 {
                return Err(Broken(format!("put {what} at {address:#x}, not a multiple of {align}")));
            }
            let slice = ram.get_slice(GuestAddress(address), len);
            slice.map_err(|_| outside_ram(what, address, len as u64))
        };
        let available_len = RING + entries * AVAIL_ENTRY_BYTES + EVENT_BYTES;
        let used_len = RING + entries * USED_ENTRY_BYTES + EVENT_BYTES;
        Ok(SplitQueue {
            ram,
            size: size as u16,
            descriptors: ring("the descriptor table", layout.descriptors, 16, entries * DESCRIPTOR_BYTES)?,
            available: ring("the available ring", layout.available, 2, available_len)?,
            used: ring("the used ring", layout.used, 4, used_len)?,
            indirect: features & feature::INDIRECT_DESC != 0,
            event_idx: features & feature::EVENT_IDX != 0,
            position,
            offered: position.available,
            published: position.used,
            considered: None,
            kick_wanted: true,
        })
    }

    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether the driver offers a chain that has not been taken.
    pub fn has_available(&self) -> bool {
        load(&self.available, INDEX, Ordering::Acquire) != self.position.available
    }

    /// Takes the next chain. Returns whether there was one.
    pub fn take(&mut self, chain: &mut Chain<'m>) -> Result<bool> {
        if self.offered == self.position.available {
            self.offered = load(&self.available, INDEX, Ordering::Acquire);
        }
        let waiting = self.offered.wrapping_sub(self.position.available);
        if waiting == 0 {
            return Ok(false);
        }
        if waiting > self.size {
            return Err(Broken(format!("offered {waiting} chains in a queue of {}", self.size)));
        }
        let slot = usize::from(self.position.available % self.size);
        let head = load(&self.available, RING + slot * AVAIL_ENTRY_BYTES, Ordering::Relaxed);
        if head >= self.size {
            return Err(Broken(format!("offered descriptor {head} of {}", self.size)));
        }
        chain.walk(self.ram, self.descriptors, head, self.indirect)?;
        self.position.available = self.position.available.wrapping_add(1);
        Ok(true)
    }

    /// Returns a chain of which the device wrote `len` bytes. The driver sees it after `publish`.
    pub fn give_back(&mut self, head: u16, len: u32) {
        let at = RING + usize::from(self.position.used % self.size) * USED_ENTRY_BYTES;
        let entry = u64::from(head) | u64::from(len) << 32;
        self.used.write_slice(&entry.to_le_bytes(), at).expect("an entry inside the ring");
        self.position.used = self.position.used.wrapping_add(1);
    }

    /// Shows the driver what has been given back. Returns whether there was anything new.
    pub fn publish(&mut self) -> bool {
        if self.published == self.position.used {
            return false;
        }
        self.published = self.position.used;
        store(&self.used, INDEX, self.published, Ordering::Release);
        true
    }

    /// Whether the driver wants an interrupt for what has been published since this was last asked (§2.7.7.2, §2.7.10).
    pub fn wants_interrupt(&mut self) -> bool {
        // The driver writes its wish and then reads the used index; this is the other half.
        fence(Ordering::SeqCst);
        let before = self.considered.replace(self.published);
        if !self.event_idx {
            return load(&self.available, FLAGS, Ordering::Relaxed) & NO_INTERRUPT == 0;
        }
        let Some(before) = before else { return true };
        let event_at = RING + usize::from(self.size) * AVAIL_ENTRY_BYTES;
        let event = load(&self.available, event_at, Ordering::Relaxed);
        self.published.wrapping_sub(event).wrapping_sub(1) < self.published.wrapping_sub(before)
    }

    /// Whether the driver was asked to kick for the chains just taken. Those that follow, it need not kick for.
    pub fn forget_kick(&mut self) -> bool {
        std::mem::replace(&mut self.kick_wanted, false)
    }

    /// Asks the driver for a kick at its next chain. Returns whether there is one already.
    pub fn enable_kicks(&mut self) -> bool {
        if self.event_idx {
            let event_at = RING + usize::from(self.size) * USED_ENTRY_BYTES;
            store(&self.used, event_at, self.position.available, Ordering::Relaxed);
        } else {
            store(&self.used, FLAGS, 0, Ordering::Relaxed);
        }
        self.kick_wanted = true;
        // The driver writes the available index and then reads this wish.
        fence(Ordering::SeqCst);
        self.has_available()
    }

    /// Tells the driver that it need not kick. With EVENT_IDX an index that has been passed says so already.
    pub fn disable_kicks(&mut self) {
        if !self.event_idx {
            store(&self.used, FLAGS, NO_NOTIFY, Ordering::Relaxed);
            self.kick_wanted &= self.has_available();
        }
    }
}

/// `at` is even and inside `ring`.
fn load(ring: &VolatileSlice, at: usize, order: Ordering) -> u16 {
    u16::from_le(ring.load(at, order).expect("an aligned word inside the ring"))
}

fn store(ring: &VolatileSlice, at: usize, value: u16, order: Ordering) {
    ring.store(value.to_le(), at, order).expect("an aligned word inside the ring");
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Buffer, Driver, in_, out, ram};
    use super::*;

    const SIZE: u32 = 8;

    fn queue<'m>(driver: &Driver<'m>, features: u64) -> SplitQueue<'m> {
        SplitQueue::new(driver.ram, &QueueLayout { features, ..driver.layout }).unwrap()
    }

    /// What taking the one chain of `buffers` says.
    fn broken<T>(features: u64, offer: impl FnOnce(&mut Driver) -> T) -> String {
        let ram = ram();
        let mut driver = Driver::new(&ram, SIZE);
        offer(&mut driver);
        queue(&driver, features).take(&mut Chain::default()).unwrap_err().0
    }

    #[test]
    fn chains_are_taken_in_order_and_given_back() {
        let ram = ram();
        let mut driver = Driver::new(&ram, SIZE);
        driver.offer(&[out(0x8000, 16), in_(0x9000, 512), in_(0xa000, 1)]);
        driver.offer(&[out(0x8000, 3)]);
        let mut queue = queue(&driver, 0);
        let mut chain = Chain::default();
        assert!(queue.take(&mut chain).unwrap());
        assert_eq!((chain.head, chain.readable.len(), chain.writable.len()), (0, 16, 513));
        assert!(queue.take(&mut chain).unwrap());
        assert_eq!((chain.head, chain.readable.len(), chain.writable.len()), (3, 3, 0));
        assert!(!queue.take(&mut chain).unwrap());

        queue.give_back(3, 7);
        assert_eq!(driver.used_index(), 0);
        assert!(queue.publish());
        assert_eq!((driver.used_index(), driver.used(0)), (1, (3, 7)));
        assert!(!queue.publish());
        assert_eq!(queue.position(), Position { available: 2, used: 1 });
    }

    #[test]
    fn indices_wrap() {
        let ram = ram();
        let mut driver = Driver::new(&ram, SIZE);
        driver.start_at(Position { available: 65535, used: 65534 });
        let mut queue = queue(&driver, 0);
        for round in 0..4 {
            let head = driver.offer(&[in_(0x8000, 1)]);
            assert!(queue.take(&mut Chain::default()).unwrap());
            queue.give_back(head, round);
            queue.publish();
        }
        assert_eq!(queue.position(), Position { available: 3, used: 2 });
        assert_eq!((driver.used_index(), driver.used(65535).1, driver.used(1).1), (2, 1, 3));
    }

    #[test]
    fn an_indirect_table_is_followed_at_the_end_of_a_chain() {
        let ram = ram();
        let mut driver = Driver::new(&ram, SIZE);
        driver.write_table(0x4000, &[out(0x8000, 8), in_(0x9000, 100)]);
        driver.offer(&[out(0x7000, 8), Buffer::indirect(0x4000, 32)]);
        let mut chain = Chain::default();
        assert!(queue(&driver, feature::INDIRECT_DESC).take(&mut chain).unwrap());
        assert_eq!((chain.readable.len(), chain.writable.len()), (16, 100));
    }

    #[test]
    fn a_buffer_may_cross_from_one_region_of_ram_into_the_next_but_not_leave_it() {
        let border = super::super::testing::REGION_BORDER;
        let ram = ram();
        let mut driver = Driver::new(&ram, SIZE);
        driver.offer(&[out(border - 8, 16)]);
        let mut chain = Chain::default();
        assert!(queue(&driver, 0).take(&mut chain).unwrap());
        assert_eq!((chain.readable.len(), chain.readable.from(0).count()), (16, 2));
    }

    #[test]
    fn rings_that_are_not_in_ram_or_not_aligned_are_refused() {
        let ram = ram();
        let good = Driver::new(&ram, SIZE).layout;
        let refused = |layout: QueueLayout| SplitQueue::new(&ram, &layout).err().expect("refused").0;
        assert!(refused(QueueLayout { size: 0, ..good }).contains("size of 0"));
        assert!(refused(QueueLayout { size: 12, ..good }).contains("size of 12"));
        assert!(refused(QueueLayout { size: 65536, ..good }).contains("size of 65536"));
        assert!(refused(QueueLayout { descriptors: 8, ..good }).contains("descriptor table at 0x8"));
        assert!(refused(QueueLayout { available: 1, ..good }).contains("available ring at 0x1"));
        assert!(refused(QueueLayout { used: 2, ..good }).contains("used ring at 0x2"));
        assert!(refused(QueueLayout { used: u64::MAX - 3, ..good }).contains("not all RAM"));
        assert!(refused(QueueLayout { descriptors: 1 << 40, ..good }).contains("not all RAM"));
    }

    #[test]
    fn what_a_hostile_driver_puts_into_its_rings_is_named() {
        let none = 0;
        let indirect = feature::INDIRECT_DESC;
        assert_eq!(broken(none, |driver| driver.set_available_index(9)), "offered 9 chains in a queue of 8");
        assert_eq!(broken(none, |driver| driver.offer_head(8)), "offered descriptor 8 of 8");
        let text = broken(none, |driver| driver.offer(&[in_(0xffff_ffff_ffff_fff0, 0x20)]));
        assert!(text.contains("0xfffffffffffffff0, which is not all RAM"), "{text}");
        let text = broken(none, |driver| driver.offer(&[out(0x8000, 1), in_(1 << 40, 1)]));
        assert!(text.contains("not all RAM"), "{text}");
        let text = broken(none, |driver| driver.offer(&[in_(0x8000, 1), out(0x9000, 1)]));
        assert_eq!(text, "put a readable descriptor after a writable one");
        let text = broken(none, |driver| {
            driver.write_descriptor(0, out(0x8000, 1), Some(8));
            driver.offer_head(0);
        });
        assert_eq!(text, "linked to descriptor 8 of 8");
        let text = broken(none, |driver| {
            driver.write_descriptor(2, out(0x8000, 1), Some(5));
            driver.write_descriptor(5, out(0x8000, 1), Some(2));
            driver.offer_head(2);
        });
        assert_eq!(text, "made a loop of descriptors, starting at 2");
        let text = broken(none, |driver| driver.offer(&[Buffer::indirect(0x4000, 16)]));
        assert!(text.contains("without having negotiated"), "{text}");
        for len in [0, 15, 16 * 1025] {
            let text = broken(indirect, |driver| driver.offer(&[Buffer::indirect(0x4000, len)]));
            assert_eq!(text, format!("gave an indirect table of {len} bytes"));
        }
        let text = broken(indirect, |driver| driver.offer(&[Buffer::indirect(1 << 40, 16)]));
        assert!(text.contains("an indirect table of 16 bytes at 0x10000000000"), "{text}");
        let text = broken(indirect, |driver| {
            driver.write_table(0x4000, &[Buffer::indirect(0x5000, 16)]);
            driver.offer(&[Buffer::indirect(0x4000, 16)]);
        });
        assert_eq!(text, "put an indirect descriptor into an indirect table");
        let text = broken(indirect, |driver| {
            driver.write_descriptor(0, Buffer::indirect(0x4000, 16), Some(1));
            driver.offer_head(0);
        });
        assert_eq!(text, "linked an indirect descriptor to another one");
    }

    #[test]
    fn a_chain_of_4_gib_is_refused() {
        let ram = GuestRam::from_ranges(&[(GuestAddress(0), 8 << 20)]).unwrap();
        let mut driver = Driver::new(&ram, SIZE);
        driver.write_table(0x4000, &[in_(0, 8 << 20); 512]);
        driver.offer(&[Buffer::indirect(0x4000, 512 * 16)]);
        let mut queue = queue(&driver, feature::INDIRECT_DESC);
        assert_eq!(queue.take(&mut Chain::default()).unwrap_err().0, "made a chain of 4 GiB or more");
    }

    #[test]
    fn without_event_idx_flags_suppress_interrupts_and_kicks() {
        let ram = ram();
        let mut driver = Driver::new(&ram, SIZE);
        let mut queue = queue(&driver, 0);
        queue.give_back(0, 0);
        queue.publish();
        assert!(queue.wants_interrupt());
        driver.set_available_flags(NO_INTERRUPT);
        assert!(!queue.wants_interrupt());
        queue.disable_kicks();
        assert_eq!(driver.used_flags(), NO_NOTIFY);
        assert!(!queue.enable_kicks());
        assert_eq!(driver.used_flags(), 0);
        driver.offer(&[in_(0x8000, 1)]);
        assert!(queue.enable_kicks());
    }

    #[test]
    fn a_kick_is_asked_for_until_chains_are_taken_or_it_is_declined() {
        for features in [0, feature::EVENT_IDX] {
            let ram = ram();
            let mut driver = Driver::new(&ram, SIZE);
            let mut queue = queue(&driver, features);
            assert!(queue.forget_kick(), "a new ring asks for one");
            assert!(!queue.forget_kick());
            queue.enable_kicks();
            driver.offer(&[in_(0x8000, 1)]);
            queue.disable_kicks();
            assert!(queue.take(&mut Chain::default()).unwrap());
            assert!(queue.forget_kick(), "it was asked for when the chain came");
            queue.enable_kicks();
            queue.disable_kicks();
            // An index that has not been passed still asks.
            assert_eq!(queue.forget_kick(), features == feature::EVENT_IDX);
        }
    }

    #[test]
    fn with_event_idx_indices_suppress_them() {
        let ram = ram();
        let mut driver = Driver::new(&ram, SIZE);
        driver.start_at(Position { available: 65534, used: 65534 });
        let mut queue = queue(&driver, feature::EVENT_IDX);
        let give_back = |queue: &mut SplitQueue, count| {
            for _ in 0..count {
                queue.give_back(0, 0);
            }
            queue.publish();
            queue.wants_interrupt()
        };
        assert!(give_back(&mut queue, 1), "the first time it isn't known what the driver has seen");
        driver.set_used_event(1);
        assert!(!give_back(&mut queue, 1), "65535");
        assert!(!give_back(&mut queue, 1), "0: event 1 asks for index 2");
        assert!(give_back(&mut queue, 2), "2 passes it");
        assert!(!give_back(&mut queue, 1), "3 is behind it");

        driver.set_available_flags(NO_INTERRUPT);
        driver.set_used_event(4);
        assert!(give_back(&mut queue, 3), "the flag has no meaning with EVENT_IDX");
        assert!(!queue.enable_kicks());
        assert_eq!(driver.available_event(), 65534);
    }
}
