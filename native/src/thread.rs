//! Threads that serve one VM. A panic or a system call that its seccomp filter forbids ends only that thread,
//! and is recorded in its `Life` for the watcher.

use crate::clock::now_ns;
use crate::errno::{Errno, Result};
use crate::signals;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_void};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};
use std::sync::{Once, OnceLock};
use std::time::Duration;

unsafe extern "C" {
    /// pthread.h (glibc 2.31); the libc crate lacks it.
    fn pthread_clockjoin_np(
        thread: libc::pthread_t,
        value: *mut *mut c_void,
        clock: libc::clockid_t,
        deadline: *const libc::timespec,
    ) -> libc::c_int;
}

const STACK_BYTES: usize = 256 * 1024;

/// How a thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to end.
    Done,
    Failed(Errno),
    Panicked,
    /// By a system call that its filter forbids; holds the call's number.
    Trapped(i32),
}

impl Ending {
    pub fn is_death(&self) -> bool {
        matches!(self, Ending::Panicked | Ending::Trapped(_))
    }
}

/// How a thread ended, written by the thread (or its signal handler) and readable by others.
pub struct Life {
    state: AtomicU32,
    detail: AtomicI32,
    panic: OnceLock<String>,
    /// Notifies the watcher. May run in a signal handler: atomics and write(2) only.
    notify: Box<dyn Fn(Ending) + Send + Sync>,
}

const RUNNING: u32 = 0;
const DONE: u32 = 1;
const FAILED: u32 = 2;
const PANICKED: u32 = 3;
const TRAPPED: u32 = 4;

impl Life {
    /// None while the thread runs.
    pub fn ending(&self) -> Option<Ending> {
        let state = self.state.load(Acquire);
        let detail = self.detail.load(Relaxed);
        match state {
            RUNNING => None,
            DONE => Some(Ending::Done),
            FAILED => Some(Ending::Failed(Errno(detail))),
            PANICKED => Some(Ending::Panicked),
            _ => Some(Ending::Trapped(detail)),
        }
    }

    /// What killed the thread, for a message; None if nothing did.
    pub fn cause_of_death(&self) -> Option<String> {
        match self.ending()? {
            Ending::Done => None,
            Ending::Failed(errno) => Some(errno.to_string()),
            Ending::Panicked => Some(self.panic.get().cloned().unwrap_or_else(|| "a panic".into())),
            Ending::Trapped(call) => Some(format!("system call {call}, which its seccomp filter forbids")),
        }
    }

    fn end(&self, ending: Ending) {
        // The first ending wins: a thread that has reported one may still be trapped while exiting.
        if self.state.load(Relaxed) != RUNNING {
            return;
        }
        let (state, detail) = match ending {
            Ending::Done => (DONE, 0),
            Ending::Failed(errno) => (FAILED, errno.0),
            Ending::Panicked => (PANICKED, 0),
            Ending::Trapped(call) => (TRAPPED, call),
        };
        self.detail.store(detail, Relaxed);
        self.state.store(state, Release);
        (self.notify)(ending);
    }
}

/// What a thread borrows while it runs. Its handle owns it, so that even a thread that ends in a signal handler,
/// without unwinding, leaks no memory or file.
struct Shared {
    name: CString,
    life: Life,
    body: Box<dyn Fn() -> Result<()> + Send + Sync>,
}

/// A running or ended thread. Dropping it joins it, so ask it to end first.
pub struct Thread {
    pthread: libc::pthread_t,
    joined: bool,
    shared: *mut Shared,
}

// SAFETY: `Shared` is Send and Sync, and a pthread_t may be used from any thread.
unsafe impl Send for Thread {}
// SAFETY: as above; joining needs `&mut`.
unsafe impl Sync for Thread {}

impl Thread {
    /// Starts `body` on a thread with this name (at most 15 bytes), on host CPU `cpu` if given. `notify` is called when
    /// it has ended, for any reason; it may run in a signal handler.
    pub fn spawn(
        name: &str,
        cpu: Option<usize>,
        body: impl Fn() -> Result<()> + Send + Sync + 'static,
        notify: impl Fn(Ending) + Send + Sync + 'static,
    ) -> Result<Thread> {
        signals::install()?;
        quiet_panics();
        let life = Life {
            state: AtomicU32::new(RUNNING),
            detail: AtomicI32::new(0),
            panic: OnceLock::new(),
            notify: Box::new(notify),
        };
        let name = CString::new(name).map_err(|_| Errno(libc::EINVAL))?;
        let shared = Box::into_raw(Box::new(Shared { name, life, body: Box::new(body) }));
        match create(shared, cpu) {
            Ok(pthread) => Ok(Thread { pthread, joined: false, shared }),
            Err(errno) => {
                // SAFETY: no thread was created, so this is the only reference.
                drop(unsafe { Box::from_raw(shared) });
                Err(errno)
            }
        }
    }

    pub fn life(&self) -> &Life {
        // SAFETY: `shared` lives until this handle is dropped, and is only ever borrowed shared.
        unsafe { &(*self.shared).life }
    }

    /// Interrupts the thread's current system call.
    pub fn kick(&self) {
        if !self.joined {
            // SAFETY: the thread hasn't been joined, so the handle is valid; the signal's handler does nothing.
            unsafe { libc::pthread_kill(self.pthread, signals::kick()) };
        }
    }

    /// Waits for the thread to end.
    pub fn join(&mut self) {
        if !self.joined {
            // SAFETY: the handle is valid and joined once.
            unsafe { libc::pthread_join(self.pthread, ptr::null_mut()) };
            self.joined = true;
        }
    }

    /// Waits for the thread to end, at most `limit`. Returns whether it has ended. A thread that has reported its
    /// `ending` may still take long: the kernel finishes its disk requests first.
    pub fn join_within(&mut self, limit: Duration) -> bool {
        if self.joined {
            return true;
        }
        let deadline = deadline(limit);
        // SAFETY: the handle is valid until it has been joined, once; the timespec lives across the call.
        let error =
            unsafe { pthread_clockjoin_np(self.pthread, ptr::null_mut(), libc::CLOCK_MONOTONIC, &deadline) };
        self.joined = error == 0;
        self.joined
    }
}

/// On CLOCK_MONOTONIC.
fn deadline(from_now: Duration) -> libc::timespec {
    let at = Duration::from_nanos(now_ns()).saturating_add(from_now);
    libc::timespec { tv_sec: at.as_secs() as i64, tv_nsec: at.subsec_nanos().into() }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.join();
        // SAFETY: the thread, the only other user, has ended.
        drop(unsafe { Box::from_raw(self.shared) });
    }
}

fn create(shared: *mut Shared, cpu: Option<usize>) -> Result<libc::pthread_t> {
    let mut attributes = MaybeUninit::uninit();
    let mut pthread = MaybeUninit::uninit();
    let mut mask = MaybeUninit::uninit();
    let blocked = signals::blocked_in_vm_threads();
    let cpus = cpu.map(cpu_set).transpose()?;
    // SAFETY: each object is initialized by its first call before the next one uses it; `shared` lives until the thread
    // has been joined. The new thread inherits the signal mask, which is then restored here.
    let error = unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES);
        if let Some(cpus) = &cpus {
            libc::pthread_attr_setaffinity_np(attributes.as_mut_ptr(), size_of_val(cpus), cpus);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &blocked, mask.as_mut_ptr());
        let error =
            libc::pthread_create(pthread.as_mut_ptr(), attributes.as_ptr(), thread_main, shared.cast());
        libc::pthread_sigmask(libc::SIG_SETMASK, mask.as_ptr(), ptr::null_mut());
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        error
    };
    // SAFETY: initialized when pthread_create succeeded.
    if error == 0 { Ok(unsafe { pthread.assume_init() }) } else { Err(Errno(error)) }
}

fn cpu_set(cpu: usize) -> Result<libc::cpu_set_t> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: cpu_set_t is plain data, for which zeros are the empty set.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: `cpu` is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    Ok(set)
}

thread_local! {
    /// The `Life` of the current VM thread; null on all other threads.
    static LIFE: Cell<*const Life> = const { Cell::new(ptr::null()) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

extern "C" fn thread_main(shared: *mut c_void) -> *mut c_void {
    // SAFETY: `Thread` keeps this alive until the thread has been joined.
    let shared = unsafe { &*shared.cast::<Shared>() };
    let life = &shared.life;
    LIFE.set(life);
    // Set from inside: another thread would have to open a file in /proc, which a confined process cannot.
    // SAFETY: a NUL-terminated string; the call copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, shared.name.as_ptr()) };
    match catch_unwind(AssertUnwindSafe(|| (shared.body)())) {
        Ok(Ok(())) => life.end(Ending::Done),
        Ok(Err(errno)) => life.end(Ending::Failed(errno)),
        Err(payload) => {
            let _ = life.panic.set(panic_text(payload));
            life.end(Ending::Panicked);
        }
    }
    ptr::null_mut()
}

fn panic_text(payload: Box<dyn Any + Send>) -> String {
    PANIC.take().unwrap_or_else(|| {
        let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
    })
}

/// Keeps panics of VM threads off the terminal, which shows the UI: their text goes to the thread's `Life`.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if LIFE.get().is_null() {
                previous(info);
            } else {
                PANIC.set(Some(info.to_string()));
            }
        }));
    });
}

/// Called by the SIGSYS handler: records the forbidden call and ends the calling thread, if it is a VM thread.
pub fn trapped(call: i32) {
    let life = LIFE.get();
    if life.is_null() {
        return;
    }
    // SAFETY: non-null only on a VM thread, whose `Life` outlives it; `end` is async-signal-safe.
    unsafe { (*life).end(Ending::Trapped(call)) };
    // SAFETY: ends only this thread, without running any more of its code. The kernel clears the thread id that
    // pthread_join waits for; what the thread borrowed belongs to its handle.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    fn run(body: impl Fn() -> Result<()> + Send + Sync + 'static) -> (Option<Ending>, Option<String>, usize) {
        let notices = Arc::new(AtomicUsize::new(0));
        let counted = notices.clone();
        let mut thread = Thread::spawn("vring-test", None, body, move |_| {
            counted.fetch_add(1, SeqCst);
        })
        .unwrap();
        thread.join();
        (thread.life().ending(), thread.life().cause_of_death(), notices.load(SeqCst))
    }

    #[test]
    fn an_end_is_recorded_once_with_its_cause() {
        assert_eq!(run(|| Ok(())), (Some(Ending::Done), None, 1));
        let (ending, cause, notices) = run(|| Err(Errno(libc::EFAULT)));
        assert_eq!((ending, notices), (Some(Ending::Failed(Errno(libc::EFAULT))), 1));
        assert!(cause.unwrap().contains("Bad address"));
    }

    #[test]
    fn a_panic_ends_only_the_thread_and_reports_the_location() {
        let (ending, cause, notices) = run(|| panic!("index {} of 4", 7));
        assert_eq!((ending, notices), (Some(Ending::Panicked), 1));
        let cause = cause.unwrap();
        assert!(cause.contains("index 7 of 4") && cause.contains("thread.rs"), "{cause}");
    }

    #[test]
    fn captures_are_dropped_with_the_handle_even_after_a_raw_exit() {
        let token = Arc::new(());
        let held = token.clone();
        let thread = Thread::spawn(
            "vring-test",
            None,
            move || {
                let _borrowed = &held;
                trapped(57);
                unreachable!()
            },
            |_| {},
        )
        .unwrap();
        let seen = loop {
            if let Some(ending) = thread.life().ending() {
                break ending;
            }
            std::thread::yield_now();
        };
        assert_eq!(seen, Ending::Trapped(57));
        drop(thread);
        assert_eq!(Arc::strong_count(&token), 1);
    }

    #[test]
    fn waiting_for_the_end_has_a_timeout() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let body = move || {
            let _ = wait.lock().unwrap().recv();
            Ok(())
        };
        let mut thread = Thread::spawn("vring-test", None, body, |_| {}).unwrap();
        assert!(!thread.join_within(Duration::ZERO));
        assert!(!thread.join_within(Duration::from_millis(1)));
        drop(go);
        assert!(thread.join_within(Duration::from_secs(60)));
        assert!(thread.join_within(Duration::ZERO));
        assert_eq!(thread.life().ending(), Some(Ending::Done));
    }

    #[test]
    fn a_pinned_thread_runs_on_its_cpu() {
        // SAFETY: sched_getcpu has no arguments.
        let cpu = || unsafe { libc::sched_getcpu() };
        let here = cpu();
        let body = move || if cpu() == here { Ok(()) } else { Err(Errno(libc::EXDEV)) };
        let mut thread = Thread::spawn("vring-test", Some(here as usize), body, |_| {}).unwrap();
        thread.join();
        assert_eq!(thread.life().ending(), Some(Ending::Done));
    }

    #[test]
    fn pinning_to_a_cpu_that_does_not_exist_fails() {
        for cpu in [1000, 1 << 20] {
            let thread = Thread::spawn("vring-test", Some(cpu), || Ok(()), |_| {});
            assert_eq!(thread.err(), Some(Errno(libc::EINVAL)));
        }
    }
}
