//! Dropping all capabilities (capabilities(7)) of the calling thread, by raw calls that return 0 or a negative errno.

use crate::spawn::sys::syscall;

/// _LINUX_CAPABILITY_VERSION_3.
const VERSION: u32 = 0x2008_0522;
/// More than Linux has; the kernel returns EINVAL after its last.
const MOST: u32 = 64;

/// Empties the bounding set, which limits what execve can grant. Needs CAP_SETPCAP: without it the set stays, but a
/// process with no_new_privs cannot use it.
pub fn drop_bounding() -> isize {
    for capability in 0..MOST {
        // SAFETY: no pointers.
        if unsafe { syscall!(libc::SYS_prctl, libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break;
        }
    }
    0
}

/// Empties all other sets.
pub fn drop_all() -> isize {
    let header = [VERSION, 0];
    let none = [0u32; 6];
    // SAFETY: the header and both words of each set. Without ambient capabilities, clearing them fails.
    unsafe {
        syscall!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        syscall!(libc::SYS_capset, &raw const header, &raw const none)
    }
}
