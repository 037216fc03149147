//! Landlock (landlock(7), linux/landlock.h) by raw system calls: a thread and what it executes may only touch the
//! paths that were allowed, make no TCP connection, and reach no process outside of their domain.

use super::every_thread::Threads;
use crate::errno::Errno;
use crate::spawn::request::AllowedPath;
use crate::spawn::sys::syscall;
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
/// Deny what the executed program tries, and log it for the administrator (ABI 7).
const RESTRICT_SELF_LOG_NEW_EXEC_ON: u32 = 2;

const EXECUTE: u64 = 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const NET_BIND_TCP_CONNECT_TCP: u64 = 3;
const SCOPE_ABSTRACT_UNIX_SOCKET_SIGNAL: u64 = 3;

#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// Everything about files that this ABI version can deny.
fn all_of_fs(abi: isize) -> u64 {
    let rights = match abi {
        1 => 13,
        2 => 14,     // REFER
        3 | 4 => 15, // TRUNCATE
        _ => 16,     // IOCTL_DEV
    };
    (1 << rights) - 1
}

/// The size of the attributes that this version knows.
fn attribute_size(abi: isize) -> usize {
    match abi {
        ..4 => 8,
        4..6 => 16,
        _ => 24,
    }
}

pub struct Restricted {
    pub abi: i32,
    pub missing: u32,
}

/// Restricts the calling thread to `allowed`, with raw calls only. A path that does not exist is no error. The thread
/// has no_new_privs or CAP_SYS_ADMIN. On failure returns a negative errno: ENOSYS, EOPNOTSUPP without Landlock.
pub fn restrict(allowed: &[AllowedPath]) -> Result<Restricted, isize> {
    let (abi, ruleset) = create_ruleset()?;
    let mut missing = 0;
    for AllowedPath { path, execute } in allowed {
        let access = READ_FILE | READ_DIR | if *execute { EXECUTE } else { 0 };
        match allow(ruleset, path, access) {
            0.. => {}
            error => match -error as i32 {
                libc::ENOENT | libc::ENOTDIR | libc::EACCES => missing += 1,
                _ => return Err(error),
            },
        }
    }
    let result = restrict_self(abi, ruleset);
    // SAFETY: `ruleset` is this function's own.
    unsafe { syscall!(libc::SYS_close, ruleset) };
    if result < 0 { Err(result) } else { Ok(Restricted { abi: abi as i32, missing }) }
}

/// Denies all threads of this process every path, and what was denied before.
pub fn deny_all_paths(threads: &Threads) -> Result<(), Errno> {
    let (abi, ruleset) = create_ruleset().map_err(|error| Errno(-error as i32))?;
    DENY_ALL.store((abi as u64) << 32 | ruleset as u64, SeqCst);
    let result = threads.run(|| {
        let [abi, ruleset] = [DENY_ALL.load(SeqCst) >> 32, DENY_ALL.load(SeqCst) & 0xffff_ffff];
        // SAFETY: no pointers. A thread inherits this from the one that starts it, unlike from its process.
        unsafe { syscall!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        restrict_self(abi as isize, ruleset as isize)
    });
    // SAFETY: `ruleset` is this function's own.
    unsafe { syscall!(libc::SYS_close, ruleset) };
    result
}

/// The ABI version and the ruleset of `deny_all_paths`, in its halves.
static DENY_ALL: AtomicU64 = AtomicU64::new(0);

/// A ruleset without a rule, and the kernel's ABI version.
fn create_ruleset() -> Result<(isize, isize), isize> {
    // SAFETY: no pointers.
    let abi = unsafe { syscall!(libc::SYS_landlock_create_ruleset, 0, 0, CREATE_RULESET_VERSION) };
    if abi < 0 {
        return Err(abi);
    }
    let attributes = RulesetAttributes {
        handled_access_fs: all_of_fs(abi),
        handled_access_net: NET_BIND_TCP_CONNECT_TCP,
        scoped: SCOPE_ABSTRACT_UNIX_SOCKET_SIGNAL,
    };
    // SAFETY: the attributes are as large as said.
    let ruleset =
        unsafe { syscall!(libc::SYS_landlock_create_ruleset, &raw const attributes, attribute_size(abi), 0) };
    if ruleset < 0 { Err(ruleset) } else { Ok((abi, ruleset)) }
}

fn restrict_self(abi: isize, ruleset: isize) -> isize {
    let flags = if abi >= 7 { RESTRICT_SELF_LOG_NEW_EXEC_ON } else { 0 };
    // SAFETY: no pointers.
    unsafe { syscall!(libc::SYS_landlock_restrict_self, ruleset, flags) }
}

fn allow(ruleset: isize, path: &CStr, access: u64) -> isize {
    // SAFETY: a NUL-terminated path; the fd is closed again here.
    unsafe {
        let fd = syscall!(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
        if fd < 0 {
            return fd;
        }
        let mut rule = PathBeneath { allowed_access: access, parent_fd: fd as i32 };
        let mut result =
            syscall!(libc::SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &raw const rule, 0);
        if result == -(libc::EINVAL as isize) {
            // A file: it has no folder's rights.
            rule.allowed_access = access & !READ_DIR;
            result = syscall!(libc::SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &raw const rule, 0);
        }
        syscall!(libc::SYS_close, fd);
        result
    }
}
