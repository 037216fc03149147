//! Landlock (landlock(7), linux/landlock.h): a process may touch only the allowed paths, connects over TCP only if
//! allowed, and reaches no process outside its domain. A domain applies to a thread and what it starts.

use crate::errno::{Errno, Result, check};
use crate::spawn::sys::syscall;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
/// All threads at once (ABI 8).
const RESTRICT_SELF_TSYNC: u64 = 8;

const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
/// LANDLOCK_ACCESS_NET_BIND_TCP and _CONNECT_TCP.
pub const ALL_TCP: u64 = 3;
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

/// A path that stays accessible, with everything below it.
pub struct AllowedPath<'a> {
    pub path: &'a CStr,
    pub writable: bool,
}

/// The restrictions to apply to threads.
pub struct Ruleset {
    fd: OwnedFd,
    pub abi: i32,
}

impl Ruleset {
    /// Resolves the paths now. `denied_tcp`: which TCP rights are denied. ENOSYS or EOPNOTSUPP without Landlock.
    pub fn new(allowed: &[AllowedPath], denied_tcp: u64) -> Result<Ruleset> {
        // SAFETY: no pointers.
        let abi = unsafe {
            check(libc::syscall(libc::SYS_landlock_create_ruleset, 0usize, 0usize, CREATE_RULESET_VERSION)
                as i32)?
        };
        let attributes = RulesetAttributes {
            handled_access_fs: all_of_fs(abi),
            handled_access_net: denied_tcp,
            scoped: SCOPE_ABSTRACT_UNIX_SOCKET_SIGNAL,
        };
        let size = attribute_size(abi);
        // SAFETY: the attributes are at least that large; nothing else owns the fd.
        let fd = unsafe {
            let fd = libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0);
            OwnedFd::from_raw_fd(check(fd as i32)?)
        };
        let ruleset = Ruleset { fd, abi };
        allowed.iter().try_for_each(|path| ruleset.allow(path))?;
        Ok(ruleset)
    }

    fn allow(&self, AllowedPath { path, writable }: &AllowedPath) -> Result<()> {
        // SAFETY: a NUL-terminated path; nothing else owns the fd.
        let file = unsafe {
            OwnedFd::from_raw_fd(check(libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC))?)
        };
        let write = if *writable { WRITE_FILE | TRUNCATE } else { 0 };
        let allowed_access = (READ_FILE | READ_DIR | write) & all_of_fs(self.abi);
        match self.add(&file, allowed_access) {
            // A file: folder rights do not apply.
            Err(Errno(libc::EINVAL)) => self.add(&file, allowed_access & !READ_DIR),
            result => result,
        }
    }

    fn add(&self, file: &OwnedFd, allowed_access: u64) -> Result<()> {
        let rule = PathBeneath { allowed_access, parent_fd: file.as_raw_fd() };
        let ruleset = self.fd.as_raw_fd();
        // SAFETY: a valid rule.
        let result = unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &raw const rule, 0)
        };
        check(result as i32).map(|_| ())
    }

    /// Restricts all threads of this process at once and permanently, if the kernel supports it.
    pub fn restrict_process(&self) -> bool {
        self.abi >= 8 && restrict_self(self.as_raw_fd(), RESTRICT_SELF_TSYNC) == 0
    }
}

impl AsRawFd for Ruleset {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

/// Restricts the calling thread, by raw calls. Returns 0 or a negative errno.
pub fn restrict_thread(ruleset: i32) -> isize {
    restrict_self(ruleset, 0)
}

fn restrict_self(ruleset: i32, flags: u64) -> isize {
    // SAFETY: no pointers.
    unsafe {
        syscall!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        syscall!(libc::SYS_landlock_restrict_self, ruleset, flags)
    }
}

/// Every file system right that this ABI version can deny.
fn all_of_fs(abi: i32) -> u64 {
    let rights = match abi {
        1 => 13,
        2 => 14,     // REFER
        3 | 4 => 15, // TRUNCATE
        _ => 16,     // IOCTL_DEV
    };
    (1 << rights) - 1
}

/// The size of the attributes in this ABI version.
fn attribute_size(abi: i32) -> usize {
    match abi {
        ..4 => 8,
        4 | 5 => 16,
        _ => 24,
    }
}
