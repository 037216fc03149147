//! A process to start, prepared in the parent: the child only reads it.

use crate::confine::rlimits::{MAX_RLIMITS, Rlimit};
use crate::errno::{Errno, Result};
use std::ffi::{CStr, c_char};
use std::os::fd::RawFd;
use std::ptr;

/// Bits of `SpawnOptions::flags`: the requested layers.
pub mod want {
    pub const USER: u32 = 1;
    pub const MOUNT: u32 = 1 << 1;
    pub const PID: u32 = 1 << 2;
    pub const IPC: u32 = 1 << 3;
    pub const UTS: u32 = 1 << 4;
    pub const NETWORK: u32 = 1 << 5;
    pub const CGROUP: u32 = 1 << 6;
    pub const NO_NEW_PRIVS: u32 = 1 << 7;
}

/// The layers in a report, in its order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    User,
    Mount,
    Pid,
    Ipc,
    Uts,
    Network,
    Cgroup,
    NoNewPrivs,
    Rlimits,
}
pub const LAYERS: usize = 9;

/// The step at which a spawn failed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Step {
    None,
    /// Before there was a process: arguments and stack.
    Prepare,
    Clone,
    Fds,
    Directory,
    Rlimits,
    Exec,
}

crate::abi_struct! {
    /// Filled in by JavaScript.
    pub struct SpawnOptions {
        pub flags: u32,
        pub argc: u32,
        pub envc: u32,
        pub fds: u32,
        pub rlimit_count: u32,
        pub cgroup_fd: i32,
        /// Fds to become 0, 1 and 2 of the process.
        pub stdio: [i32; 3],
        pub rlimits: [Rlimit; MAX_RLIMITS],
    }
}

/// The layer was not requested.
pub const OFF: i32 = -1;

crate::abi_struct! {
    /// The outcome, for JavaScript.
    pub struct SpawnReport {
        pub pid: i32,
        pub pidfd: i32,
        pub step: u32,
        pub errno: i32,
        /// By `Layer`: 0 if it is on, OFF, or why it is unavailable.
        pub outcome: [i32; LAYERS],
    }
}

impl SpawnReport {
    pub fn new() -> SpawnReport {
        SpawnReport { pid: 0, pidfd: -1, step: Step::None as u32, errno: 0, outcome: [OFF; LAYERS] }
    }
}

/// A prepared request. The pointers in `argv` and `env` are NUL-terminated arrays of C strings.
pub struct Request<'a> {
    pub options: SpawnOptions,
    pub path: &'a CStr,
    pub directory: &'a CStr,
    pub uid_map: &'a CStr,
    pub gid_map: &'a CStr,
    pub argv: Vec<*const c_char>,
    pub env: Vec<*const c_char>,
    pub fds: &'a [RawFd],
    /// Buffer for the moved fds, allocated here because the child cannot.
    pub moved: Vec<RawFd>,
}

impl<'a> Request<'a> {
    /// `texts`: program, directory, uid map, gid map, then `argc` arguments and `envc`
    /// variables, each terminated by a NUL.
    pub fn parse(options: SpawnOptions, texts: &'a [u8], fds: &'a [RawFd]) -> Result<Request<'a>> {
        let invalid = Errno(libc::EINVAL);
        if options.rlimit_count as usize > MAX_RLIMITS
            || options.fds as usize != fds.len()
            || fds.len() > 1024
        {
            return Err(invalid);
        }
        let mut rest = texts;
        let mut next = || -> Result<&'a CStr> {
            let text = CStr::from_bytes_until_nul(rest).map_err(|_| invalid)?;
            rest = &rest[text.to_bytes_with_nul().len()..];
            Ok(text)
        };
        let (path, directory, uid_map, gid_map) = (next()?, next()?, next()?, next()?);
        let argv = pointers(options.argc, &mut next)?;
        let env = pointers(options.envc, &mut next)?;
        let moved = vec![-1; fds.len()];
        Ok(Request { options, path, directory, uid_map, gid_map, argv, env, fds, moved })
    }

    pub fn wants(&self, flag: u32) -> bool {
        self.options.flags & flag != 0
    }

    pub fn rlimits(&self) -> &[Rlimit] {
        &self.options.rlimits[..self.options.rlimit_count as usize]
    }
}

fn pointers<'a>(count: u32, next: &mut impl FnMut() -> Result<&'a CStr>) -> Result<Vec<*const c_char>> {
    let mut pointers = Vec::new();
    for _ in 0..count {
        pointers.push(next()?.as_ptr());
    }
    pointers.push(ptr::null());
    Ok(pointers)
}
