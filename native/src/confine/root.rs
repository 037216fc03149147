//! An empty, read-only root: a process that has opened everything needs no file system.

use crate::errno::{Errno, Result, check};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// linux/mount.h.
const FSOPEN_CLOEXEC: u32 = 1;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSMOUNT_CLOEXEC: u32 = 1;
pub const MOUNT_ATTR_RDONLY: u32 = 1;
pub const MOUNT_ATTR_NOSUID_NODEV_NOEXEC: u32 = 2 | 4 | 8;

/// Makes an empty, unmounted file system the root and working directory of all threads. Needs CAP_SYS_ADMIN and
/// CAP_SYS_CHROOT in the process's user namespace.
pub fn empty() -> Result<()> {
    let mount = file_system(&[(c"size", c"4096")], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID_NODEV_NOEXEC)?;
    // SAFETY: an open fd and a NUL-terminated path.
    unsafe {
        check(libc::fchdir(mount.as_raw_fd()))?;
        check(libc::chroot(c".".as_ptr()))?;
    }
    Ok(())
}

/// An empty, unmounted tmpfs with these options. Needs CAP_SYS_ADMIN in the process's user namespace.
pub fn file_system(options: &[(&CStr, &CStr)], attributes: u32) -> Result<OwnedFd> {
    // SAFETY: NUL-terminated strings; the fds are this function's own.
    unsafe {
        let context = fd(libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), FSOPEN_CLOEXEC))?;
        let context = context.as_raw_fd();
        for (key, value) in options {
            let (key, value) = (key.as_ptr(), value.as_ptr());
            done(libc::syscall(libc::SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0))?;
        }
        let none: *const u8 = ptr::null();
        done(libc::syscall(libc::SYS_fsconfig, context, FSCONFIG_CMD_CREATE, none, none, 0))?;
        fd(libc::syscall(libc::SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes))
    }
}

fn done(result: i64) -> Result<()> {
    if result < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// # Safety
/// A `result` that is not negative is a new fd.
unsafe fn fd(result: i64) -> Result<OwnedFd> {
    done(result)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
}
