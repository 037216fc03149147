//! Disk images, on which any disk controller carries out its requests. An image maps requests to files; its user
//! (`DiskRequest`) carries out the operations on its own io_uring, so that any number of threads can use one image at a
//! time. Work that is needed to locate bytes is done by another thread (`Port`).

mod bounce;
mod errors;
mod policy;
mod qcow2;
mod raw;
mod request;

use crate::errno::{Errno, Result};
pub use bounce::BouncePool;
pub use errors::{Access, DiskError, DiskErrors, ErrorLog, access};
use io_uring::opcode;
pub use policy::{ErrorPolicy, error_action};
#[cfg(any(test, fuzzing))]
pub use qcow2::testing;
pub use qcow2::{ChainFile, MAX_LAYERS, Pin, Port, Qcow2Image, Task, Ticket, inspect};
pub use raw::RawImage;
pub use request::{Direction, DiskOperation, DiskRequest, Range, Step};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::SeqCst};

pub const SECTOR: u64 = 512;

/// The io_uring operations used for read-only images, and for all images.
pub const READ_OPERATIONS: [u8; 2] = [opcode::Read::CODE, opcode::Readv::CODE];
pub const OPERATIONS: [u8; 5] = [
    READ_OPERATIONS[0],
    READ_OPERATIONS[1],
    opcode::Writev::CODE,
    opcode::Fsync::CODE,
    opcode::Fallocate::CODE,
];

/// An open image. Its files stay open while a copy of the pointer exists.
pub trait Image: Send + Sync {
    /// State common to all formats.
    fn state(&self) -> &ImageState;

    /// The files that operations refer to, by their place in this list.
    fn files(&self) -> Vec<RawFd>;

    /// Called before requests are served.
    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// The thread that does what is not an operation on a file.
    fn port(&self) -> Option<&Port> {
        None
    }

    /// A thread stops serving requests for now: asks for the work that must end first. With `ends`, another process may
    /// use the files next.
    fn part(&self, _ends: bool) -> Option<Ticket> {
        None
    }

    /// The io_uring operations that `DiskRequest` submits for this image (IORING_OP_*).
    fn operations(&self) -> &'static [u8];

    /// With O_DIRECT, the required alignment of a buffer's address.
    fn direct_alignment(&self) -> Option<usize>;

    /// Where the `len` bytes from `start` on are, or as many of them as are contiguous, for a read
    /// or a write. Inside the image.
    fn locate(&self, start: u64, len: u64, write: bool) -> Place;

    /// Gives the disk a new size, for requests that begin from now on. Waits for the file system if the image has
    /// tables to change.
    fn resize(&self, capacity: u64) -> Result<()> {
        self.state().resize(capacity)
    }

    /// Why writes are refused from now on, if its tables are corrupt.
    fn corruption(&self) -> Option<String> {
        None
    }
}

/// Where bytes of an image are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Bytes(Location),
    /// Nowhere: that many zeros.
    Zeros(u64),
    /// Known once the image's port has done this task, which may also return the bytes.
    Task(Task),
    Failed(Errno),
}

/// A range of one of the image's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its index in `Image::files`.
    pub file: u16,
    pub offset: u64,
    pub len: u64,
}

/// When written data is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Durability {
    /// When the guest requests it.
    Asked,
    /// Before a write completes (cache=writethrough, directsync).
    Always,
    /// When the host chooses (cache=unsafe).
    Never,
}

/// How a write of nothing but zeros is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum WrittenZeros {
    /// Like any other write.
    AsOther,
    /// It zeroes the range without transferring data.
    Zeroed,
    /// Likewise, and the space may be deallocated.
    Unmapped,
}

/// State that may change while an image is in use, and that its users must know.
pub struct ImageState {
    capacity: AtomicU64,
    write_through: AtomicBool,
    /// How failed requests are handled.
    pub policy: ErrorPolicy,
    durability: AtomicU8,
    written_zeros: AtomicU8,
    pub readonly: bool,
    /// The backing store can deallocate space.
    pub can_discard: bool,
}

impl ImageState {
    pub fn new(capacity: u64, readonly: bool, can_discard: bool) -> Result<ImageState> {
        let state = ImageState {
            capacity: AtomicU64::new(0),
            write_through: AtomicBool::new(false),
            policy: ErrorPolicy::default(),
            durability: AtomicU8::new(Durability::Asked as u8),
            written_zeros: AtomicU8::new(WrittenZeros::AsOther as u8),
            readonly,
            can_discard,
        };
        state.resize(capacity)?;
        Ok(state)
    }

    /// In bytes. Requests in progress when it shrinks are carried out as if it had not.
    pub fn capacity(&self) -> u64 {
        self.capacity.load(SeqCst)
    }

    /// Changes the capacity for requests that begin from now on; the files already have their new size.
    pub fn resize(&self, capacity: u64) -> Result<()> {
        if capacity % SECTOR != 0 || capacity > i64::MAX as u64 {
            return Err(Errno(libc::EINVAL));
        }
        self.capacity.store(capacity, SeqCst);
        Ok(())
    }

    pub fn durability(&self) -> Durability {
        match self.durability.load(SeqCst) {
            never if never == Durability::Never as u8 => Durability::Never,
            always if always == Durability::Always as u8 => Durability::Always,
            _ => Durability::Asked,
        }
    }

    pub fn set_durability(&self, durability: Durability) {
        self.durability.store(durability as u8, SeqCst);
    }

    pub fn written_zeros(&self) -> WrittenZeros {
        match self.written_zeros.load(SeqCst) {
            zeroed if zeroed == WrittenZeros::Zeroed as u8 => WrittenZeros::Zeroed,
            unmapped if unmapped == WrittenZeros::Unmapped as u8 => WrittenZeros::Unmapped,
            _ => WrittenZeros::AsOther,
        }
    }

    pub fn set_written_zeros(&self, what: WrittenZeros) {
        self.written_zeros.store(what as u8, SeqCst);
    }

    /// Whether a write is durable when it completes, if the driver can choose.
    pub fn writes_through(&self) -> bool {
        self.write_through.load(SeqCst)
    }

    pub fn set_write_through(&self, on: bool) {
        self.write_through.store(on, SeqCst);
    }

    /// The byte offset of `sector`, if `bytes` bytes from there are all inside the disk.
    pub fn range(&self, sector: u64, bytes: u64) -> Option<u64> {
        let start = sector.checked_mul(SECTOR)?;
        let end = start.checked_add(bytes)?;
        (end <= self.capacity()).then_some(start)
    }
}
