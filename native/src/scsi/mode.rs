//! Mode parameters (SPC-4 §6.11, §6.13, §7.5): a unit's configurable behavior.

use super::blocks::flush;
use super::command::{Action, Answer, Command, Refusal};
use super::sense::{self, Sense};
use super::unit::Modes;

const ERROR_RECOVERY: u8 = 0x01;
const CACHING: u8 = 0x08;
const CONTROL: u8 = 0x0a;
/// CD capabilities and mechanical status (MMC-3 §5.5.10).
const CAPABILITIES: u8 = 0x2a;
const ALL_PAGES: u8 = 0x3f;
const WRITE_CACHE: u8 = 0x04;
const DESCRIPTOR_SENSE: u8 = 0x04;

/// Which values of a page are requested.
#[derive(Clone, Copy, PartialEq)]
enum Values {
    Current,
    Changeable,
    Default,
}

/// The layout of a header, which MODE SENSE and MODE SELECT have in two sizes.
#[derive(Clone, Copy)]
struct Header {
    bytes: usize,
    /// Offset of the low byte of the block descriptor length.
    descriptors_at: usize,
}

const HEADER_6: Header = Header { bytes: 4, descriptors_at: 3 };
const HEADER_10: Header = Header { bytes: 8, descriptors_at: 7 };
const DESCRIPTOR_BYTES: usize = 8;

pub fn mode_sense_6(command: &Command) -> Answer {
    let data = mode_data(command, HEADER_6)?;
    command.reply(data, command.cdb[4])
}

pub fn mode_sense_10(command: &Command) -> Answer {
    let data = mode_data(command, HEADER_10)?;
    command.reply(data, command.u16_at(7))
}

fn mode_data(command: &Command, header: Header) -> Result<Vec<u8>, Sense> {
    const DISABLE_DESCRIPTORS: u8 = 0x08;
    let [_, flags, page, subpage, ..] = command.cdb;
    let values = match page >> 6 {
        0 => Values::Current,
        1 => Values::Changeable,
        2 => Values::Default,
        _ => return Err(sense::SAVING_NOT_SUPPORTED),
    };
    let modes = match values {
        Values::Current => command.unit.modes(),
        _ => command.unit.default_modes(),
    };
    // Requesting all subpages returns the page itself.
    if subpage != 0 && subpage != 0xff {
        return Err(sense::invalid_cdb(3));
    }
    let page = page & 0x3f;
    let pages = match page {
        ALL_PAGES => {
            pages_of(command).iter().filter_map(|page| mode_page(command, *page, modes, values)).collect()
        }
        page if pages_of(command).contains(&page) => {
            vec![mode_page(command, page, modes, values).expect("a page of the unit")]
        }
        _ => return Err(sense::invalid_cdb(2)),
    };
    let mut data = vec![0; header.bytes];
    if flags & DISABLE_DESCRIPTORS == 0 && !command.unit.is_cd() {
        data.extend(block_descriptor(command));
        data[header.descriptors_at] = DESCRIPTOR_BYTES as u8;
    }
    pages.iter().for_each(|page| data.extend(page));
    let specific = device_specific(command);
    if header.bytes == HEADER_6.bytes {
        data[0] = (data.len() - 1) as u8;
        data[2] = specific;
    } else {
        let len = (data.len() - 2) as u16;
        data[0..2].copy_from_slice(&len.to_be_bytes());
        data[3] = specific;
    }
    Ok(data)
}

/// Whether the medium is writable, and whether DPO and FUA are supported.
fn device_specific(command: &Command) -> u8 {
    if command.unit.is_cd() {
        return 0;
    }
    let readonly = command.medium().is_ok_and(|medium| medium.image.state().readonly);
    u8::from(readonly) << 7 | u8::from(command.unit.identity.dpofua) << 4
}

/// SBC-4 §6.5.2.2. The number of blocks is 0 without a medium, or if it does not fit.
fn block_descriptor(command: &Command) -> [u8; DESCRIPTOR_BYTES] {
    let block = command.unit.identity.block;
    let capacity = command.medium().map_or(0, |medium| medium.image.state().capacity());
    let blocks = u32::try_from(capacity / u64::from(block)).ok().filter(|blocks| *blocks <= 0xff_ffff);
    let mut descriptor = [0; DESCRIPTOR_BYTES];
    descriptor[0..4].copy_from_slice(&blocks.unwrap_or(0).to_be_bytes());
    descriptor[4..8].copy_from_slice(&block.to_be_bytes());
    descriptor
}

fn pages_of(command: &Command) -> &'static [u8] {
    match command.unit.is_cd() {
        true => &[ERROR_RECOVERY, CACHING, CONTROL, CAPABILITIES],
        false => &[ERROR_RECOVERY, CACHING, CONTROL],
    }
}

/// A page with its header. In the changeable values, the bits that a driver can change are set.
fn mode_page(command: &Command, page: u8, modes: Modes, values: Values) -> Option<Vec<u8>> {
    let changeable = values == Values::Changeable;
    let bit = |on: bool, bit: u8| if on || changeable { bit } else { 0 };
    let fixed = |value: u8| if changeable { 0 } else { value };
    let content = match page {
        ERROR_RECOVERY => {
            const REALLOCATES_ON_WRITE: u8 = 0x80;
            const CD_RETRIES: u8 = 0x20;
            let cd = command.unit.is_cd();
            let (flags, retries) = if cd { (0, CD_RETRIES) } else { (REALLOCATES_ON_WRITE, 0) };
            vec![fixed(flags), fixed(retries), 0, 0, 0, 0, 0, 0, 0, 0]
        }
        CACHING => {
            let mut content = vec![0; 18];
            let changes = !command.unit.is_cd();
            content[0] = if changes { bit(modes.write_cache, WRITE_CACHE) } else { 0 };
            content
        }
        CONTROL => {
            /// Commands may be carried out in any order.
            const UNRESTRICTED_REORDERING: u8 = 0x10;
            let mut content = vec![0; 10];
            content[0] = bit(modes.descriptor_sense, DESCRIPTOR_SENSE);
            content[1] = fixed(UNRESTRICTED_REORDERING);
            content
        }
        CAPABILITIES => capabilities(command).into_iter().map(fixed).collect(),
        _ => return None,
    };
    Some([&[page, content.len() as u8], content.as_slice()].concat())
}

/// The drive reads CD-R, CD-RW and DVD-ROM, and has a tray with a lock.
fn capabilities(command: &Command) -> [u8; 20] {
    const READS: u8 = 0x0b;
    /// Multiple sessions, and sectors of both forms of mode 2.
    const MULTISESSION: u8 = 0x70;
    const TRAY: u8 = 0x20;
    const EJECTS: u8 = 0x08;
    const LOCKED: u8 = 0x02;
    const LOCKS: u8 = 0x01;
    /// Speed 50x, and a buffer of 2 MiB, in KiB.
    const SPEED: [u8; 2] = (50u16 * 176).to_be_bytes();
    const BUFFER: [u8; 2] = 2048u16.to_be_bytes();
    let locked = if command.unit.drive(|drive| drive.locked) { LOCKED } else { 0 };
    let mut content = [0; 20];
    content[0] = READS;
    content[2] = MULTISESSION;
    content[4] = TRAY | EJECTS | LOCKS | locked;
    content[6..8].copy_from_slice(&SPEED);
    content[10..12].copy_from_slice(&BUFFER);
    content[12..14].copy_from_slice(&SPEED);
    content
}

pub fn mode_select_6(command: &Command) -> Answer {
    mode_select(command, HEADER_6, command.cdb[4].into())
}

pub fn mode_select_10(command: &Command) -> Answer {
    mode_select(command, HEADER_10, command.u16_at(7))
}

fn mode_select(command: &Command, header: Header, len: u16) -> Answer {
    const PAGE_FORMAT: u8 = 0x10;
    const SAVE: u8 = 0x01;
    if command.cdb[1] & (PAGE_FORMAT | SAVE) != PAGE_FORMAT {
        return Err(sense::invalid_cdb(1).into());
    }
    let list = command.parameters(len)?;
    if list.is_empty() {
        return Ok(Action::Done);
    }
    let before = command.unit.modes();
    let after = selected(command, header, &list, before)?;
    command.unit.set_modes(after);
    // From now on writes are durable when they complete; earlier ones must become durable as well.
    let flushes = before.write_cache && !after.write_cache && command.medium().is_ok();
    if flushes { flush(command) } else { Ok(Action::Done) }
}

/// The modes after applying a parameter list, which is fully checked first.
fn selected(command: &Command, header: Header, list: &[u8], before: Modes) -> Result<Modes, Refusal> {
    if list.len() < header.bytes {
        return Err(sense::PARAMETER_LIST_LENGTH.into());
    }
    let Header { descriptors_at, .. } = header;
    let descriptors = usize::from(list[descriptors_at]);
    let long = header.bytes == HEADER_10.bytes && list[descriptors_at - 1] != 0;
    if long || (descriptors != 0 && descriptors != DESCRIPTOR_BYTES) {
        return Err(sense::invalid_parameter(descriptors_at as u16).into());
    }
    let mut at = header.bytes + descriptors;
    if at > list.len() {
        return Err(sense::PARAMETER_LIST_LENGTH.into());
    }
    if descriptors != 0 && list[at - 3..at] != command.unit.identity.block.to_be_bytes()[1..] {
        return Err(sense::invalid_parameter(at as u16 - 3).into());
    }
    let mut modes = before;
    while at < list.len() {
        let page = &list[at..];
        if page.len() < 2 || page.len() < 2 + usize::from(page[1]) {
            return Err(sense::PARAMETER_LIST_LENGTH.into());
        }
        let page = &page[..2 + usize::from(page[1])];
        modes = changed(command, page, at, modes)?;
        at += page.len();
    }
    Ok(modes)
}

/// The modes after applying a page, which may change only what is changeable.
fn changed(command: &Command, page: &[u8], at: usize, modes: Modes) -> Result<Modes, Sense> {
    let code = page[0] & 0x7f;
    let known = pages_of(command).contains(&code);
    let values = |values| mode_page(command, code, modes, values).filter(|_| known);
    let (Some(current), Some(changeable)) = (values(Values::Current), values(Values::Changeable)) else {
        return Err(sense::invalid_parameter(at as u16));
    };
    if current.len() != page.len() {
        return Err(sense::invalid_parameter(at as u16 + 1));
    }
    let wrong = (2..page.len()).find(|byte| (page[*byte] ^ current[*byte]) & !changeable[*byte] != 0);
    if let Some(byte) = wrong {
        return Err(sense::invalid_parameter((at + byte) as u16));
    }
    Ok(match code {
        CACHING if !command.unit.is_cd() => Modes { write_cache: page[2] & WRITE_CACHE != 0, ..modes },
        CONTROL => Modes { descriptor_sense: page[2] & DESCRIPTOR_SENSE != 0, ..modes },
        _ => modes,
    })
}
