//! Events returned by `vring_wait`.

/// One event, as JavaScript reads it (24 bytes).
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    pub kind: u32,
    /// vCPU index or queue handle.
    pub index: u32,
    pub data: u64,
    pub aux: u64,
}

pub mod kind {
    /// vCPU `index` left KVM with exit reason `data` and waits for an answer.
    pub const EXIT: u32 = 1;
    /// The fd watched with token `data` is readable; `aux` is the count of a drained eventfd.
    pub const FD: u32 = 2;
    /// vCPU `index` is out of KVM, with no exit open.
    pub const PARKED: u32 = 3;
    /// The thread of vCPU `index` ended: `data` is KVM_RUN's errno or 0, `aux` 1 when it died.
    pub const VCPU_ENDED: u32 = 4;
    /// Queue `index` is no longer served: `data` is `BROKEN_BY_GUEST` or `THREAD_DIED`.
    pub const QUEUE_BROKEN: u32 = 5;
    /// Queue `index` has new kinds of disk errors.
    pub const DISK_ERRORS: u32 = 6;
    /// The thread of queue `index`, which was asked to stop, has ended.
    pub const QUEUE_ENDED: u32 = 7;
}

pub const BROKEN_BY_GUEST: u64 = 1;
pub const THREAD_DIED: u64 = 2;
