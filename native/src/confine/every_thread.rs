//! Runs code on every thread of the process: capabilities belong to a thread, and only the thread itself can drop them.
//!
//! A signal carries the code: one of the two that glibc reserves. glibc's functions never block them, so it reaches
//! threads that block all signals. This one is for pthread_cancel, which nothing here uses.

use crate::errno::{Errno, Result, check};
use crate::futex;
use crate::spawn::sys::syscall;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_void};
use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

/// SIGCANCEL of nptl/internal-signals.h.
const SIGNAL: i32 = 32;
/// A thread that takes longer is in an uninterruptible call.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to check whether a thread still exists.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What threads run: raw system calls only, since it can interrupt anything. Returns 0 or a negative errno.
pub type Action = fn() -> isize;

static ACTION: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);
static ERROR: AtomicI32 = AtomicI32::new(0);
/// The thread whose turn it is to run the action; others ignore the signal.
static EXPECTED: AtomicI32 = AtomicI32::new(0);

/// The kernel's own struct sigaction.
#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

const SA_RESTORER: u64 = 0x0400_0000;

/// The threads of this process: an open /proc/self/task, which stays readable when paths can no longer be opened.
pub struct Threads(NonNull<libc::DIR>);

impl Threads {
    pub fn open() -> Result<Threads> {
        // SAFETY: a NUL-terminated path.
        let folder = unsafe { libc::opendir(c"/proc/self/task".as_ptr()) };
        NonNull::new(folder).map(Threads).ok_or_else(Errno::last)
    }

    /// Runs `action` on each thread in turn, the calling one last. Threads that start in the meantime are reached too,
    /// or inherit from one that was. Fails with ESRCH before reaching any other thread if one of them has a filter that
    /// the calling one lacks: such a thread may not be allowed to run the action.
    pub fn run(&self, action: Action) -> Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = crate::sync::lock(&ONE_AT_A_TIME);
        ACTION.store(action as usize, SeqCst);
        ERROR.store(0, SeqCst);
        let previous = install()?;
        let result = self.reach_others();
        // SAFETY: restores the signal's previous action.
        unsafe { syscall!(libc::SYS_rt_sigaction, SIGNAL, &raw const previous, 0, 8) };
        result?;
        match action() {
            error @ ..0 => Err(Errno(-error as i32)),
            _ => Ok(()),
        }
    }

    fn reach_others(&self) -> Result<()> {
        // SAFETY: no arguments.
        let own = unsafe { libc::gettid() };
        let mut reached = BTreeSet::from([own]);
        loop {
            let threads = self.list()?;
            let own_filters = threads.iter().find(|thread| thread.id == own).map(|thread| thread.filters);
            if threads.iter().any(|thread| Some(thread.filters) > own_filters) {
                return Err(Errno(libc::ESRCH));
            }
            let new: Vec<i32> =
                threads.iter().map(|thread| thread.id).filter(|id| !reached.contains(id)).collect();
            if new.is_empty() {
                return Ok(());
            }
            for thread in new {
                reach(thread)?;
                reached.insert(thread);
            }
        }
    }

    fn list(&self) -> Result<Vec<ListedThread>> {
        let mut threads = Vec::new();
        // SAFETY: the folder is open and used by one thread at a time; an entry is valid until the next call.
        unsafe {
            libc::rewinddir(self.0.as_ptr());
            while let Some(entry) = libc::readdir(self.0.as_ptr()).as_ref() {
                let name = CStr::from_ptr(entry.d_name.as_ptr());
                if name.to_bytes().first().is_some_and(u8::is_ascii_digit) {
                    threads.extend(self.look_at(name)?);
                }
            }
        }
        Ok(threads)
    }

    /// From its proc_pid_status(5); None if the thread has ended.
    fn look_at(&self, name: &CStr) -> Result<Option<ListedThread>> {
        let path = CString::new([name.to_bytes(), b"/status"].concat()).map_err(|_| Errno(libc::EINVAL))?;
        // SAFETY: an open folder and a NUL-terminated path; nothing else owns the fd.
        let mut file = unsafe {
            let fd =
                libc::openat(libc::dirfd(self.0.as_ptr()), path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            match check(fd) {
                Err(Errno(libc::ENOENT | libc::ESRCH)) => return Ok(None),
                fd => File::from_raw_fd(fd?),
            }
        };
        // Large enough to be read in one call.
        let mut status = String::with_capacity(4096);
        if file.read_to_string(&mut status).is_err() {
            return Ok(None);
        }
        let last_of = |field: &str| {
            let line = status.lines().find(|line| line.starts_with(field))?;
            line.split_whitespace().last()?.parse().ok()
        };
        // /proc may belong to another PID namespace, which numbers threads differently: the last number is the
        // innermost namespace's. Seccomp_filters exists since Linux 5.10.
        let filters = last_of("Seccomp_filters:").or_else(|| last_of("Seccomp:")).unwrap_or(0);
        Ok(last_of("NSpid:").map(|id| ListedThread { id, filters }))
    }
}

struct ListedThread {
    /// In this process's PID namespace.
    id: i32,
    /// How many seccomp filters it has.
    filters: i32,
}

impl Drop for Threads {
    fn drop(&mut self) {
        // SAFETY: the folder is this object's.
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}

fn install() -> Result<KernelSigaction> {
    let flags = libc::SA_SIGINFO as u64 | libc::SA_RESTART as u64 | libc::SA_ONSTACK as u64 | SA_RESTORER;
    let action = KernelSigaction {
        handler: on_signal as *const () as usize,
        flags,
        restorer: restorer as *const () as usize,
        mask: !(1 << (libc::SIGSYS - 1)),
    };
    let mut previous = KernelSigaction { handler: 0, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: both structs are valid; the handler is async-signal-safe.
    match unsafe { syscall!(libc::SYS_rt_sigaction, SIGNAL, &raw const action, &raw mut previous, 8) } {
        0 => Ok(previous),
        error => Err(Errno(-error as i32)),
    }
}

/// The kernel returns here after the handler.
#[unsafe(naked)]
extern "C" fn restorer() {
    std::arch::naked_asm!("mov eax, {number}", "syscall", number = const libc::SYS_rt_sigreturn);
}

/// Returns once the thread has run the action, or has ended.
fn reach(thread: i32) -> Result<()> {
    let before = DONE.load(SeqCst);
    EXPECTED.store(thread, SeqCst);
    let deadline = Instant::now() + PATIENCE;
    // SAFETY: no pointers. The signal's handler is installed.
    let send = |signal: i32| unsafe { syscall!(libc::SYS_tgkill, libc::getpid(), thread, signal) };
    if send(SIGNAL) < 0 {
        return Ok(());
    }
    while DONE.load(SeqCst) == before {
        if send(0) < 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Errno(libc::ETIMEDOUT));
        }
        futex::wait_for(&DONE, before, LOOK_AGAIN);
    }
    match ERROR.load(SeqCst) {
        0 => Ok(()),
        errno => Err(Errno(errno)),
    }
}

extern "C" fn on_signal(_signal: i32, _info: *mut c_void, context: *mut c_void) {
    // SAFETY: no pointers.
    let own = unsafe { syscall!(libc::SYS_gettid) } as i32;
    if EXPECTED.swap(0, SeqCst) != own {
        return;
    }
    let action = ACTION.load(SeqCst);
    // SAFETY: `run` stored an Action.
    let result = unsafe { std::mem::transmute::<usize, Action>(action) }();
    if result < 0 {
        ERROR.store(-result as i32, SeqCst);
    }
    unblock_sigsys(context);
    DONE.fetch_add(1, SeqCst);
    // SAFETY: the kernel uses the address only as a key.
    unsafe { syscall!(libc::SYS_futex, DONE.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

/// A filter's SIGSYS must reach its handler, which reports the call: blocked, it would only end the process.
fn unblock_sigsys(context: *mut c_void) {
    // SAFETY: the kernel passes a ucontext_t, whose mask it restores when the handler returns.
    unsafe {
        let mask = &raw mut (*context.cast::<libc::ucontext_t>()).uc_sigmask;
        *mask.cast::<u64>() &= !(1 << (libc::SIGSYS - 1));
    }
}
