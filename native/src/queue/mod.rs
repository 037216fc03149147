//! Virtqueues from the device's side: split (virtio 1.3 §2.7) and packed (§2.8). Nothing that the driver
//! wrote is trusted: a protocol violation that leaves no sane continuation is a `Broken`, after which
//! the ring is not used anymore.
//!
//! Everything that a queue thread writes to guest memory goes through `Buffers`, a slice of a `Chain`, or the rings'
//! own stores, all of which are `RamSlice`s.

mod buffers;
mod chain;
mod packed;
mod split;
#[cfg(test)]
pub mod testing;

use crate::memory::GuestRam;
pub use buffers::Buffers;
pub use chain::Chain;
pub use packed::PackedQueue;
pub use split::SplitQueue;

/// How the driver violated the queue's protocol, for the user.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken(pub String);

pub type Result<T> = std::result::Result<T, Broken>;

/// The most entries of a queue (§2.7, §2.8.10.1).
pub const MAX_SIZE: u32 = 32768;

/// Feature bits that concern queues (§6).
pub mod feature {
    pub const INDIRECT_DESC: u64 = 1 << 28;
    pub const EVENT_IDX: u64 = 1 << 29;
    pub const RING_PACKED: u64 = 1 << 34;
}

/// A queue as set up by the driver.
#[derive(Clone, Copy)]
pub struct QueueLayout {
    pub size: u32,
    /// The descriptor table or ring.
    pub descriptors: u64,
    /// The driver area: the available ring, or the driver's event suppression.
    pub available: u64,
    /// The device area: the used ring, or the device's event suppression.
    pub used: u64,
    /// Negotiated features.
    pub features: u64,
    pub position: Position,
}

/// The device's position: the next entry to take, and the next to fill in. In a split ring, free-running indices; in a
/// packed one, the index of a descriptor with the wrap counter in bit 15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub available: u16,
    pub used: u16,
}

/// One virtqueue in guest memory.
pub trait Ring<'m>: Sized {
    fn new(ram: &'m GuestRam, layout: &QueueLayout) -> Result<Self>;

    fn position(&self) -> Position;

    /// Whether the driver offers a chain that hasn't been taken.
    fn has_available(&self) -> bool;

    /// Takes the next chain. Returns whether there was one.
    fn take(&mut self, chain: &mut Chain<'m>) -> Result<bool>;

    /// Undoes a `take`; `before` is the position before it.
    fn put_back(&mut self, before: Position);

    /// Appends what `retake` needs to read this chain again, which was taken and not given back.
    fn save(&self, chain: &Chain<'m>, saved: &mut Vec<u8>);

    /// Whether `saved` can be the unfinished chains at this position.
    fn can_retake(&self, saved: &[u8]) -> bool;

    /// Reads the first chain of `saved`, which was taken in an earlier run of the queue and not
    /// given back, and removes it there.
    fn retake(&mut self, saved: &mut &[u8], chain: &mut Chain<'m>) -> Result<()>;

    /// Returns a chain in which the device wrote `len` bytes. The driver sees it after `publish`.
    fn give_back(&mut self, chain: &Chain<'m>, len: u32);

    /// Publishes the returned chains to the driver. Returns whether there were any.
    fn publish(&mut self) -> bool;

    /// Whether the driver wants an interrupt for what has been published since the last call.
    fn wants_interrupt(&mut self) -> bool;

    /// Whether kicks were enabled for the chains just taken. Disables them for the following ones.
    fn forget_kick(&mut self) -> bool;

    /// Asks the driver for a kick at its next chain. Returns whether there is one already.
    fn enable_kicks(&mut self) -> bool;

    /// The same, for when the driver has offered that many more chains, at least 1. Returns whether it already has. In
    /// a ring that can't express the number, the driver kicks for the next one.
    fn enable_kicks_after(&mut self, chains: u16) -> bool {
        let _ = chains;
        self.enable_kicks()
    }

    /// Disables kicks as far as possible.
    fn disable_kicks(&mut self);
}
