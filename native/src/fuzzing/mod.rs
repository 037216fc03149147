//! What fuzzers call: each target takes bytes that stand for what a hostile guest or image contains. A target that
//! returns has passed; one that panics, hangs or is stopped by a sanitizer has found a bug.
//!
//! `native/fuzz` runs the targets under libFuzzer, guided by coverage. `tests.rs` runs them on the saved inputs and on
//! mutations of those, with nothing but cargo.

mod disk;
mod frames;
mod input;
mod kernel;
mod qcow2;
mod rings;
#[cfg(test)]
mod tests;

pub use disk::{blk, scsi};
pub use frames::{fragments, offloads};
pub use qcow2::qcow2;
pub use rings::{balloon, rings};

/// A target, and the name of its folder in `native/fuzz/corpus`.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 7] = [
    ("rings", rings),
    ("balloon", balloon),
    ("blk", blk),
    ("scsi", scsi),
    ("offloads", offloads),
    ("fragments", fragments),
    ("qcow2", qcow2),
];
