//! virtio-scsi (virtio 1.3 §5.6): a controller with disks and CD drives, backed by images. Commands are carried out by
//! the threads of its request queues, each of which serves all of its units.

pub mod abi;
mod blocks;
mod command;
mod control;
#[cfg(test)]
mod control_tests;
mod controller;
#[cfg(test)]
mod drive_tests;
mod event_queue;
mod inquiry;
mod mechanism;
mod medium;
mod mmc;
mod mode;
mod operations;
#[cfg(test)]
mod random_tests;
mod sense;
mod tasks;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unit;
mod worker;

pub use control::ControlWorker;
pub use controller::Controller;
pub use event_queue::EventWorker;
#[cfg(any(test, fuzzing))]
pub use unit::{Address, Identity, Kind, Unit};
pub use worker::ScsiWorker;
