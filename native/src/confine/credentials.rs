//! Whose process this is.

use crate::errno::{Result, check};

/// By glibc's functions, which change all threads.
pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    // SAFETY: no groups, no pointers.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(gid, gid, gid))?;
        check(libc::setresuid(uid, uid, uid))?;
    }
    Ok(())
}

/// No core file, and no debugger or reader of /proc/PID/mem of the same user.
pub fn not_dumpable() -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })?;
    Ok(())
}
