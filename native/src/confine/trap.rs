//! The report of a system call that the process's filter forbids, written as its last action.

use crate::spawn::sys::syscall;
use std::sync::atomic::{AtomicI32, Ordering::*};

static REPORT_FD: AtomicI32 = AtomicI32::new(-1);

pub const MAGIC: u32 = 0x7663_6e66;

/// Where reports go: an open fd that the process keeps, or -1.
pub fn report_to(fd: i32) {
    REPORT_FD.store(fd, SeqCst);
}

/// Called by the SIGSYS handler on a thread that is not a VM's: reports `call` as 16 bytes {magic u32, number i32,
/// thread u32, 0 u32}, once.
pub fn forbidden(call: i32) {
    let fd = REPORT_FD.swap(-1, SeqCst);
    if fd < 0 {
        return;
    }
    // SAFETY: no pointers.
    let thread = unsafe { syscall!(libc::SYS_gettid) } as u32;
    let report = [MAGIC, call as u32, thread, 0];
    // SAFETY: reads 16 bytes.
    unsafe { syscall!(libc::SYS_write, fd, &raw const report, size_of_val(&report)) };
}

/// Ends the process as if it had no handler. This also ends the first process of a PID namespace, which a signal that
/// it sends itself does not, but a forced one does.
pub fn end() -> ! {
    // The kernel's own struct sigaction: handler, flags, restorer, mask.
    let default = [0u64; 4];
    loop {
        // SAFETY: reads a valid struct; the call after it is forbidden, and raises SIGSYS without a handler.
        unsafe {
            syscall!(libc::SYS_rt_sigaction, libc::SIGSYS, &raw const default, 0, 8);
            syscall!(libc::SYS_uselib);
            syscall!(libc::SYS_exit_group, 128 + libc::SIGSYS);
        }
    }
}
