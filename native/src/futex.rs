//! Sleeping on a 32-bit word, within this process (futex(2)).

use std::ptr;
use std::sync::atomic::AtomicU32;

/// Sleeps until woken, unless `word` no longer holds `expected`. May wake spuriously: callers check again.
pub fn wait(word: &AtomicU32, expected: u32) {
    let forever: *const libc::timespec = ptr::null();
    // SAFETY: `word` is a valid, aligned futex word for the length of the call.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            forever,
        )
    };
}

pub fn wake(word: &AtomicU32) {
    // SAFETY: the kernel uses the address only as a key.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, i32::MAX)
    };
}
