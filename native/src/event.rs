//! Events returned by `wait`, and how it is called.

crate::abi_struct! {
    /// One event, as JavaScript reads it (24 bytes).
    pub struct Event {
        pub kind: u32,
        /// vCPU index or queue handle.
        pub index: u32,
        pub data: u64,
        pub aux: u64,
    }
}

/// The most events that a wait returns.
pub const MAX_EVENTS: usize = 64;

crate::abi_struct! {
    /// What a machine thread and its calls of `wait` and `complete` pass each other.
    pub struct WaitPage {
        /// The longest it waits; all ones for forever.
        pub timeout_ns: u64,
        /// The latest time it waits until, on CLOCK_MONOTONIC; all ones for forever.
        pub deadline_ns: u64,
        /// One more than the index of a vCPU whose open exit has been answered in its `kvm_run` page, and which is to
        /// continue; 0 for none.
        pub answered: u32,
        /// Out: the number of events of a wait, or a negative errno.
        pub result: i32,
        /// The words of the counters to which the time of that answer is added: of the range and of the address that the
        /// vCPU has accessed. 0 for none.
        pub range_ns: u32,
        pub address_ns: u32,
        /// Out.
        pub events: [Event; MAX_EVENTS],
    }
}

/// No timeout or deadline.
pub const FOREVER: u64 = u64::MAX;

crate::abi_constants! {
    /// Kinds of events.
    pub mod kind as EVENT: u32 {
        /// vCPU `index` left KVM with exit reason `data` and waits for an answer.
        EXIT = 1,
        /// The fd watched with token `data` is readable; `aux` is the count of a drained eventfd.
        FD = 2,
        /// vCPU `index` is out of KVM, with no exit open.
        PARKED = 3,
        /// The thread of vCPU `index` ended: `data` is KVM_RUN's errno or 0, `aux` 1 when it died.
        VCPU_ENDED = 4,
        /// Queue `index` is no longer served: `data` is 1 if the driver violated the protocol, 2 if the thread died.
        QUEUE_BROKEN = 5,
        /// Queue `index` has new kinds of disk errors.
        DISK_ERRORS = 6,
        /// The thread of queue `index`, which was asked to stop, has ended: `vring_queue_stop` has its position.
        QUEUE_ENDED = 7,
    }
}

pub const BROKEN_BY_GUEST: u64 = 1;
pub const THREAD_DIED: u64 = 2;
