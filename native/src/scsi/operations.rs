//! The commands of each kind of unit, in one table: used to look them up, and to report them to a driver.

use super::command::{self as run, Answer, CDB_BYTES, Command, Handler};
use super::sense;
use super::unit::{Kind, Unit};

pub struct Operation {
    pub code: u8,
    /// For a code that several commands share: the low bits of byte 1.
    pub action: Option<u8>,
    /// Bits of the CDB that are evaluated, byte by byte after the operation code; the control byte comes last.
    usage: &'static [u8],
    units: Units,
    /// It is carried out even if there is a unit attention to report first.
    pub ignores_attention: bool,
    pub run: Handler,
}

#[derive(Clone, Copy, PartialEq)]
enum Units {
    All,
    Disks,
    Cds,
}

/// The low bits of byte 1 that hold a service action.
const ACTION: u8 = 0x1f;

const fn operation(code: u8, units: Units, run: Handler, usage: &'static [u8]) -> Operation {
    Operation { code, action: None, usage, units, ignores_attention: false, run }
}

const fn with_action(code: u8, action: u8, run: Handler, usage: &'static [u8]) -> Operation {
    Operation { action: Some(action), ..operation(code, Units::All, run, usage) }
}

const fn at_once(operation: Operation) -> Operation {
    Operation { ignores_attention: true, ..operation }
}

const X: u8 = 0xff;

#[rustfmt::skip]
static OPERATIONS: &[Operation] = &[
    // The most frequent ones come first.
    operation(0x28, Units::All, run::read_10, &[0x28, 0xf8, X, X, X, X, 0, X, X, 0]),
    operation(0x2a, Units::Disks, run::write_10, &[0x2a, 0xf8, X, X, X, X, 0, X, X, 0]),
    operation(0x88, Units::All, run::read_16, &[0x88, 0xf8, X, X, X, X, X, X, X, X, X, X, X, X, 0, 0]),
    operation(0x8a, Units::Disks, run::write_16, &[0x8a, 0xf8, X, X, X, X, X, X, X, X, X, X, X, X, 0, 0]),
    operation(0x35, Units::All, run::synchronize_cache, &[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    operation(0x00, Units::All, run::test_unit_ready, &[0x00, 0, 0, 0, 0, 0]),
    at_once(operation(0x03, Units::All, run::request_sense, &[0x03, 0x01, 0, 0, X, 0])),
    operation(0x08, Units::Disks, run::read_6, &[0x08, 0x1f, X, X, X, 0]),
    operation(0x0a, Units::Disks, run::write_6, &[0x0a, 0x1f, X, X, X, 0]),
    at_once(operation(0x12, Units::All, run::inquiry, &[0x12, 0x01, X, X, X, 0])),
    operation(0x15, Units::All, run::mode_select_6, &[0x15, 0x11, 0, 0, X, 0]),
    operation(0x1a, Units::All, run::mode_sense_6, &[0x1a, 0x08, X, X, X, 0]),
    operation(0x1b, Units::All, run::start_stop_unit, &[0x1b, 0, 0, 0, 0xf3, 0]),
    operation(0x1d, Units::All, run::nothing, &[0x1d, 0, 0, 0, 0, 0]),
    operation(0x1e, Units::All, run::prevent_allow_medium_removal, &[0x1e, 0, 0, 0, 0x01, 0]),
    operation(0x25, Units::All, run::read_capacity_10, &[0x25, 0, X, X, X, X, 0, 0, 0x01, 0]),
    operation(0x2b, Units::All, run::seek_10, &[0x2b, 0, X, X, X, X, 0, 0, 0, 0]),
    operation(0x2e, Units::Disks, run::write_and_verify_10, &[0x2e, 0xe6, X, X, X, X, 0, X, X, 0]),
    operation(0x2f, Units::All, run::verify_10, &[0x2f, 0xe6, X, X, X, X, 0, X, X, 0]),
    operation(0x41, Units::Disks, run::write_same_10, &[0x41, 0xf8, X, X, X, X, 0, X, X, 0]),
    operation(0x42, Units::Disks, run::unmap, &[0x42, 0x01, 0, 0, 0, 0, 0, X, X, 0]),
    operation(0x43, Units::Cds, run::read_toc, &[0x43, 0x02, 0x0f, 0, 0, 0, X, X, X, 0xc0]),
    at_once(operation(0x46, Units::Cds, run::get_configuration, &[0x46, 0x03, X, X, 0, 0, 0, X, X, 0])),
    at_once(operation(0x4a, Units::Cds, run::get_event_status_notification, &[0x4a, 0x01, 0, 0, X, 0, 0, X, X, 0])),
    operation(0x51, Units::Cds, run::read_disc_information, &[0x51, 0x07, 0, 0, 0, 0, 0, X, X, 0]),
    operation(0x52, Units::Cds, run::read_track_information, &[0x52, 0x03, X, X, X, X, 0, X, X, 0]),
    operation(0x55, Units::All, run::mode_select_10, &[0x55, 0x11, 0, 0, 0, 0, 0, X, X, 0]),
    operation(0x5a, Units::All, run::mode_sense_10, &[0x5a, 0x08, X, X, 0, 0, 0, X, X, 0]),
    operation(0x8e, Units::Disks, run::write_and_verify_16, &[0x8e, 0xe6, X, X, X, X, X, X, X, X, X, X, X, X, 0, 0]),
    operation(0x8f, Units::All, run::verify_16, &[0x8f, 0xe6, X, X, X, X, X, X, X, X, X, X, X, X, 0, 0]),
    operation(0x91, Units::All, run::synchronize_cache, &[0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    operation(0x93, Units::Disks, run::write_same_16, &[0x93, 0xf9, X, X, X, X, X, X, X, X, X, X, X, X, 0, 0]),
    with_action(0x9e, 0x10, run::read_capacity_16, &[0x9e, 0x10, X, X, X, X, X, X, X, X, X, X, X, X, 0x01, 0]),
    at_once(operation(0xa0, Units::All, run::report_luns, &[0xa0, 0, X, 0, 0, 0, X, X, X, X, 0, 0])),
    with_action(0xa3, 0x0c, run::report_supported_operation_codes, &[0xa3, 0x0c, 0x87, X, X, X, X, X, X, X, 0, 0]),
    operation(0xa8, Units::All, run::read_12, &[0xa8, 0xf8, X, X, X, X, X, X, X, X, 0, 0]),
    operation(0xaa, Units::Disks, run::write_12, &[0xaa, 0xf8, X, X, X, X, X, X, X, X, 0, 0]),
    operation(0xad, Units::Cds, run::read_disc_structure, &[0xad, 0, 0, 0, 0, 0, 0, X, X, X, 0, 0]),
    operation(0xae, Units::Disks, run::write_and_verify_12, &[0xae, 0xe6, X, X, X, X, X, X, X, X, 0, 0]),
    operation(0xaf, Units::All, run::verify_12, &[0xaf, 0xe6, X, X, X, X, X, X, X, X, 0, 0]),
    // SET CD SPEED: there is only one speed.
    operation(0xbb, Units::Cds, run::nothing, &[0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    operation(0xbd, Units::Cds, run::mechanism_status, &[0xbd, 0, 0, 0, 0, 0, 0, 0, X, X, 0, 0]),
    operation(0xbe, Units::Cds, run::read_cd, &[0xbe, 0x1c, X, X, X, X, X, X, X, 0xf8, 0x07, 0]),
];

fn serves(operation: &Operation, unit: &Unit) -> bool {
    match operation.units {
        Units::All => true,
        Units::Disks => unit.identity.kind == Kind::Disk,
        Units::Cds => unit.identity.kind == Kind::Cd,
    }
}

/// The operation of a CDB.
pub fn find(unit: &Unit, cdb: &[u8; CDB_BYTES]) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| {
        let is_action = operation.action.is_none_or(|action| cdb[1] & ACTION == action);
        operation.code == cdb[0] && is_action && serves(operation, unit)
    })
}

/// Whether the unit supports any operation with this code.
pub fn is_known(unit: &Unit, code: u8) -> bool {
    OPERATIONS.iter().any(|operation| operation.code == code && serves(operation, unit))
}

/// REPORT SUPPORTED OPERATION CODES (SPC-4 §6.35).
pub fn report_supported_operation_codes(command: &Command) -> Answer {
    const TIMEOUTS: u8 = 0x80;
    let options = command.cdb[2];
    let with_timeouts = options & TIMEOUTS != 0;
    let (code, action) = (command.cdb[3], command.u16_at(4));
    let of_code =
        || OPERATIONS.iter().filter(|operation| operation.code == code && serves(operation, command.unit));
    let has_actions = of_code().any(|operation| operation.action.is_some());
    let with_this_action = || of_code().find(|operation| operation.action.map(u16::from) == Some(action));
    let data = match options & 7 {
        0 => all(command.unit, with_timeouts),
        1 if has_actions => return Err(sense::invalid_cdb(2).into()),
        1 => one(of_code().next(), with_timeouts),
        2 if !has_actions && of_code().next().is_some() => return Err(sense::invalid_cdb(2).into()),
        2 => one(with_this_action(), with_timeouts),
        3 if has_actions => one(with_this_action(), with_timeouts),
        3 => one(of_code().next().filter(|_| action == 0), with_timeouts),
        _ => return Err(sense::invalid_cdb(2).into()),
    };
    command.reply(data, command.u32_at(6))
}

/// No timeouts are recommended.
const TIMEOUTS_DESCRIPTOR: [u8; 12] = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// SPC-4 table 298.
fn all(unit: &Unit, with_timeouts: bool) -> Vec<u8> {
    let mut list = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| serves(operation, unit)) {
        let [high, low] = u16::from(operation.action.unwrap_or(0)).to_be_bytes();
        let flags = u8::from(with_timeouts) << 1 | u8::from(operation.action.is_some());
        list.extend([operation.code, 0, high, low, 0, flags, 0, operation.usage.len() as u8]);
        if with_timeouts {
            list.extend(TIMEOUTS_DESCRIPTOR);
        }
    }
    [&(list.len() as u32).to_be_bytes()[..], list.as_slice()].concat()
}

/// SPC-4 table 300.
fn one(operation: Option<&Operation>, with_timeouts: bool) -> Vec<u8> {
    const NOT_SUPPORTED: u8 = 1;
    const SUPPORTED: u8 = 3;
    let Some(operation) = operation else { return vec![0, NOT_SUPPORTED, 0, 0] };
    let mut data = vec![0, u8::from(with_timeouts) << 7 | SUPPORTED, 0, operation.usage.len() as u8];
    data.extend(operation.usage);
    if with_timeouts {
        data.extend(TIMEOUTS_DESCRIPTOR);
    }
    data
}
