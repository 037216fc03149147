//! Sleeping on a 32-bit word, within this process (futex(2)).

use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Sleeps until woken, unless `word` no longer holds `expected`. May wake spuriously: callers check again.
pub fn wait(word: &AtomicU32, expected: u32) {
    sleep(word, expected, ptr::null());
}

/// `wait` that also returns after the timeout.
pub fn wait_for(word: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos() as libc::c_long,
    };
    sleep(word, expected, &timeout);
}

fn sleep(word: &AtomicU32, expected: u32, timeout: *const libc::timespec) {
    // SAFETY: `word` is a valid, aligned futex word for the duration of the call, and so is
    // the timeout, unless it is null.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            timeout,
        )
    };
}

pub fn wake(word: &AtomicU32) {
    // SAFETY: the kernel uses the address only as a key.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, i32::MAX)
    };
}
