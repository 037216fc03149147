//! Resource limits, as passed by JavaScript.

use crate::spawn::sys::syscall;
use std::ptr;

pub const MAX_RLIMITS: usize = 8;

crate::abi_struct! {
    /// Rlimit.
    pub struct Rlimit {
        /// RLIMIT_x.
        pub resource: u64,
        pub soft: u64,
        pub hard: u64,
    }
}

/// Sets the limits of this process. Without CAP_SYS_RESOURCE, limits can only be lowered: a hard limit that is already
/// lower stays. Raw calls only. Returns 0 or a negative errno.
pub fn apply(limits: &[Rlimit]) -> isize {
    for &Rlimit { resource, soft, hard } in limits {
        let mut now = [0u64; 2];
        // SAFETY: writes two words into a local array.
        let got = unsafe {
            syscall!(libc::SYS_prlimit64, 0, resource, ptr::null::<u64>(), (&raw mut now).cast::<u64>())
        };
        if got < 0 {
            return got;
        }
        let mut wanted = [soft, hard];
        let set = |limit: &[u64; 2]| {
            // SAFETY: reads two words.
            unsafe { syscall!(libc::SYS_prlimit64, 0, resource, (&raw const *limit).cast::<u64>(), 0) }
        };
        let mut result = set(&wanted);
        if result == -(libc::EPERM as isize) && hard > now[1] {
            wanted = [soft.min(now[1]), now[1]];
            result = set(&wanted);
        }
        if result < 0 {
            return result;
        }
    }
    0
}
