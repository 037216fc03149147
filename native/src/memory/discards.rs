//! Whether pages of guest RAM may be given back to the host.

use crate::sync::lock;
use std::sync::Mutex;

/// Shared by all threads of a VM that give pages back. While host devices access RAM, its pages are pinned: after a
/// discard the guest would get new pages, and the devices would continue to use the old ones.
#[derive(Default)]
pub struct Discards {
    forbidden: Mutex<bool>,
}

impl Discards {
    /// Once this has returned, no forbidden discard is under way.
    pub fn allow(&self, allowed: bool) {
        *lock(&self.forbidden) = !allowed;
    }

    /// Performs a discard, unless it is not allowed now. Returns whether it was performed.
    pub fn carry_out(&self, discard: impl FnOnce() -> bool) -> bool {
        let forbidden = lock(&self.forbidden);
        !*forbidden && discard()
    }
}
