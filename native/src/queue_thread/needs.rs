//! What a queue thread may do, in one declaration: its ring accepts no other operations or files (`uring.rs`), and its
//! filter no other system calls (`seccomp.rs`).

use super::file_table::FileTable;
use crate::seccomp::Call;
use io_uring::types::Fixed;
use std::os::fd::RawFd;
use std::sync::Arc;

/// Registered before a worker's own files: the queue's kick, and the eventfd that wakes its thread for everything else.
pub const KICK: Fixed = Fixed(0);
pub const CONTROL: Fixed = Fixed(1);
pub const FIRST_FILE: u32 = 2;

/// What a worker needs besides the queue that it serves.
#[derive(Default)]
pub struct Needs {
    /// The files that it uses, open while the worker exists.
    pub files: Vec<RawFd>,
    /// Files that come and go while it runs. They follow the others.
    pub table: Option<Arc<FileTable>>,
    /// Indices of those of its files that are event sources: when one is readable, waiting requests are retried.
    pub sources: Vec<u16>,
    /// io_uring operations that it submits (IORING_OP_*), on its files only.
    pub operations: Vec<u8>,
    /// System calls that it makes itself.
    pub calls: Vec<Call>,
}

/// The file at `index` of `Needs::files`, for an operation.
pub fn file(index: u16) -> Fixed {
    Fixed(FIRST_FILE + u32::from(index))
}
