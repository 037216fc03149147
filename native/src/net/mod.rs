//! virtio-net's queues of frames (virtio 1.3 §5.1.6): two threads per queue pair, and the wire that all of them share.

mod filter;
mod header;
mod hub;
mod offload;
mod receive;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transmit;
mod wire;

pub use filter::{FilterConfig, ReceiveFilter, flag as filter_flag};
#[cfg(any(test, fuzzing))]
pub use header::Header;
pub use hub::Hub;
#[cfg(any(test, fuzzing))]
pub use offload::{complete_checksum, segment};
pub use receive::Receiver;
pub use transmit::Transmitter;
pub use wire::{SharedFds, Wire};

/// Feature bits (§5.1.3).
pub mod feature {
    pub const CSUM: u64 = 1 << 0;
    pub const HOST_TSO4: u64 = 1 << 11;
    pub const HOST_TSO6: u64 = 1 << 12;
    pub const HOST_ECN: u64 = 1 << 13;
    pub const HOST_UFO: u64 = 1 << 14;
    pub const MRG_RXBUF: u64 = 1 << 15;
    pub const HOST_USO: u64 = 1 << 56;
}

crate::abi_struct! {
    /// What a queue of a network card serves, as passed by JavaScript.
    pub struct NetConfig {
        /// Handle of its wire.
        pub wire: u32,
        /// The number of its queue pair.
        pub pair: u32,
        /// 1 if it transmits, 0 if it receives.
        pub transmits: u32,
    }
}

crate::abi_struct! {
    /// A wire, as passed by JavaScript; its fds are a separate array.
    pub struct WireConfig {
        pub fds: u32,
        /// 1 if frames have a virtio_net_hdr in front; else 0.
        pub header: u32,
        /// The eventfd to signal when the other end is gone.
        pub notice_fd: i32,
        /// Memory that carries the frames in place of the file, which is then used for wake-ups
        /// (frame_ring.rs); -1 for none.
        pub memory_fd: i32,
        /// The eventfd that signals free space in that memory.
        pub room_fd: i32,
    }
}
