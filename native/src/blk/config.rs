//! A queue and its disk as JavaScript describes them, checked.

use super::disk::{Disk, Limits, SECTOR, SERIAL_BYTES, direct_alignment};
use super::worker::MAX_IN_FLIGHT;
use crate::errno::{Errno, Result};
use crate::queue::{Position, QueueLayout};

/// A queue and its disk, as passed by JavaScript.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlkQueueConfig {
    pub descriptors: u64,
    pub available: u64,
    pub used: u64,
    /// Negotiated feature bits.
    pub features: u64,
    /// Bytes.
    pub disk_size: u64,
    pub disk_fd: i32,
    pub kick_fd: i32,
    pub call_fd: i32,
    /// Entries of the queue.
    pub size: u32,
    pub counter_slot: u32,
    pub last_avail: u16,
    pub used_index: u16,
    /// `flag` bits.
    pub flags: u32,
    /// The limits of a request that the config space advertises.
    pub max_segments: u32,
    pub max_ranges: u32,
    pub max_range_sectors: u32,
    /// Heads in `unfinished`.
    pub unfinished_count: u32,
    /// The chains taken before `last_avail` and not yet returned, to be served first.
    pub unfinished: [u16; MAX_IN_FLIGHT as usize],
    pub serial: [u8; SERIAL_BYTES],
}

pub mod flag {
    pub const READONLY: u32 = 1;
    /// The disk is a block device. Unused: the kernel takes the same calls for both.
    pub const BLOCK_DEVICE: u32 = 2;
    pub const DISCARD: u32 = 4;
    pub const ALL: u32 = READONLY | BLOCK_DEVICE | DISCARD;
}

impl BlkQueueConfig {
    pub fn layout(&self) -> QueueLayout {
        QueueLayout {
            size: self.size,
            descriptors: self.descriptors,
            available: self.available,
            used: self.used,
            features: self.features,
            position: Position { available: self.last_avail, used: self.used_index },
        }
    }

    /// The chains to be served first: descriptors of the queue, and no more than have been taken and not returned.
    pub fn unfinished_heads(&self) -> Result<Vec<u16>> {
        let count = self.unfinished_count as usize;
        let taken = self.last_avail.wrapping_sub(self.used_index);
        let heads = self.unfinished.get(..count).ok_or(Errno(libc::EINVAL))?;
        let valid = count <= usize::from(taken)
            && count <= self.size as usize
            && heads.iter().all(|head| u32::from(*head) < self.size);
        if valid { Ok(heads.to_vec()) } else { Err(Errno(libc::EINVAL)) }
    }

    pub fn disk(&self) -> Result<Disk> {
        let valid =
            self.disk_size % SECTOR == 0 && self.disk_size <= i64::MAX as u64 && self.flags & !flag::ALL == 0;
        if !valid {
            return Err(Errno(libc::EINVAL));
        }
        Ok(Disk {
            size: self.disk_size,
            readonly: self.flags & flag::READONLY != 0,
            can_discard: self.flags & flag::DISCARD != 0,
            features: self.features,
            limits: Limits {
                segments: self.max_segments,
                ranges: self.max_ranges,
                range_sectors: self.max_range_sectors,
            },
            serial: self.serial,
            direct_alignment: direct_alignment(self.disk_fd)?,
        })
    }
}
