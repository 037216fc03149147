//! What JavaScript passes to a job, and what it is told of it.

/// Memory ranges of one part.
pub const MAX_RANGES: usize = 32;

/// What is done with a part.
pub mod action {
    /// Copies a file, without what is zero.
    pub const COPY: u32 = 1;
    /// Copies guest RAM that is private to this process, without what is zero: pages that it has written, and the file below the others.
    pub const COPY_PRIVATE: u32 = 2;
    /// Compares a file with its checksums.
    pub const VERIFY: u32 = 3;
    /// Writes the bytes that the job was started with.
    pub const WRITE: u32 = 4;
}

/// Bits of `flags`: share the source's blocks, if the file system can (FICLONE), in place of copying.
pub const MAY_CLONE: u32 = 1;

crate::abi_struct! {
    /// MemoryRange.
    pub struct MemoryRange {
        /// Where it is in this process.
        pub host: u64,
        /// Where it is in the file.
        pub offset: u64,
        pub size: u64,
    }
}

crate::abi_struct! {
    /// One file to write or verify. Its fds are open when the job starts, and duplicated then; -1 where there is none.
    pub struct JobPart {
        pub action: u32,
        pub flags: u32,
        pub source_fd: i32,
        pub target_fd: i32,
        /// The file of the checksums: a CRC32C for each chunk of 1 MiB, 32 bits, little endian. Written by a copy, read by a verification.
        pub sums_fd: i32,
        /// Of this process (proc(5), /proc/PID/pagemap), for COPY_PRIVATE.
        pub pagemap_fd: i32,
        /// Bytes of the whole.
        pub size: u64,
        pub range_count: u32,
        pub ranges: [MemoryRange; MAX_RANGES],
    }
}

/// What failed.
pub mod failure {
    pub const NONE: u32 = 0;
    pub const READ: u32 = 1;
    pub const WRITE: u32 = 2;
    /// A verification found other bytes than were written.
    pub const DIFFERENT: u32 = 3;
    /// The thread died of something else.
    pub const DIED: u32 = 4;
}

crate::abi_struct! {
    /// How a job stands, or ended.
    pub struct JobReport {
        /// Bytes of all parts that it has got past, holes included.
        pub done: u64,
        /// Bytes that it has written.
        pub written: u64,
        /// Bit n: the blocks of part n are shared with its source, and it has no checksums.
        pub cloned: u64,
        /// Where in the part it failed.
        pub offset: u64,
        pub part: u32,
        pub failure: u32,
        /// ECANCELED after a cancellation; 0 without a failure.
        pub errno: i32,
        pub ended: u32,
    }
}
