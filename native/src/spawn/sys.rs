//! System calls without libc: a child that shares its parent's memory must not touch errno, locks or the allocator.

use std::arch::asm;
use std::ffi::c_void;

/// One system call. Returns its result, or a negative errno.
///
/// # Safety
/// The call's own requirements.
pub unsafe fn call(number: i64, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the x86-64 convention for system calls; the kernel changes rax, rcx and r11 only.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}

/// `syscall!(SYS_x, a, b)`: `call` with converted arguments; missing ones are 0.
macro_rules! syscall {
    ($number:expr $(, $argument:expr)* $(,)?) => {{
        let given: &[usize] = &[$($argument as usize),*];
        let mut arguments = [0usize; 6];
        for (to, from) in arguments.iter_mut().zip(given) {
            *to = *from;
        }
        $crate::spawn::sys::call($number, arguments)
    }};
}
pub(crate) use syscall;

/// Creates a process with `number` (clone or clone3) that runs `child(argument)` on its own stack, which the call's
/// arguments specify. Returns the process id, or a negative errno.
///
/// # Safety
/// `call` describes a new process (no CLONE_THREAD) with a mapped stack that is large enough for `child`.
pub unsafe fn clone(
    number: i64,
    call: [usize; 5],
    child: extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
) -> isize {
    let [a, b, c, d, e] = call;
    let result: isize;
    // SAFETY: the parent continues at 2 with all registers but these preserved. The child gets the new stack, which is
    // empty, and never returns from `child`.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "and rsp, -16",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            in("r12") argument, in("r13") child,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}
