//! The child's part, from clone to execve. It shares the memory of the parent, whose thread waits: only raw system
//! calls on prepared data are allowed.

use super::request::{Layer, Request, SpawnReport, Step, want};
use super::sys::syscall;
use crate::confine::rlimits;
use std::ffi::{CStr, c_void};

/// What parent and child share.
pub struct Shared<'a, 'b> {
    pub request: &'b mut Request<'a>,
    pub report: &'b mut SpawnReport,
    /// The namespaces that clone created.
    pub cloned: u32,
}

/// The exit status of a child that could not start its program, like a shell's.
const FAILED: i32 = 127;
const SIGNALS: i32 = 64;
const FIRST_FD: usize = 3;

/// The capabilities that the process keeps until it confines itself (linux/capability.h).
const SETPCAP: u32 = 8;
const SYS_CHROOT: u32 = 18;
const SYS_ADMIN: u32 = 21;

pub extern "C" fn main(shared: *mut c_void) -> ! {
    // SAFETY: the parent's thread waits until this process has executed its program or ended.
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    if let Err((step, error)) = run(shared) {
        shared.report.step = step as u32;
        shared.report.errno = -error as i32;
    }
    exit()
}

/// A child that exits immediately.
pub extern "C" fn end(_: *mut c_void) -> ! {
    exit()
}

fn exit() -> ! {
    loop {
        // SAFETY: ends this process without running anything of the parent's.
        unsafe { syscall!(libc::SYS_exit_group, FAILED) };
    }
}

type Outcome = Result<(), (Step, isize)>;

fn run(shared: &mut Shared) -> Outcome {
    default_signals();
    // SAFETY: no pointers. It can only fail for a group leader, which a new process is not.
    unsafe { syscall!(libc::SYS_setsid) };
    namespaces(shared);
    if shared.request.wants(want::NO_NEW_PRIVS) {
        // SAFETY: no pointers.
        let result = unsafe { syscall!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1) };
        note(shared, Layer::NoNewPrivs, result);
    }
    // SAFETY: a NUL-terminated path.
    let result = unsafe { syscall!(libc::SYS_chdir, shared.request.directory.as_ptr()) };
    done(Step::Directory, result)?;
    place_fds(shared)?;
    let limits = shared.request.rlimits();
    if !limits.is_empty() {
        done(Step::Rlimits, rlimits::apply(limits))?;
        note(shared, Layer::Rlimits, 0);
    }
    unblock_signals();
    let Request { path, argv, env, .. } = &shared.request;
    // SAFETY: NUL-terminated strings, and arrays that end in a null pointer.
    let error = unsafe { syscall!(libc::SYS_execve, path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    Err((Step::Exec, error))
}

fn done(step: Step, result: isize) -> Outcome {
    if result < 0 { Err((step, result)) } else { Ok(()) }
}

/// Notes the outcome of a layer. An unavailable layer does not keep a process from starting.
fn note(shared: &mut Shared, layer: Layer, result: isize) {
    shared.report.outcome[layer as usize] = if result < 0 { -result as i32 } else { 0 };
}

/// Resets signals: the parent's handlers do not exist in the program, and ignored signals would stay ignored.
fn default_signals() {
    // The kernel's own struct sigaction: handler, flags, restorer, mask.
    let default = [0u64; 4];
    for signal in 1..=SIGNALS {
        // SAFETY: reads a valid struct; the table of handlers is this process's own. SIGKILL and SIGSTOP fail.
        unsafe { syscall!(libc::SYS_rt_sigaction, signal, &raw const default, 0, 8) };
    }
}

fn unblock_signals() {
    let none = 0u64;
    // SAFETY: reads 8 bytes.
    unsafe { syscall!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0, 8) };
}

fn namespaces(shared: &mut Shared) {
    if shared.cloned & want::USER != 0 {
        let result = map_ids(shared.request);
        note(shared, Layer::User, result);
        keep_capabilities();
    }
    for (wanted, layer, flag) in [
        (want::MOUNT, Layer::Mount, libc::CLONE_NEWNS),
        (want::IPC, Layer::Ipc, libc::CLONE_NEWIPC),
        (want::UTS, Layer::Uts, libc::CLONE_NEWUTS),
        (want::NETWORK, Layer::Network, libc::CLONE_NEWNET),
    ] {
        if !shared.request.wants(wanted) {
            continue;
        }
        // SAFETY: no pointers; all of these belong to this process, not to its memory.
        let mut result = unsafe { syscall!(libc::SYS_unshare, flag) };
        if result >= 0 && layer == Layer::Mount {
            result = make_mounts_private();
        }
        note(shared, layer, result);
    }
}

/// Mounts in the namespace stay there, and outside mounts do not propagate into it.
fn make_mounts_private() -> isize {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: NUL-terminated strings.
    unsafe { syscall!(libc::SYS_mount, c"none".as_ptr(), c"/".as_ptr(), 0, flags, 0) }
}

/// user_namespaces(7): the process keeps its own uid and gid, the only ones in its namespace.
fn map_ids(request: &Request) -> isize {
    for (path, text) in [
        (c"/proc/self/setgroups", c"deny"),
        (c"/proc/self/gid_map", request.gid_map),
        (c"/proc/self/uid_map", request.uid_map),
    ] {
        let result = write_file(path, text);
        if result < 0 {
            return result;
        }
    }
    0
}

fn write_file(path: &CStr, text: &CStr) -> isize {
    // SAFETY: NUL-terminated path, and as many bytes as the text has.
    unsafe {
        let fd = syscall!(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return fd;
        }
        let result = syscall!(libc::SYS_write, fd, text.as_ptr(), text.count_bytes());
        syscall!(libc::SYS_close, fd);
        result
    }
}

/// Lets the program, which is not root, keep the capabilities in its user namespace that it needs until it confines
/// itself. Without them it can confine itself less, and reports that then.
fn keep_capabilities() {
    // _LINUX_CAPABILITY_VERSION_3.
    let header = [0x2008_0522u32, 0];
    // Effective, permitted and inheritable, low words before high ones.
    let mut sets = [[0u32; 3]; 2];
    // SAFETY: the header and both words of each set.
    unsafe {
        if syscall!(libc::SYS_capget, &raw const header, &raw mut sets) < 0 {
            return;
        }
        let kept = 1 << SETPCAP | 1 << SYS_CHROOT | 1 << SYS_ADMIN;
        sets[0][2] = sets[0][1] & kept;
        syscall!(libc::SYS_capset, &raw const header, &raw const sets);
        for capability in [SETPCAP, SYS_CHROOT, SYS_ADMIN] {
            syscall!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        }
    }
}

/// Puts the standard streams at 0 to 2 and the request's fds at 3, 4, ...; closes all others.
fn place_fds(shared: &mut Shared) -> Outcome {
    let Request { options, fds, moved, .. } = &mut *shared.request;
    let end = FIRST_FD + fds.len();
    // First move them out of each other's way.
    let mut stdio = options.stdio;
    for fd in &mut stdio {
        *fd = move_up(*fd, end)?;
    }
    for (to, from) in moved.iter_mut().zip(fds.iter()) {
        *to = move_up(*from, end)?;
    }
    for (target, fd) in stdio.iter().chain(moved.iter()).enumerate() {
        // SAFETY: no pointers; this process has its own fd table. Without O_CLOEXEC, which is dup3's flag.
        done(Step::Fds, unsafe { syscall!(libc::SYS_dup3, *fd, target, 0) })?;
    }
    // SAFETY: no pointers.
    done(Step::Fds, unsafe { syscall!(libc::SYS_close_range, end, u32::MAX, 0) })
}

fn move_up(fd: i32, end: usize) -> Result<i32, (Step, isize)> {
    // SAFETY: no pointers.
    let moved = unsafe { syscall!(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, end) };
    done(Step::Fds, moved)?;
    Ok(moved as i32)
}
