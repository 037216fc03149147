//! The two signals of VM threads: the kick, which makes KVM_RUN return, and SIGSYS, raised by a seccomp filter. Both
//! handlers are installed once per process; all other signals are blocked in VM threads.

use crate::clock::now_ns;
use crate::confine::trap;
use crate::errno::{Result, check};
use crate::thread;
use std::mem::{MaybeUninit, transmute};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

/// `si_code` of a SIGSYS raised by SECCOMP_RET_TRAP (asm-generic/siginfo.h).
const SYS_SECCOMP: i32 = 1;

static PREVIOUS_SIGSYS: OnceLock<libc::sigaction> = OnceLock::new();

/// The real-time signal that interrupts KVM_RUN.
pub fn kick() -> i32 {
    libc::SIGRTMIN() + 5
}

/// Installs both handlers, on the first call.
pub fn install() -> Result<()> {
    static INSTALLED: OnceLock<Result<()>> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        // No SA_RESTART: an interrupted KVM_RUN must return.
        set_handler(kick(), on_kick as *const () as usize, 0)?;
        let previous = set_handler(libc::SIGSYS, on_sigsys as *const () as usize, libc::SA_SIGINFO)?;
        let _ = PREVIOUS_SIGSYS.set(previous);
        Ok(())
    })
}

fn set_handler(signal: i32, handler: usize, flags: i32) -> Result<libc::sigaction> {
    // SAFETY: sigaction is plain data, for which zeros are a valid value (no handler, no flags, empty mask).
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    let mut previous = action;
    // SAFETY: both structs are valid, and the handlers are async-signal-safe.
    check(unsafe { libc::sigaction(signal, &action, &mut previous) })?;
    Ok(previous)
}

/// Lets the calling thread handle a kick that was sent to it: signals are handled on return from the kernel.
pub fn take_kick() {
    // SAFETY: gettid has no arguments.
    unsafe { libc::syscall(libc::SYS_gettid) };
}

/// Sends the kick to a thread of this process, by its id. A thread that has ended gets nothing.
pub fn kick_thread(id: libc::pid_t) {
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), id, kick()) };
}

/// Signals that end a process: sent by people and service managers, or raised by a fault, an abort() or a limit.
const ENDING: [i32; 11] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGTERM,
    libc::SIGXCPU,
];

/// Makes each of these signals end this process immediately. Without a handler the first process of a PID namespace
/// ignores all signals sent to it, and a JavaScript handler runs in libuv's loop, to which a machine's thread does not
/// return. WebAssembly, whose bounds checks in V8 use SIGSEGV, is unusable from here on.
pub fn end_on_signals() -> Result<()> {
    for signal in ENDING {
        set_handler(signal, on_ending as *const () as usize, libc::SA_RESETHAND | libc::SA_NODEFER)?;
    }
    Ok(())
}

extern "C" fn on_ending(signal: i32) {
    // SAFETY: both are async-signal-safe. SA_RESETHAND has restored the default action, which ends all but the first
    // process of a namespace.
    unsafe {
        libc::raise(signal);
        libc::_exit(128 + signal);
    }
}

/// Signals by which people and service managers ask a process to end.
const ASKING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
/// A signal that is repeated sooner may have come before the first one could be handled.
const INSISTS_AFTER_NS: u64 = 1_000_000_000;

/// The handlers that `insist` has found, by their place in `ASKING`.
static HANDLERS: [AtomicUsize; ASKING.len()] = [const { AtomicUsize::new(0) }; ASKING.len()];
/// When the first of these signals came; 0 if none has.
static FIRST_ASKED: AtomicU64 = AtomicU64::new(0);

/// Makes a repeated signal of `ASKING` end this process immediately, a second after the first one. Call it when they have
/// handlers, which get all signals before that: those of JavaScript cannot run while the thread of its event loop is busy.
/// Replacing a handler ends this for its signal.
pub fn insist() -> Result<()> {
    for (signal, handler) in ASKING.into_iter().zip(&HANDLERS) {
        // SAFETY: zeros are a valid sigaction, which the call fills in.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: as above.
        check(unsafe { libc::sigaction(signal, ptr::null(), &mut action) })?;
        let ours = on_asking as *const () as usize;
        let found = action.sa_sigaction;
        if found == ours
            || found == libc::SIG_DFL
            || found == libc::SIG_IGN
            || action.sa_flags & libc::SA_SIGINFO != 0
        {
            continue;
        }
        handler.store(found, SeqCst);
        action.sa_sigaction = ours;
        // SAFETY: the struct is valid, and the handler is async-signal-safe.
        check(unsafe { libc::sigaction(signal, &action, ptr::null_mut()) })?;
    }
    Ok(())
}

extern "C" fn on_asking(signal: i32) {
    let now = now_ns();
    let first = FIRST_ASKED.compare_exchange(0, now, SeqCst, SeqCst).unwrap_or_else(|first| first);
    if first != 0 && now.saturating_sub(first) >= INSISTS_AFTER_NS {
        // SAFETY: both are async-signal-safe. The signal is blocked until this handler returns, and then ends the process.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return;
    }
    let found = ASKING.iter().position(|each| *each == signal).map_or(0, |at| HANDLERS[at].load(SeqCst));
    if found != 0 {
        // SAFETY: it was this signal's handler, without SA_SIGINFO, under the same mask.
        unsafe { transmute::<usize, extern "C" fn(i32)>(found)(signal) };
    }
}

/// All signals except the two above and those raised by faults, which can't usefully be blocked.
pub fn blocked_in_vm_threads() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    let open = [kick(), libc::SIGSYS, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];
    // SAFETY: sigfillset initializes the set, after which sigdelset may change it; the numbers are valid signals.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in open {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

extern "C" fn on_kick(_signal: i32) {}

extern "C" fn on_sigsys(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo_t.
    let from_filter = unsafe { (*info).si_code } == SYS_SECCOMP;
    if from_filter {
        // SAFETY: for SYS_SECCOMP the union at byte 16 is {void *call_addr; int syscall; unsigned arch}.
        let number = unsafe { info.byte_add(24).cast::<i32>().read() };
        // Doesn't return on a VM thread.
        thread::trapped(number);
        // The process's filter forbids another thread's call: all that is left to do is report it.
        trap::forbidden(number);
        trap::end();
    }
    // Not ours: restore the previous action, which takes effect when the call is repeated or the signal is sent again.
    let previous = PREVIOUS_SIGSYS.get().map_or(ptr::null(), ptr::from_ref);
    if !previous.is_null() {
        // SAFETY: `previous` is the action that the kernel gave us.
        unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
        // SAFETY: raise has no memory effects; the signal stays pending until this handler returns.
        unsafe { libc::raise(signal) };
    }
}
