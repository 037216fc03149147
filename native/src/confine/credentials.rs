//! The user and group that this process runs as.

use crate::errno::{Result, check};

/// Uses glibc's functions, which change all threads.
pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    // SAFETY: no groups, no pointers.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(gid, gid, gid))?;
        check(libc::setresuid(uid, uid, uid))?;
    }
    Ok(())
}

/// No core dump, and neither a debugger nor /proc/PID/mem access for processes of the same user.
pub fn not_dumpable() -> Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })?;
    Ok(())
}
