//! A command: what its CDB asks of a unit, either an operation on the image or data to answer with.

use super::controller::Controller;
use super::medium::Medium;
use super::operations;
use super::sense::{self, Sense};
use super::unit::Unit;
use crate::image::DiskOperation;
use crate::queue::Buffers;
use std::sync::Arc;

/// The size of the buffer for a CDB of any length: bytes that the driver does not provide are 0.
pub const CDB_BYTES: usize = 32;

/// A command as its handler sees it.
pub struct Command<'c, 'm> {
    pub controller: &'c Controller,
    pub unit: &'c Unit,
    pub cdb: [u8; CDB_BYTES],
    pub data_out: &'c Buffers<'m>,
    /// Bytes that the driver's buffers have for its data.
    pub data_in: u64,
}

/// The result of decoding a command.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// The command is done.
    Done,
    /// The answer is data.
    Reply(Vec<u8>),
    Disk(DiskAction),
    /// A block of data is written to `blocks` of the image repeatedly (WRITE SAME).
    Fill(Transfer),
}

#[derive(Debug, PartialEq)]
pub struct DiskAction {
    pub operation: DiskOperation,
    pub transfer: Transfer,
}

/// An access to a medium.
pub struct Transfer {
    pub medium: Arc<Medium>,
    /// Byte offset in the image.
    pub start: u64,
    pub len: u64,
    /// Written data must be durable when the command ends.
    pub durable: bool,
}

/// Why a command is not carried out.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    Sense(Sense),
    /// It transfers more data than the buffers can hold (VIRTIO_SCSI_S_OVERRUN).
    Overrun,
}

impl From<Sense> for Refusal {
    fn from(sense: Sense) -> Refusal {
        Refusal::Sense(sense)
    }
}

pub type Answer = Result<Action, Refusal>;

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transfer({} bytes from {}, durable: {})", self.len, self.start, self.durable)
    }
}

impl PartialEq for Transfer {
    fn eq(&self, other: &Transfer) -> bool {
        (self.start, self.len, self.durable) == (other.start, other.len, other.durable)
    }
}

impl Command<'_, '_> {
    /// Carries the command out, or returns what remains to be done.
    pub fn run(&self) -> Answer {
        let operation = operations::find(self.unit, &self.cdb);
        // Before anything else, a driver gets the unit attentions.
        if operation.is_none_or(|operation| !operation.ignores_attention)
            && let Some(attention) = self.unit.take_attention()
        {
            return Err(attention.into());
        }
        let operation = operation.ok_or(match operations::is_known(self.unit, self.cdb[0]) {
            // The operation code is known, but not its service action.
            true => sense::invalid_cdb(1),
            false => sense::INVALID_OPERATION,
        })?;
        (operation.run)(self)
    }

    pub fn u16_at(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.cdb[at], self.cdb[at + 1]])
    }

    pub fn u24_at(&self, at: usize) -> u32 {
        u32::from_be_bytes([0, self.cdb[at], self.cdb[at + 1], self.cdb[at + 2]])
    }

    pub fn u32_at(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.cdb[at..at + 4].try_into().expect("four bytes"))
    }

    pub fn u64_at(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.cdb[at..at + 8].try_into().expect("eight bytes"))
    }

    /// Answers with data, of which the driver wants at most `allocation` bytes.
    pub fn reply(&self, mut data: Vec<u8>, allocation: impl Into<u64>) -> Answer {
        let allocation = allocation.into();
        if allocation > self.data_in {
            return Err(Refusal::Overrun);
        }
        data.truncate(allocation as usize);
        Ok(Action::Reply(data))
    }

    /// A copy of the first bytes of the driver's data, which it claims has this length.
    pub fn parameters(&self, len: u16) -> Result<Vec<u8>, Refusal> {
        if u64::from(len) > self.data_out.len() {
            return Err(Refusal::Overrun);
        }
        // Copied once, so that the driver can't change what has been checked.
        let mut bytes = vec![0; len.into()];
        self.data_out.copy_to(0, &mut bytes);
        Ok(bytes)
    }

    pub fn medium(&self) -> Result<Arc<Medium>, Sense> {
        self.unit.medium()
    }
}

pub type Handler = fn(&Command) -> Answer;

/// TEST UNIT READY (SPC-4 §6.47).
pub fn test_unit_ready(command: &Command) -> Answer {
    command.medium()?;
    Ok(Action::Done)
}

/// A command that needs no action here.
pub fn nothing(_: &Command) -> Answer {
    Ok(Action::Done)
}

/// REQUEST SENSE (SPC-4 §6.39).
pub fn request_sense(command: &Command) -> Answer {
    let sense = command.unit.take_attention().unwrap_or(sense::NONE);
    command.reply(sense.encode(command.cdb[1] & 1 != 0), command.cdb[4])
}

// The handlers by subject, for the table.
pub use super::blocks::*;
pub use super::inquiry::{inquiry, report_luns};
pub use super::mechanism::{prevent_allow_medium_removal, start_stop_unit};
pub use super::mmc::*;
pub use super::mode::{mode_select_6, mode_select_10, mode_sense_6, mode_sense_10};
pub use super::operations::report_supported_operation_codes;
