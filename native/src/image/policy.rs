//! How requests that fail on the host are handled (QEMU's `rerror` and `werror`).

use super::errors::{Access, DiskError};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

crate::abi_constants! {
    /// How a failed request is handled.
    pub mod error_action as ERROR_ACTION: u32 {
        /// The guest sees an error.
        REPORT = 0,
        /// The guest sees success.
        IGNORE = 1,
        /// The VM is paused, and the request carried out again when the VM continues.
        STOP = 2,
        /// Stop if the host has no space left, else report.
        ENOSPC = 3,
    }
}

/// The outcome of a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorAction {
    Report,
    Ignore,
    Hold,
}

/// `error_action` for reads, and for everything else.
#[derive(Default)]
pub struct ErrorPolicy {
    reads: AtomicU32,
    writes: AtomicU32,
}

impl ErrorPolicy {
    pub fn set(&self, reads: u32, writes: u32) {
        self.reads.store(reads, SeqCst);
        self.writes.store(writes, SeqCst);
    }

    pub fn action(&self, error: &DiskError) -> ErrorAction {
        let given = if error.access == Access::Read { &self.reads } else { &self.writes };
        let no_space = [libc::ENOSPC, libc::EDQUOT].contains(&error.errno);
        match given.load(SeqCst) {
            error_action::IGNORE => ErrorAction::Ignore,
            error_action::STOP => ErrorAction::Hold,
            error_action::ENOSPC if no_space => ErrorAction::Hold,
            _ => ErrorAction::Report,
        }
    }
}
