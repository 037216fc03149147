//! The root of this process: its own file system, with the host's resolv.conf, the sockets of
//! forwards, and the TFTP folder.

use crate::confine::root::{MOUNT_ATTR_NOSUID_NODEV_NOEXEC, MOUNT_ATTR_RDONLY, file_system};
use crate::errno::{Errno, Result, check, errno_of};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub const RESOLV_CONF: &CStr = c"/etc/resolv.conf";
pub const TFTP: &CStr = c"/tftp";

/// linux/mount.h.
const OPEN_TREE_CLONE_CLOEXEC: u32 = 1 | libc::O_CLOEXEC as u32;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;

/// The process may change its uid, and still connect to its sockets.
const FILE_SYSTEM: [(&CStr, &CStr); 2] = [(c"size", c"1m"), (c"mode", c"0755")];

/// Where the new root is mounted before it becomes the root. Every host has at least one of them.
const PLACES: [&CStr; 4] = [c"/tmp", c"/run", c"/var", c"/proc"];

/// struct mount_attr.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// A new file system, the working directory of this process.
pub struct Root {
    mount: OwnedFd,
    tftp: Option<OwnedFd>,
}

impl Root {
    /// Needs CAP_SYS_ADMIN in the process's user namespace, and its own mount namespace.
    pub fn new(tftp: Option<&str>) -> Result<Root> {
        let tftp = tftp.map(|folder| clone_tree(&CString::new(folder).expect("no NUL"))).transpose()?;
        let mount = file_system(&FILE_SYSTEM, MOUNT_ATTR_NOSUID_NODEV_NOEXEC)?;
        // SAFETY: an open folder.
        check(unsafe { libc::fchdir(mount.as_raw_fd()) })?;
        std::fs::create_dir("etc").map_err(|error| errno_of(&error))?;
        // A host without one has no name servers.
        let _ = std::fs::copy("/etc/resolv.conf", "etc/resolv.conf");
        std::fs::create_dir("tftp").map_err(|error| errno_of(&error))?;
        Ok(Root { mount, tftp })
    }

    /// Makes it the root: no other file can be reached any more.
    pub fn enter(&self) -> Result<()> {
        let place = PLACES.iter().find(|place| {
            // SAFETY: an open mount, and NUL-terminated paths.
            unsafe { move_mount(&self.mount, libc::AT_FDCWD, place) }.is_ok()
        });
        place.ok_or(Errno(libc::EINVAL))?;
        if let Some(tftp) = &self.tftp {
            // SAFETY: as above; the folder is below the root's.
            unsafe { move_mount(tftp, self.mount.as_raw_fd(), c"tftp")? };
        }
        // SAFETY: NUL-terminated paths. The old root is stacked under the new one until it is unmounted.
        unsafe {
            check(libc::fchdir(self.mount.as_raw_fd()))?;
            check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) as i32)?;
            check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH))?;
            check(libc::chdir(c"/".as_ptr()))?;
        }
        set_read_only(libc::AT_FDCWD, c"/")
    }
}

/// A read-only copy of the mount at a folder, without the mounts below it.
fn clone_tree(folder: &CStr) -> Result<OwnedFd> {
    // SAFETY: a NUL-terminated path; the fd is this function's own.
    let tree = unsafe {
        owned(libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, folder.as_ptr(), OPEN_TREE_CLONE_CLOEXEC))?
    };
    set_read_only(tree.as_raw_fd(), c"")?;
    Ok(tree)
}

fn set_read_only(folder: i32, path: &CStr) -> Result<()> {
    let attributes = MountAttributes {
        set: u64::from(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID_NODEV_NOEXEC),
        ..MountAttributes::default()
    };
    // SAFETY: a NUL-terminated path, and attributes of the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            folder,
            path.as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    check(result as i32).map(|_| ())
}

/// # Safety
/// No fd is used after it is closed.
unsafe fn move_mount(mount: &OwnedFd, folder: i32, path: &CStr) -> Result<()> {
    // SAFETY: NUL-terminated paths.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            folder,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    check(result as i32).map(|_| ())
}

/// # Safety
/// A `result` that is not negative is a new fd.
unsafe fn owned(result: i64) -> Result<OwnedFd> {
    let fd = check(result as i32)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
