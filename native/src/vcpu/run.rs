//! Running a vCPU, on any thread: its `kvm_run` page, KVM_RUN and the counters of both.

use crate::counters::{Block, EXIT_REASONS, VcpuState, vcpu as words};
use crate::errno::{Errno, Result};
use crate::mailbox::Mailbox;
use crate::reactor::Reactor;
use kvm_bindings::kvm_run;
use std::mem::offset_of;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::*};

/// KVM_RUN: _IO(KVMIO, 0x80), linux/kvm.h.
pub const KVM_RUN: libc::c_ulong = 0xae80;

/// The fields of a mapped `kvm_run` page that are used here.
#[derive(Clone, Copy)]
pub struct RunPage {
    immediate_exit: *const AtomicU8,
    exit_reason: *const AtomicU32,
}

// SAFETY: both fields are accessed atomically, and the page outlives the thread (see `RunPage::new`).
unsafe impl Send for RunPage {}
// SAFETY: as above.
unsafe impl Sync for RunPage {}

impl RunPage {
    /// # Safety
    /// `address` is null, or where `size` bytes of a vCPU's `kvm_run` are mapped until its thread has been joined.
    pub unsafe fn new(address: usize, size: usize) -> Result<RunPage> {
        if address == 0 || address % 4096 != 0 || size < size_of::<kvm_run>() {
            return Err(Errno(libc::EINVAL));
        }
        Ok(RunPage {
            immediate_exit: (address + offset_of!(kvm_run, immediate_exit)) as *const AtomicU8,
            exit_reason: (address + offset_of!(kvm_run, exit_reason)) as *const AtomicU32,
        })
    }

    pub fn set_immediate_exit(&self, on: bool) {
        // SAFETY: `new`'s caller promised that the page stays mapped.
        unsafe { (*self.immediate_exit).store(on.into(), SeqCst) };
    }

    pub fn exit_reason(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.exit_reason).load(Relaxed) }
    }
}

/// One vCPU, for the thread that runs it.
pub struct Core {
    pub index: usize,
    pub fd: RawFd,
    pub run_page: RunPage,
    pub counters: Block,
    pub reactor: Arc<Reactor>,
}

/// How KVM_RUN ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// With an exit to answer.
    Exit,
    /// By a signal, or because a vCPU waiting for its SIPI was woken.
    Interrupted,
}

impl Core {
    pub fn mailbox(&self) -> &Mailbox {
        self.reactor.mailbox(self.index)
    }

    pub fn post(&self) {
        self.reactor.post_vcpu(self.index);
    }

    /// Calls KVM_RUN once.
    pub fn enter(&self) -> Result<Entered> {
        self.set_state(VcpuState::Running);
        // SAFETY: KVM_RUN takes no argument; it writes into the `kvm_run` page and guest memory, which Rust code
        // accesses only as atomics and volatile memory.
        let result = unsafe { libc::ioctl(self.fd, KVM_RUN, 0) };
        let errno = if result < 0 { Errno::last().0 } else { 0 };
        self.counters.add(words::ENTRIES, 1);
        match errno {
            0 => Ok(Entered::Exit),
            libc::EINTR => {
                self.counters.add(words::KICKS, 1);
                Ok(Entered::Interrupted)
            }
            libc::EAGAIN => Ok(Entered::Interrupted),
            errno => Err(Errno(errno)),
        }
    }

    /// Counts an exit that was answered after `took_ns`.
    pub fn count_exit(&self, reason: u32, took_ns: u64) {
        let reason = (reason as usize).min(EXIT_REASONS - 1);
        self.counters.add(words::EXITS + reason, 1);
        self.counters.add(words::EXIT_NS + reason, took_ns);
        self.counters.add(words::DEVICE_NS, took_ns);
        self.counters.histogram(words::LATENCY, took_ns);
    }

    pub fn set_state(&self, state: VcpuState) {
        self.counters.set(words::STATE, state as u64);
    }

    /// Records that the calling thread runs the vCPU from now on.
    pub fn note_thread(&self) {
        // SAFETY: gettid has no arguments.
        self.counters.set(words::TID, unsafe { libc::gettid() } as u64);
    }

    /// Reports that the vCPU has ended. May run in a signal handler.
    pub fn report_end(&self, errno: i32, death: bool) {
        self.set_state(VcpuState::Stopped);
        self.mailbox().report_ended(errno, death);
        self.post();
    }
}
