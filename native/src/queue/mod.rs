//! Split virtqueues (virtio 1.3 §2.7), from the device's side. Nothing that the driver wrote is trusted: a
//! protocol violation that leaves no sane continuation is a `Broken`, after which the ring is not used
//! anymore.

mod buffers;
mod chain;
mod split;
#[cfg(test)]
pub mod testing;

pub use buffers::Buffers;
pub use chain::Chain;
pub use split::{Position, QueueLayout, SplitQueue};

/// How the driver violated the queue's protocol, for the user.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken(pub String);

pub type Result<T> = std::result::Result<T, Broken>;

/// Feature bits that concern queues (§6).
pub mod feature {
    pub const INDIRECT_DESC: u64 = 1 << 28;
    pub const EVENT_IDX: u64 = 1 << 29;
}
