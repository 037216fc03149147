//! What users of an image ask it for.

/// A request to an image. Bytes and ranges are inside it.
#[derive(Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// From this byte on, for the length of the data.
    Read(u64),
    Write(u64),
    /// Makes what was written durable.
    Flush,
    /// Discards the content of the ranges.
    Discard(Vec<Range>),
    WriteZeroes(Vec<Range>),
}

/// A range of the image, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: u64,
    pub len: u64,
    /// The space may be deallocated.
    pub unmap: bool,
}

/// The direction of an operation's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToGuest,
    FromGuest,
    None,
}

impl DiskOperation {
    pub fn direction(&self) -> Direction {
        match self {
            DiskOperation::Read(_) => Direction::ToGuest,
            DiskOperation::Write(_) => Direction::FromGuest,
            _ => Direction::None,
        }
    }
}
