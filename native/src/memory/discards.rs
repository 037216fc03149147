//! Whether pages of guest RAM may be given back to the host.

use crate::sync::lock;
use std::sync::Mutex;

/// For all threads of a VM that give pages back. While devices of the host reach RAM, its pages are pinned: those that took their place
/// would be others than the devices go on to use.
#[derive(Default)]
pub struct Discards {
    forbidden: Mutex<bool>,
}

impl Discards {
    /// Once this has returned, none is under way that is not allowed.
    pub fn allow(&self, allowed: bool) {
        *lock(&self.forbidden) = !allowed;
    }

    /// Carries one out, unless it is not allowed now. Returns whether it was done.
    pub fn carry_out(&self, discard: impl FnOnce() -> bool) -> bool {
        let forbidden = lock(&self.forbidden);
        !*forbidden && discard()
    }
}
