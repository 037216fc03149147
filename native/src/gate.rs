//! Whether a thread that is asked to end can be abandoned: only while it is in the kernel. It then finds out on its way
//! back, before it touches anything it doesn't own.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

const RUNNING: u8 = 0;
const IN_KERNEL: u8 = 1;
const ABANDONED: u8 = 2;

/// The thread passes through it on its way into a system call that may take arbitrarily long, and back.
#[derive(Default)]
pub struct Gate(AtomicU8);

impl Gate {
    /// For the thread: makes a call. Returns None if the thread has been abandoned in the meantime: it must not touch
    /// anything it does not own.
    pub fn in_kernel<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let _ = self.0.compare_exchange(RUNNING, IN_KERNEL, SeqCst, SeqCst);
        let result = call();
        let back = self.0.compare_exchange(IN_KERNEL, RUNNING, SeqCst, SeqCst);
        back.is_ok().then_some(result)
    }

    /// For other threads: abandons the thread. Returns false while it isn't in the kernel.
    pub fn abandon(&self) -> bool {
        match self.0.compare_exchange(IN_KERNEL, ABANDONED, SeqCst, SeqCst) {
            Ok(_) => true,
            Err(state) => state == ABANDONED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_abandoned_only_in_the_kernel_and_notices() {
        let gate = Gate::default();
        assert!(!gate.abandon());
        assert_eq!(gate.in_kernel(|| 7), Some(7));
        assert!(!gate.abandon());
        assert_eq!(gate.in_kernel(|| assert!(gate.abandon())), None);
        assert_eq!(gate.in_kernel(|| ()), None);
        assert!(gate.abandon());
    }
}
