//! Parsing a virtio-blk request (virtio 1.3 §5.2.6).

use super::{BlkWorker, feature};
use crate::image::{DiskOperation, Range, SECTOR};
use crate::memory::RamSlice;
use crate::queue::{Broken, Chain};

pub const STATUS_OK: u8 = 0;
pub const STATUS_IOERR: u8 = 1;
pub const STATUS_UNSUPPORTED: u8 = 2;

const TYPE_IN: u32 = 0;
const TYPE_OUT: u32 = 1;
const TYPE_FLUSH: u32 = 4;
const TYPE_GET_ID: u32 = 8;
const TYPE_DISCARD: u32 = 11;
const TYPE_WRITE_ZEROES: u32 = 13;

/// {le32 type, le32 reserved, le64 sector}
const HEADER_BYTES: usize = 16;
/// {le64 sector, le32 num_sectors, le32 flags}
const RANGE_BYTES: u64 = 16;
const FLAG_UNMAP: u32 = 1;

/// The operation of a request, after all checks.
#[derive(Debug, PartialEq, Eq)]
pub enum Operation {
    /// On the image; a write's data is in the chain's readable buffers, a read's goes to its writable ones.
    Disk(DiskOperation),
    /// The serial number goes to the writable buffers.
    Identify,
    /// Nothing: the status byte has the reason.
    Refuse(u8),
}

/// Removes header and status byte from `chain`, leaving the data.
pub fn parse<'m>(chain: &mut Chain<'m>, disk: &BlkWorker) -> Result<(Operation, RamSlice<'m>), Broken> {
    let mut header = [0; HEADER_BYTES];
    if !chain.readable.take_front(&mut header) {
        return Err(Broken("made a disk request without a header".into()));
    }
    let status = chain.writable.take_last_byte();
    let status = status.ok_or_else(|| Broken("made a disk request without a status byte".into()))?;
    let kind = u32::from_le_bytes(header[0..4].try_into().expect("four bytes"));
    let sector = u64::from_le_bytes(header[8..16].try_into().expect("eight bytes"));
    Ok((operation(kind, sector, chain, disk), status))
}

fn operation(kind: u32, sector: u64, chain: &Chain, disk: &BlkWorker) -> Operation {
    // Header and status byte have their own descriptors, besides `seg_max` for the data.
    if chain.descriptors > disk.limits.segments.saturating_add(2) {
        return Operation::Refuse(STATUS_IOERR);
    }
    let image = disk.image.state();
    let operation = match kind {
        TYPE_IN => transfer(sector, chain.writable.len(), disk, DiskOperation::Read),
        TYPE_OUT if image.readonly => Err(STATUS_IOERR),
        TYPE_OUT => transfer(sector, chain.readable.len(), disk, DiskOperation::Write),
        TYPE_FLUSH => Ok(DiskOperation::Flush),
        TYPE_GET_ID => return Operation::Identify,
        TYPE_DISCARD if disk.has(feature::DISCARD) && image.can_discard => {
            ranges(chain, disk, 0).map(DiskOperation::Discard)
        }
        TYPE_WRITE_ZEROES if disk.has(feature::WRITE_ZEROES) => {
            ranges(chain, disk, FLAG_UNMAP).map(DiskOperation::WriteZeroes)
        }
        _ => Err(STATUS_UNSUPPORTED),
    };
    operation.map_or_else(Operation::Refuse, Operation::Disk)
}

fn transfer(
    sector: u64,
    bytes: u64,
    disk: &BlkWorker,
    operation: fn(u64) -> DiskOperation,
) -> Result<DiskOperation, u8> {
    match disk.image.state().range(sector, bytes) {
        Some(start) if bytes % SECTOR == 0 => Ok(operation(start)),
        _ => Err(STATUS_IOERR),
    }
}

/// The ranges of a discard or write-zeroes request, or the status to refuse it with: unsupported for more ranges than
/// the config space allows, an error for one that is too long.
fn ranges(chain: &Chain, disk: &BlkWorker, allowed_flags: u32) -> Result<Vec<Range>, u8> {
    let bytes = chain.readable.len();
    if disk.image.state().readonly || bytes == 0 || bytes % RANGE_BYTES != 0 {
        return Err(STATUS_IOERR);
    }
    if bytes / RANGE_BYTES > disk.limits.ranges.into() {
        return Err(STATUS_UNSUPPORTED);
    }
    // Copy once, so that the driver can't change what has been checked.
    let mut raw = vec![0; bytes as usize];
    chain.readable.copy_to(0, &mut raw);
    raw.chunks_exact(RANGE_BYTES as usize).map(|raw| range(raw, disk, allowed_flags)).collect()
}

fn range(raw: &[u8], disk: &BlkWorker, allowed_flags: u32) -> Result<Range, u8> {
    let sector = u64::from_le_bytes(raw[0..8].try_into().expect("eight bytes"));
    let sectors = u32::from_le_bytes(raw[8..12].try_into().expect("four bytes"));
    let flags = u32::from_le_bytes(raw[12..16].try_into().expect("four bytes"));
    if flags & !allowed_flags != 0 {
        return Err(STATUS_UNSUPPORTED);
    }
    if sectors > disk.limits.range_sectors {
        return Err(STATUS_IOERR);
    }
    let len = u64::from(sectors) * SECTOR;
    let start = disk.image.state().range(sector, len).ok_or(STATUS_IOERR)?;
    Ok(Range { start, len, unmap: flags & FLAG_UNMAP != 0 })
}
