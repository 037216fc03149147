//! Starting a process that is confined before its program's first instruction. The caller may be a process
//! with many threads and gigabytes of memory: the child shares its memory until execve (as posix_spawn's
//! does), so nothing is copied.

mod child;
pub mod reaper;
pub mod request;
pub mod sys;

use crate::errno::{Errno, Result, check};
use child::Shared;
use request::{Layer, Request, SpawnReport, Step, want};
use std::ffi::c_void;
use std::ptr;
use sys::syscall;

/// For a child without deep calls.
const STACK_BYTES: usize = 64 * 1024;
const GUARD_BYTES: usize = 4096;
/// linux/sched.h.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// struct clone_args of linux/sched.h.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The layers that clone itself creates.
const CLONED: [(u32, Layer); 3] =
    [(want::USER, Layer::User), (want::PID, Layer::Pid), (want::CGROUP, Layer::Cgroup)];

/// Starts the process, or fails with the step in `report`. Unavailable layers are noted there.
pub fn spawn(request: &mut Request, report: &mut SpawnReport) -> Result<()> {
    report.step = Step::Prepare as u32;
    let stack = Stack::new()?;
    report.step = Step::None as u32;
    let mask = block_signals();
    let result = start(request, report, &stack);
    restore_signals(mask);
    result
}

fn start(request: &mut Request, report: &mut SpawnReport, stack: &Stack) -> Result<()> {
    let mut cloned = request.options.flags & (want::USER | want::PID | want::CGROUP);
    let mut result = clone_child(request, report, cloned, stack);
    if let Err(errno) = result
        && cloned != 0
        && !is_shortage(errno)
    {
        for (flag, layer) in CLONED {
            let Err(errno) = probe(request, cloned & (flag | want::USER), stack) else { continue };
            if request.options.flags & flag == 0 {
                continue;
            }
            report.outcome[layer as usize] = errno.0;
            cloned &= !flag;
        }
        result = clone_child(request, report, cloned, stack);
    }
    match result {
        Err(errno) => failed(report, Step::Clone, errno),
        Ok(()) => {
            for (flag, layer) in CLONED {
                if cloned & flag != 0 && report.outcome[layer as usize] == request::OFF {
                    report.outcome[layer as usize] = 0;
                }
            }
            finish(report)
        }
    }
}

/// A shortage of processes, memory or files, and not a problem with a namespace or cgroup.
fn is_shortage(Errno(errno): Errno) -> bool {
    matches!(errno, libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE)
}

fn failed(report: &mut SpawnReport, step: Step, errno: Errno) -> Result<()> {
    report.step = step as u32;
    report.errno = errno.0;
    Err(errno)
}

/// Called once the child has executed its program, or failed and reported why.
fn finish(report: &mut SpawnReport) -> Result<()> {
    if report.step == Step::None as u32 {
        return Ok(());
    }
    let errno = Errno(report.errno);
    collect(report.pid, report.pidfd);
    report.pidfd = -1;
    Err(errno)
}

fn clone_child(request: &mut Request, report: &mut SpawnReport, cloned: u32, stack: &Stack) -> Result<()> {
    let cgroup = request.options.cgroup_fd;
    let mut shared = Shared { request, report, cloned };
    // SAFETY: `child::main` gets the argument that it expects, which lives until it has executed its program or ended.
    let (pid, pidfd) = unsafe { clone(cloned, cgroup, stack, child::main, (&raw mut shared).cast())? };
    (report.pid, report.pidfd) = (pid, pidfd);
    Ok(())
}

/// Whether a process with these layers can be created; it exits immediately.
fn probe(request: &Request, cloned: u32, stack: &Stack) -> Result<()> {
    // SAFETY: `child::end` needs nothing.
    let (pid, pidfd) =
        unsafe { clone(cloned, request.options.cgroup_fd, stack, child::end, ptr::null_mut())? };
    collect(pid, pidfd);
    Ok(())
}

/// Reaps a process that is ending.
fn collect(pid: i32, pidfd: i32) {
    // SAFETY: the process is a child of this one, and nothing else has its fd.
    unsafe {
        libc::waitpid(pid, ptr::null_mut(), 0);
        libc::close(pidfd);
    }
}

/// Creates a process, and waits until it has executed a program or ended. Returns its id and its pidfd.
///
/// # Safety
/// `child` accepts `argument`, which outlives this call.
unsafe fn clone(
    layers: u32,
    cgroup_fd: i32,
    stack: &Stack,
    child: extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
) -> Result<(i32, i32)> {
    let mut flags = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    for (wanted, flag) in [(want::USER, libc::CLONE_NEWUSER), (want::PID, libc::CLONE_NEWPID)] {
        if layers & wanted != 0 {
            flags |= flag as u64;
        }
    }
    let into_cgroup = layers & want::CGROUP != 0;
    let mut pidfd = -1i32;
    let arguments = CloneArgs {
        flags: flags | if into_cgroup { CLONE_INTO_CGROUP } else { 0 },
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.bottom() as u64,
        stack_size: STACK_BYTES as u64,
        cgroup: if into_cgroup { cgroup_fd as u64 } else { 0 },
        ..CloneArgs::default()
    };
    let by_clone3 = [(&raw const arguments) as usize, size_of::<CloneArgs>(), 0, 0, 0];
    // SAFETY: a separate process, with a stack of its own while this thread waits.
    let mut pid = unsafe { sys::clone(libc::SYS_clone3, by_clone3, child, argument) };
    if pid == -(libc::ENOSYS as isize) && !into_cgroup {
        // Some sandboxes refuse clone3, whose flags they cannot inspect.
        let by_clone =
            [flags as usize | libc::SIGCHLD as usize, stack.top(), (&raw mut pidfd) as usize, 0, 0];
        // SAFETY: as above.
        pid = unsafe { sys::clone(libc::SYS_clone, by_clone, child, argument) };
    }
    if pid < 0 { Err(Errno(-pid as i32)) } else { Ok((pid as i32, pidfd)) }
}

struct Stack(*mut libc::c_void);

impl Stack {
    fn new() -> Result<Stack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, whose lowest page then becomes the guard page.
        unsafe {
            let address = libc::mmap(ptr::null_mut(), GUARD_BYTES + STACK_BYTES, protection, flags, -1, 0);
            if address == libc::MAP_FAILED {
                return Err(Errno::last());
            }
            let stack = Stack(address);
            check(libc::mprotect(address, GUARD_BYTES, libc::PROT_NONE))?;
            Ok(stack)
        }
    }

    fn bottom(&self) -> usize {
        self.0 as usize + GUARD_BYTES
    }

    fn top(&self) -> usize {
        self.bottom() + STACK_BYTES
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: this object owns the mapping, and no process runs on it any more.
        unsafe { libc::munmap(self.0, GUARD_BYTES + STACK_BYTES) };
    }
}

/// Blocks all signals, including glibc's own, so that no handler runs in the child. Returns the previous mask.
fn block_signals() -> u64 {
    let (all, mut previous) = (u64::MAX, 0u64);
    // SAFETY: reads and writes 8 bytes.
    unsafe { syscall!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, &raw mut previous, 8) };
    previous
}

fn restore_signals(mask: u64) {
    // SAFETY: reads 8 bytes.
    unsafe { syscall!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, 0, 8) };
}
