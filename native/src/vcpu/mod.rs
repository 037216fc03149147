//! The vCPUs of a VM. Each has its own thread, except that the machine thread runs a VM's only vCPU itself (`carried`).

mod carried;
mod run;
mod thread;
mod watcher;

use crate::errno::Result;
pub use carried::{Carried, Ran};
pub use run::{Core, KVM_RUN, RunPage};
use std::sync::Arc;
pub use thread::VcpuThread;

/// A vCPU, and how to control it from any thread. Dropping it ends it.
pub enum Vcpu {
    Thread(VcpuThread),
    Carried(Arc<Carried>),
}

impl Vcpu {
    pub fn has_ended(&self) -> bool {
        match self {
            Vcpu::Thread(thread) => thread.has_ended(),
            Vcpu::Carried(carried) => carried.has_ended(),
        }
    }

    /// Why it ended, unless it was asked to.
    pub fn cause_of_death(&self) -> Option<String> {
        match self {
            Vcpu::Thread(thread) => thread.cause_of_death(),
            Vcpu::Carried(carried) => carried.cause_of_death(),
        }
    }

    /// Pauses it; a PARKED event follows. An open exit is answered and its instruction completed first.
    pub fn pause(&self) -> Result<()> {
        match self {
            Vcpu::Thread(thread) => thread.pause(),
            Vcpu::Carried(carried) => carried.pause(),
        }
    }

    /// Lets a parked vCPU run.
    pub fn resume(&self) -> Result<()> {
        match self {
            Vcpu::Thread(thread) => thread.resume(),
            Vcpu::Carried(carried) => carried.resume(),
        }
    }

    /// Continues after the open exit has been answered in the `kvm_run` page.
    pub fn complete(&self) -> Result<()> {
        match self {
            Vcpu::Thread(thread) => thread.complete(),
            Vcpu::Carried(carried) => carried.complete(),
        }
    }

    /// Asks it to end, whatever it is waiting for.
    pub fn stop(&self) {
        match self {
            Vcpu::Thread(thread) => thread.stop(),
            Vcpu::Carried(carried) => carried.stop(),
        }
    }
}
