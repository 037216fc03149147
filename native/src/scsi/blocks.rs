//! Block commands (SBC-4): reading, writing, deallocating, and the medium's capacity and allocation.

use super::command::{Action, Answer, Command, DiskAction, Refusal, Transfer};
use super::medium::Medium;
use super::sense::{self, Sense};
use crate::image::{DiskOperation, Range};
use std::sync::Arc;

/// UNMAP descriptors in one command.
pub const MAX_UNMAP_DESCRIPTORS: u32 = 255;
/// The most bytes of one UNMAP or WRITE SAME.
pub const MAX_RANGE_BYTES: u64 = 1 << 30;
const UNMAP_HEADER: usize = 8;
const UNMAP_DESCRIPTOR: usize = 16;

/// Bits of byte 1 of a read or write.
const PROTECT: u8 = 0xe0;
const FUA: u8 = 0x08;
/// Bits of byte 1 of a verify.
const BYTE_CHECK: u8 = 0x06;
/// Bits of byte 1 of WRITE SAME.
const ANCHOR: u8 = 0x10;
const UNMAP: u8 = 0x08;
const NO_DATA_OUT: u8 = 0x01;

/// The blocks that a command addresses: the first one and their number.
#[derive(Clone, Copy)]
struct Extent {
    lba: u64,
    count: u64,
}

/// The blocks given by the CDB's fields, by CDB length.
fn extent_6(command: &Command) -> Extent {
    let lba = command.u24_at(1) & 0x1f_ffff;
    let count = if command.cdb[4] == 0 { 256 } else { command.cdb[4].into() };
    Extent { lba: lba.into(), count }
}

fn extent_10(command: &Command) -> Extent {
    Extent { lba: command.u32_at(2).into(), count: command.u16_at(7).into() }
}

fn extent_12(command: &Command) -> Extent {
    Extent { lba: command.u32_at(2).into(), count: command.u32_at(6).into() }
}

fn extent_16(command: &Command) -> Extent {
    Extent { lba: command.u64_at(2), count: command.u32_at(10).into() }
}

/// The number of blocks of a medium with this capacity.
fn blocks(command: &Command, medium: &Medium) -> u64 {
    medium.image.state().capacity() / u64::from(command.unit.identity.block)
}

/// The byte range of an extent, if it is inside the medium.
fn bytes_of(command: &Command, medium: &Medium, Extent { lba, count }: Extent) -> Result<(u64, u64), Sense> {
    let end = lba.checked_add(count).filter(|end| *end <= blocks(command, medium));
    end.ok_or(sense::OUT_OF_RANGE)?;
    let block = u64::from(command.unit.identity.block);
    Ok((lba * block, count * block))
}

fn transfer(command: &Command, extent: Extent, durable: bool) -> Result<Transfer, Sense> {
    let medium = command.medium()?;
    let (start, len) = bytes_of(command, &medium, extent)?;
    Ok(Transfer { medium, start, len, durable })
}

fn writable(medium: &Arc<Medium>) -> Result<(), Sense> {
    if medium.image.state().readonly { Err(sense::WRITE_PROTECTED) } else { Ok(()) }
}

fn read(command: &Command, extent: Extent) -> Answer {
    let transfer = transfer(command, extent, false)?;
    if transfer.len > command.data_in {
        return Err(Refusal::Overrun);
    }
    Ok(Action::Disk(DiskAction { operation: DiskOperation::Read(transfer.start), transfer }))
}

fn write(command: &Command, extent: Extent, durable: bool) -> Answer {
    let durable = durable || !command.unit.modes().write_cache;
    let transfer = transfer(command, extent, durable)?;
    writable(&transfer.medium)?;
    if transfer.len > command.data_out.len() {
        return Err(Refusal::Overrun);
    }
    Ok(Action::Disk(DiskAction { operation: DiskOperation::Write(transfer.start), transfer }))
}

/// Protection information is not supported.
fn unprotected(command: &Command) -> Result<(), Sense> {
    if command.cdb[1] & PROTECT != 0 { Err(sense::invalid_cdb(1)) } else { Ok(()) }
}

fn has_fua(command: &Command) -> bool {
    command.cdb[1] & FUA != 0
}

pub fn read_6(command: &Command) -> Answer {
    read(command, extent_6(command))
}

pub fn read_10(command: &Command) -> Answer {
    unprotected(command)?;
    read(command, extent_10(command))
}

pub fn read_12(command: &Command) -> Answer {
    unprotected(command)?;
    read(command, extent_12(command))
}

pub fn read_16(command: &Command) -> Answer {
    unprotected(command)?;
    read(command, extent_16(command))
}

/// READ CD (MMC-6 §6.15) of the user data of mode 1 sectors.
pub fn read_cd(command: &Command) -> Answer {
    const USER_DATA: u8 = 0x10;
    const MODE_1: u8 = 2;
    let extent = Extent { lba: command.u32_at(2).into(), count: command.u24_at(6).into() };
    if !matches!(command.cdb[1] >> 2 & 7, 0 | MODE_1) {
        return Err(sense::WRONG_TRACK_MODE.into());
    }
    if command.cdb[10] != 0 {
        return Err(sense::invalid_cdb(10).into());
    }
    match command.cdb[9] & 0xf8 {
        USER_DATA => read(command, extent),
        0 => {
            transfer(command, extent, false)?;
            Ok(Action::Done)
        }
        _ => Err(sense::invalid_cdb(9).into()),
    }
}

pub fn write_6(command: &Command) -> Answer {
    write(command, extent_6(command), false)
}

pub fn write_10(command: &Command) -> Answer {
    unprotected(command)?;
    write(command, extent_10(command), has_fua(command))
}

pub fn write_12(command: &Command) -> Answer {
    unprotected(command)?;
    write(command, extent_12(command), has_fua(command))
}

pub fn write_16(command: &Command) -> Answer {
    unprotected(command)?;
    write(command, extent_16(command), has_fua(command))
}

/// The commands that write and verify: written data must have reached the medium.
fn write_and_verify(command: &Command, extent: Extent) -> Answer {
    unprotected(command)?;
    no_byte_check(command)?;
    write(command, extent, true)
}

pub fn write_and_verify_10(command: &Command) -> Answer {
    write_and_verify(command, extent_10(command))
}

pub fn write_and_verify_12(command: &Command) -> Answer {
    write_and_verify(command, extent_12(command))
}

pub fn write_and_verify_16(command: &Command) -> Answer {
    write_and_verify(command, extent_16(command))
}

/// Comparing with data from the driver is not supported.
fn no_byte_check(command: &Command) -> Result<(), Sense> {
    if command.cdb[1] & BYTE_CHECK != 0 { Err(sense::invalid_cdb(1)) } else { Ok(()) }
}

/// The host's disk verifies its own blocks.
fn verify(command: &Command, extent: Extent) -> Answer {
    unprotected(command)?;
    no_byte_check(command)?;
    transfer(command, extent, false)?;
    Ok(Action::Done)
}

pub fn verify_10(command: &Command) -> Answer {
    verify(command, extent_10(command))
}

pub fn verify_12(command: &Command) -> Answer {
    verify(command, extent_12(command))
}

pub fn verify_16(command: &Command) -> Answer {
    verify(command, extent_16(command))
}

/// SEEK (10), used by old drivers.
pub fn seek_10(command: &Command) -> Answer {
    transfer(command, Extent { lba: command.u32_at(2).into(), count: 1 }, false)?;
    Ok(Action::Done)
}

/// SYNCHRONIZE CACHE (10) and (16): the whole medium is flushed, whichever blocks are given.
pub fn synchronize_cache(command: &Command) -> Answer {
    flush(command)
}

/// Makes written data durable.
pub fn flush(command: &Command) -> Answer {
    let transfer = transfer(command, Extent { lba: 0, count: 0 }, true)?;
    Ok(Action::Disk(DiskAction { operation: DiskOperation::Flush, transfer }))
}

/// READ CAPACITY (10) (SBC-4 §5.20).
pub fn read_capacity_10(command: &Command) -> Answer {
    let medium = command.medium()?;
    const PARTIAL: u8 = 1;
    if command.cdb[8] & PARTIAL != 0 || command.u32_at(2) != 0 {
        return Err(sense::invalid_cdb(2).into());
    }
    let last = u32::try_from(last_block(command, &medium)).unwrap_or(u32::MAX);
    let data = [last.to_be_bytes(), command.unit.identity.block.to_be_bytes()].concat();
    let len = data.len() as u64;
    command.reply(data, len)
}

/// READ CAPACITY (16) (SBC-4 §5.21).
pub fn read_capacity_16(command: &Command) -> Answer {
    let medium = command.medium()?;
    if command.u64_at(2) != 0 || command.cdb[14] & 1 != 0 {
        return Err(sense::invalid_cdb(2).into());
    }
    let identity = &command.unit.identity;
    let mut data = vec![0; 32];
    data[0..8].copy_from_slice(&last_block(command, &medium).to_be_bytes());
    data[8..12].copy_from_slice(&identity.block.to_be_bytes());
    data[13] = identity.physical_exponent;
    // LBPME: blocks can be deallocated.
    data[14] = if can_unmap(command, &medium) { 0x80 } else { 0 };
    command.reply(data, command.u32_at(10))
}

fn last_block(command: &Command, medium: &Medium) -> u64 {
    blocks(command, medium).saturating_sub(1)
}

pub fn can_unmap(command: &Command, medium: &Medium) -> bool {
    let state = medium.image.state();
    !command.unit.is_cd() && state.can_discard && !state.readonly
}

/// UNMAP (SBC-4 §5.35).
pub fn unmap(command: &Command) -> Answer {
    const ANCHOR: u8 = 1;
    let medium = command.medium()?;
    if command.cdb[1] & ANCHOR != 0 {
        return Err(sense::invalid_cdb(1).into());
    }
    let list = command.parameters(command.u16_at(7))?;
    if list.is_empty() {
        return Ok(Action::Done);
    }
    let ranges = unmapped(command, &medium, &list)?;
    writable(&medium)?;
    let operation = DiskOperation::Discard(ranges);
    Ok(Action::Disk(DiskAction {
        operation,
        transfer: Transfer { medium, start: 0, len: 0, durable: false },
    }))
}

/// The ranges of a parameter list (SBC-4 table 122).
fn unmapped(command: &Command, medium: &Medium, list: &[u8]) -> Result<Vec<Range>, Sense> {
    if list.len() < UNMAP_HEADER {
        return Err(sense::PARAMETER_LIST_LENGTH);
    }
    let half = |at: usize| usize::from(u16::from_be_bytes([list[at], list[at + 1]]));
    let len = half(2);
    if half(0) + 2 > list.len() || len + UNMAP_HEADER > list.len() || len % UNMAP_DESCRIPTOR != 0 {
        return Err(sense::PARAMETER_LIST_LENGTH);
    }
    let descriptors = &list[UNMAP_HEADER..UNMAP_HEADER + len];
    if descriptors.len() / UNMAP_DESCRIPTOR > MAX_UNMAP_DESCRIPTORS as usize {
        return Err(sense::invalid_parameter(2));
    }
    let mut total = 0;
    let ranges = (UNMAP_HEADER..)
        .step_by(UNMAP_DESCRIPTOR)
        .zip(descriptors.chunks_exact(UNMAP_DESCRIPTOR))
        .map(|(at, raw)| {
            let lba = u64::from_be_bytes(raw[0..8].try_into().expect("eight bytes"));
            let count = u32::from_be_bytes(raw[8..12].try_into().expect("four bytes"));
            let (start, len) = bytes_of(command, medium, Extent { lba, count: count.into() })?;
            total += len;
            match total > MAX_RANGE_BYTES {
                true => Err(sense::invalid_parameter(at as u16 + 8)),
                false => Ok(Range { start, len, unmap: true }),
            }
        });
    ranges.collect()
}

pub fn write_same_10(command: &Command) -> Answer {
    write_same(command, extent_10(command), 7, false)
}

pub fn write_same_16(command: &Command) -> Answer {
    write_same(command, extent_16(command), 10, command.cdb[1] & NO_DATA_OUT != 0)
}

/// WRITE SAME (SBC-4 §5.50). `count_at` is the offset of the number of blocks in the CDB. Without data, the blocks
/// become zeros.
fn write_same(command: &Command, extent: Extent, count_at: u16, without_data: bool) -> Answer {
    unprotected(command)?;
    let unmap = command.cdb[1] & UNMAP != 0;
    if command.cdb[1] & ANCHOR != 0 {
        return Err(sense::invalid_cdb(1).into());
    }
    let durable = !command.unit.modes().write_cache;
    let transfer = transfer(command, extent, durable)?;
    // The block limits page has WSNZ set: 0 does not stand for all blocks.
    if extent.count == 0 || transfer.len > MAX_RANGE_BYTES {
        return Err(sense::invalid_cdb(count_at).into());
    }
    writable(&transfer.medium)?;
    let mut block = vec![0; command.unit.identity.block as usize];
    if !without_data {
        if command.data_out.len() < block.len() as u64 {
            return Err(Refusal::Overrun);
        }
        command.data_out.copy_to(0, &mut block);
    }
    if block.iter().any(|byte| *byte != 0) {
        return Ok(Action::Fill(transfer));
    }
    let Transfer { start, len, .. } = transfer;
    let operation = DiskOperation::WriteZeroes(vec![Range { start, len, unmap }]);
    Ok(Action::Disk(DiskAction { operation, transfer }))
}
