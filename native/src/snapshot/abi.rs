//! What JavaScript passes to a job, and the report that it gets.

/// The most memory ranges of one part.
pub const MAX_RANGES: usize = 32;

/// What to do with a part.
pub mod action {
    /// Copies a file, skipping zeros.
    pub const COPY: u32 = 1;
    /// Copies guest RAM that is private to this process, skipping zeros: the pages that it has written, and the
    /// underlying file for the others.
    pub const COPY_PRIVATE: u32 = 2;
    /// Compares a file with its checksums.
    pub const VERIFY: u32 = 3;
    /// Writes the bytes that the job was started with.
    pub const WRITE: u32 = 4;
    /// Sends pages of a file with guest RAM to another host: those in the bitmap that the job was started with, one bit
    /// per page, or without one all that are not zero. The guest may be running.
    pub const SEND: u32 = 5;
    /// The same of RAM that is private to this process.
    pub const SEND_PRIVATE: u32 = 6;
    /// Sends the bytes that the job was started with, as a machine's state.
    pub const SEND_STATE: u32 = 7;
    /// Waits until what was written to a file has reached the disk.
    pub const SYNC: u32 = 8;
}

/// Bits of `flags`: share the source's blocks if the file system can (FICLONE), instead of copying.
pub const MAY_CLONE: u32 = 1;

crate::abi_struct! {
    /// MemoryRange.
    pub struct MemoryRange {
        /// Address in this process.
        pub host: u64,
        /// Offset in the file.
        pub offset: u64,
        pub size: u64,
    }
}

crate::abi_struct! {
    /// One file to write or verify. Its fds are open when the job starts, which duplicates them; -1 for none.
    pub struct JobPart {
        pub action: u32,
        pub flags: u32,
        pub source_fd: i32,
        pub target_fd: i32,
        /// The checksum file: a 32-bit little-endian CRC32C for each 1 MiB chunk. Written by a copy, read by a
        /// verification.
        pub sums_fd: i32,
        /// The pagemap of this process (proc(5), /proc/PID/pagemap), for private memory.
        pub pagemap_fd: i32,
        /// Total size in bytes.
        pub size: u64,
        /// The most bytes per second to send; 0 for no limit.
        pub rate: u64,
        pub range_count: u32,
        pub ranges: [MemoryRange; MAX_RANGES],
    }
}

/// What failed.
pub mod failure {
    pub const NONE: u32 = 0;
    pub const READ: u32 = 1;
    pub const WRITE: u32 = 2;
    /// A verification found bytes other than those written.
    pub const DIFFERENT: u32 = 3;
    /// The thread died for another reason.
    pub const DIED: u32 = 4;
}

crate::abi_struct! {
    /// A job's progress, or how it ended.
    pub struct JobReport {
        /// Bytes of all parts that have been processed, holes included.
        pub done: u64,
        /// Bytes written.
        pub written: u64,
        /// Bit n: part n shares its source's blocks, and has no checksums.
        pub cloned: u64,
        /// Offset in the part at which it failed.
        pub offset: u64,
        pub part: u32,
        pub failure: u32,
        /// ECANCELED after a cancellation, 0 without a failure.
        pub errno: i32,
        pub ended: u32,
    }
}
