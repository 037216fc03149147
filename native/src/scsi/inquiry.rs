//! INQUIRY with its vital product data, and REPORT LUNS (SPC-4 §6.6, §6.33, §7.8).

use super::blocks::{MAX_RANGE_BYTES, MAX_UNMAP_DESCRIPTORS, can_unmap};
use super::command::{Answer, Command};
use super::sense;
use super::unit::{Address, Identity, Kind, Unit, attention};

/// Peripheral device types.
const DIRECT_ACCESS: u8 = 0x00;
const CD_DVD: u8 = 0x05;
/// The peripheral qualifier and type of an address without a unit.
const NO_UNIT: u8 = 0x7f;

/// Version descriptors (SPC-4 table 142): SAM-4, SPC-4, and SBC-3 or MMC-6.
const SAM_4: u16 = 0x0080;
const SPC_4: u16 = 0x0460;
const SBC_3: u16 = 0x04c0;
const MMC_6: u16 = 0x04e0;

const STANDARD_BYTES: usize = 74;

pub fn inquiry(command: &Command) -> Answer {
    const VITAL: u8 = 1;
    const OBSOLETE: u8 = 2;
    let [_, flags, page, ..] = command.cdb;
    if flags & OBSOLETE != 0 {
        return Err(sense::invalid_cdb(1).into());
    }
    let data = match flags & VITAL {
        0 if page != 0 => None,
        0 => Some(standard(&command.unit.identity)),
        _ => vital_page(command, page),
    };
    let data = data.ok_or(sense::invalid_cdb(2))?;
    command.reply(data, command.u16_at(3))
}

/// The standard data of an address without a unit, at a target that has others.
pub fn absent() -> Vec<u8> {
    let mut data = vec![0; 36];
    data[0] = NO_UNIT;
    data[2] = 6;
    data[3] = 2;
    data[4] = 31;
    data
}

fn device_type(identity: &Identity) -> u8 {
    match identity.kind {
        Kind::Disk => DIRECT_ACCESS,
        Kind::Cd => CD_DVD,
    }
}

/// SPC-4 table 139.
fn standard(identity: &Identity) -> Vec<u8> {
    let mut data = vec![0; STANDARD_BYTES];
    data[0] = device_type(identity);
    data[1] = if identity.removable { 0x80 } else { 0 };
    // SPC-4.
    data[2] = 6;
    // Hierarchical addressing, and response data format 2.
    data[3] = 0x12;
    data[4] = (STANDARD_BYTES - 5) as u8;
    // Command queuing is supported.
    data[7] = 0x02;
    data[8..16].copy_from_slice(&identity.vendor);
    data[16..32].copy_from_slice(&identity.product);
    data[32..36].copy_from_slice(&identity.revision);
    let set = if identity.kind == Kind::Cd { MMC_6 } else { SBC_3 };
    for (at, version) in (58..).step_by(2).zip([SAM_4, SPC_4, set]) {
        data[at..at + 2].copy_from_slice(&version.to_be_bytes());
    }
    data
}

/// A page of vital product data; None for an unsupported one.
fn vital_page(command: &Command, page: u8) -> Option<Vec<u8>> {
    let identity = &command.unit.identity;
    let content = match page {
        0x00 => supported(identity),
        0x80 if !identity.serial.is_empty() => identity.serial.clone(),
        0x83 => designators(identity),
        0xb0 if identity.kind == Kind::Disk => block_limits(command),
        0xb1 if identity.kind == Kind::Disk => characteristics(identity),
        0xb2 if identity.kind == Kind::Disk => provisioning(command),
        _ => return None,
    };
    let [high, low] = (content.len() as u16).to_be_bytes();
    Some([&[device_type(identity), page, high, low], content.as_slice()].concat())
}

fn supported(identity: &Identity) -> Vec<u8> {
    let mut pages = vec![0x00];
    if !identity.serial.is_empty() {
        pages.push(0x80);
    }
    pages.push(0x83);
    if identity.kind == Kind::Disk {
        pages.extend([0xb0, 0xb1, 0xb2]);
    }
    pages
}

/// SPC-4 §7.8.5: identifiers of the unit, and of the port through which it is reached.
fn designators(identity: &Identity) -> Vec<u8> {
    const BINARY: u8 = 1;
    const ASCII: u8 = 2;
    const T10_VENDOR: u8 = 1;
    const NAA: u8 = 3;
    /// For the target port, with the SAS protocol, since the units present themselves as SAS devices.
    const PORT: u8 = 0x90;
    const SAS: u8 = 0x60;
    let mut data = Vec::new();
    let mut add = |set: u8, kind: u8, value: &[u8]| {
        data.extend([set, kind, 0, value.len() as u8]);
        data.extend(value);
    };
    if !identity.serial.is_empty() {
        let name = [&identity.vendor[..], &identity.product[..], &identity.serial].concat();
        add(ASCII, T10_VENDOR, &name);
    }
    if identity.wwn != 0 {
        add(BINARY, NAA, &identity.wwn.to_be_bytes());
    }
    if identity.port_wwn != 0 {
        add(SAS | BINARY, PORT | NAA, &identity.port_wwn.to_be_bytes());
    }
    data
}

/// Block limits (SBC-4 §6.6.4).
fn block_limits(command: &Command) -> Vec<u8> {
    let identity = &command.unit.identity;
    let medium = command.medium().ok();
    let most = MAX_RANGE_BYTES / u64::from(identity.block);
    let in_blocks = |bytes: u32| bytes / identity.block;
    let mut data = vec![0; 60];
    // WSNZ: WRITE SAME needs a nonzero number of blocks.
    data[0] = 1;
    let granularity = in_blocks(identity.min_io).min(u16::MAX.into()) as u16;
    data[2..4].copy_from_slice(&granularity.to_be_bytes());
    data[8..12].copy_from_slice(&in_blocks(identity.optimal_io).to_be_bytes());
    if medium.is_some_and(|medium| can_unmap(command, &medium)) {
        data[16..20].copy_from_slice(&(most as u32).to_be_bytes());
        data[20..24].copy_from_slice(&MAX_UNMAP_DESCRIPTORS.to_be_bytes());
        data[24..28].copy_from_slice(&(1u32 << identity.physical_exponent).to_be_bytes());
    }
    data[32..40].copy_from_slice(&most.to_be_bytes());
    data
}

/// Block device characteristics (SBC-4 §6.6.2).
fn characteristics(identity: &Identity) -> Vec<u8> {
    let mut data = vec![0; 60];
    data[0..2].copy_from_slice(&identity.rotation_rate.to_be_bytes());
    data
}

/// Logical block provisioning (SBC-4 §6.6.6).
fn provisioning(command: &Command) -> Vec<u8> {
    const UNMAP_AND_WRITE_SAME: u8 = 0xe0;
    const THIN: u8 = 2;
    match command.medium() {
        Ok(medium) if can_unmap(command, &medium) => vec![0, UNMAP_AND_WRITE_SAME, THIN, 0],
        _ => vec![0; 4],
    }
}

pub fn report_luns(command: &Command) -> Answer {
    let data = units_of(command, command.unit.address.target)?;
    // The driver has now learned of the change.
    let units = command.controller.units(Some(command.unit.address.target));
    units.iter().for_each(|unit: &std::sync::Arc<Unit>| unit.forget_attention(attention::UNITS_CHANGED));
    command.reply(data, command.u32_at(6))
}

/// The list of a target's units.
fn units_of(command: &Command, target: u8) -> Result<Vec<u8>, sense::Sense> {
    /// Well-known logical units only, of which there are none.
    const WELL_KNOWN: u8 = 1;
    const MIN_ALLOCATION: u32 = 16;
    if command.u32_at(6) < MIN_ALLOCATION {
        return Err(sense::invalid_cdb(6));
    }
    let addresses: Vec<Address> = match command.cdb[2] {
        0 | 2 => command.controller.units(Some(target)).iter().map(|unit| unit.address).collect(),
        WELL_KNOWN => Vec::new(),
        _ => return Err(sense::invalid_cdb(2)),
    };
    let mut data = (8 * addresses.len() as u32).to_be_bytes().to_vec();
    data.extend([0; 4]);
    for address in addresses {
        let [high, low] = address.lun_field();
        data.extend([high, low, 0, 0, 0, 0, 0, 0]);
    }
    Ok(data)
}
