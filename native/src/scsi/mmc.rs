//! Commands of CD and DVD drives (MMC-6), for media with one data track.

use super::command::{Answer, Command};
use super::medium::Medium;
use super::sense::{self, Sense};
use super::unit::media_event;

/// Sectors of the longest CD: 80 minutes of 60 seconds with 75 sectors each.
const MAX_CD_SECTORS: u64 = 80 * 60 * 75;
const SECTOR_BYTES: u64 = 2048;
const PROFILE_CD: u16 = 0x0008;
const PROFILE_DVD: u16 = 0x0010;
/// Minutes, seconds and frames of sector 0.
const MSF_OFFSET: u64 = 150;
const LEAD_OUT: u8 = 0xaa;
/// A data track; the subchannel holds the position.
const DATA_TRACK: u8 = 0x14;

fn sectors(medium: &Medium) -> u64 {
    medium.image.state().capacity() / SECTOR_BYTES
}

fn is_dvd(medium: &Medium) -> bool {
    sectors(medium) > MAX_CD_SECTORS
}

/// A sector's address in a table of contents.
fn position(sector: u64, as_time: bool) -> [u8; 4] {
    if !as_time {
        return u32::try_from(sector).unwrap_or(u32::MAX).to_be_bytes();
    }
    let frames = sector + MSF_OFFSET;
    [0, (frames / 75 / 60).min(255) as u8, (frames / 75 % 60) as u8, (frames % 75) as u8]
}

/// Data preceded by its 2-byte length, which does not count itself.
fn with_length(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

/// READ TOC/PMA/ATIP (MMC-6 §6.25).
pub fn read_toc(command: &Command) -> Answer {
    let medium = command.medium()?;
    let as_time = command.cdb[1] & 2 != 0;
    // Old drivers put the format in the control byte.
    let format = if command.cdb[2] & 0xf != 0 { command.cdb[2] & 0xf } else { command.cdb[9] >> 6 };
    let content = match format {
        0 => formatted_toc(&medium, command.cdb[6], as_time)?,
        // Sessions: the first track of the last session.
        1 => [&[1, 1, 0, DATA_TRACK, 1, 0][..], &position(0, as_time)].concat(),
        2 => full_toc(&medium),
        _ => return Err(sense::invalid_cdb(2).into()),
    };
    command.reply(with_length(&content), command.u16_at(7))
}

/// MMC-6 table 491.
fn formatted_toc(medium: &Medium, first: u8, as_time: bool) -> Result<Vec<u8>, Sense> {
    if first > 1 && first != LEAD_OUT {
        return Err(sense::invalid_cdb(6));
    }
    let mut content = vec![1, 1];
    if first <= 1 {
        content.extend([0, DATA_TRACK, 1, 0]);
        content.extend(position(0, as_time));
    }
    content.extend([0, DATA_TRACK, LEAD_OUT, 0]);
    content.extend(position(sectors(medium), as_time));
    Ok(content)
}

/// The entries of the lead-in (MMC-6 table 494): first track, last track, lead-out, and the track.
fn full_toc(medium: &Medium) -> Vec<u8> {
    let entry = |point: u8, [_, minutes, seconds, frames]: [u8; 4]| {
        [1, DATA_TRACK, 0, point, 0, 0, 0, 0, minutes, seconds, frames]
    };
    let mut content = vec![1, 1];
    content.extend(entry(0xa0, [0, 1, 0, 0]));
    content.extend(entry(0xa1, [0, 1, 0, 0]));
    content.extend(entry(0xa2, position(sectors(medium), true)));
    content.extend(entry(1, position(0, true)));
    content
}

/// GET CONFIGURATION (MMC-6 §6.5).
pub fn get_configuration(command: &Command) -> Answer {
    const CURRENT_ONLY: u8 = 1;
    const ONE: u8 = 2;
    let kind = command.cdb[1] & 3;
    let from = command.u16_at(2);
    if kind > ONE {
        return Err(sense::invalid_cdb(1).into());
    }
    let medium = command.medium().ok();
    let profile = medium.as_deref().map(|medium| if is_dvd(medium) { PROFILE_DVD } else { PROFILE_CD });
    let chosen = features(profile).into_iter().filter(|feature| match kind {
        ONE => feature.code == from,
        CURRENT_ONLY => feature.code >= from && feature.current,
        _ => feature.code >= from,
    });
    let mut data = vec![0; 8];
    chosen.for_each(|feature| data.extend(feature.encode()));
    let len = (data.len() - 4) as u32;
    data[0..4].copy_from_slice(&len.to_be_bytes());
    data[6..8].copy_from_slice(&profile.unwrap_or(0).to_be_bytes());
    command.reply(data, command.u16_at(7))
}

/// A feature of a drive (MMC-6 §5.2).
struct Feature {
    code: u16,
    version: u8,
    persistent: bool,
    current: bool,
    content: Vec<u8>,
}

impl Feature {
    fn encode(&self) -> Vec<u8> {
        let [high, low] = self.code.to_be_bytes();
        let flags = self.version << 2 | u8::from(self.persistent) << 1 | u8::from(self.current);
        [&[high, low, flags, self.content.len() as u8], self.content.as_slice()].concat()
    }
}

/// In order of their codes.
fn features(profile: Option<u16>) -> Vec<Feature> {
    let persistent = |code, version, content: &[u8]| Feature {
        code,
        version,
        persistent: true,
        current: true,
        content: content.to_vec(),
    };
    let of_medium = |code, version, current, content: &[u8]| Feature {
        code,
        version,
        persistent: false,
        current,
        content: content.to_vec(),
    };
    let mut profiles = Vec::new();
    for known in [PROFILE_DVD, PROFILE_CD] {
        profiles.extend(known.to_be_bytes());
        profiles.extend([u8::from(profile == Some(known)), 0]);
    }
    let block = (SECTOR_BYTES as u32).to_be_bytes();
    vec![
        persistent(0x0000, 0, &profiles),
        // Core: SCSI family, with DBE.
        persistent(0x0001, 2, &[0, 0, 0, 1, 1, 0, 0, 0]),
        // Morphing: operational change requests by polling.
        persistent(0x0002, 1, &[2, 0, 0, 0]),
        // Removable medium: a tray that loads, ejects and locks.
        persistent(0x0003, 2, &[0x39, 0, 0, 0]),
        of_medium(0x0010, 0, profile.is_some(), &[&block[..], &[0, 1, 0, 0]].concat()),
        of_medium(0x001e, 2, profile == Some(PROFILE_CD), &[0, 0, 0, 0]),
        of_medium(0x001f, 0, profile == Some(PROFILE_DVD), &[]),
        // Power management and timeouts.
        persistent(0x0100, 0, &[]),
        persistent(0x0105, 0, &[]),
    ]
}

/// GET EVENT STATUS NOTIFICATION (MMC-6 §6.6), for media events.
pub fn get_event_status_notification(command: &Command) -> Answer {
    const POLLED: u8 = 1;
    const MEDIA: u8 = 4;
    const NO_EVENT_AVAILABLE: u8 = 0x80;
    if command.cdb[1] & POLLED == 0 {
        return Err(sense::invalid_cdb(1).into());
    }
    let supported = 1 << MEDIA;
    let allocation = command.u16_at(7);
    if command.cdb[4] & supported == 0 {
        return command.reply(vec![0, 2, NO_EVENT_AVAILABLE, supported], allocation);
    }
    let (event, status) = command.unit.drive(|drive| {
        let status = u8::from(drive.tray_open) | u8::from(drive.medium().is_some()) << 1;
        // An event that does not fit the driver's buffer stays pending.
        let event =
            if allocation > 4 { std::mem::replace(&mut drive.event, media_event::NONE) } else { drive.event };
        (event, status)
    });
    command.reply(vec![0, 6, MEDIA, supported, event, status, 0, 0], allocation)
}

/// READ DISC INFORMATION (MMC-6 §6.21): one complete session with one track.
pub fn read_disc_information(command: &Command) -> Answer {
    const COMPLETE: u8 = 0x0e;
    const UNRESTRICTED: u8 = 0x20;
    command.medium()?;
    if command.cdb[1] & 7 != 0 {
        return Err(sense::invalid_cdb(1).into());
    }
    let mut content = [0; 32];
    content[0..6].copy_from_slice(&[COMPLETE, 1, 1, 1, 1, UNRESTRICTED]);
    // Where a next session would start: not applicable.
    content[14..22].fill(0xff);
    command.reply(with_length(&content), command.u16_at(7))
}

/// READ TRACK INFORMATION (MMC-6 §6.26).
pub fn read_track_information(command: &Command) -> Answer {
    const BY_SECTOR: u8 = 0;
    let medium = command.medium()?;
    let number = command.u32_at(2);
    match command.cdb[1] & 3 {
        BY_SECTOR if u64::from(number) >= sectors(&medium) => return Err(sense::OUT_OF_RANGE.into()),
        // By track, or by session.
        1 | 2 if number != 1 => return Err(sense::invalid_cdb(2).into()),
        3 => return Err(sense::invalid_cdb(1).into()),
        _ => {}
    }
    let mut content = [0; 34];
    // Track 1 of session 1: data, mode 1.
    content[0..2].copy_from_slice(&[1, 1]);
    content[3] = 4;
    content[4] = 1;
    content[22..26].copy_from_slice(&position(sectors(&medium), false));
    command.reply(with_length(&content), command.u16_at(7))
}

/// MECHANISM STATUS (MMC-6 §6.10), for a drive with one slot.
pub fn mechanism_status(command: &Command) -> Answer {
    const DOOR_OPEN: u8 = 0x10;
    let open = command.unit.drive(|drive| drive.tray_open);
    let status = vec![0, if open { DOOR_OPEN } else { 0 }, 0, 0, 0, 1, 0, 0];
    command.reply(status, command.u16_at(8))
}

/// READ DISC STRUCTURE (MMC-6 §6.22), for a DVD.
pub fn read_disc_structure(command: &Command) -> Answer {
    /// Marks a readable format; its structure's length follows.
    const READABLE: u8 = 0x40;
    const LIST: u8 = 0xff;
    let format = command.cdb[7];
    let content = match format {
        LIST => {
            let physical = [0x00, READABLE, 0x08, 0x04];
            [physical, [0x01, READABLE, 0, 8], [0x04, READABLE, 0x08, 0x04]].concat()
        }
        0x00 | 0x01 | 0x04 => {
            let medium = command.medium()?;
            if !is_dvd(&medium) {
                return Err(sense::INCOMPATIBLE_FORMAT.into());
            }
            match format {
                0x00 => physical_format(&medium),
                // No copy protection, all regions.
                0x01 => vec![0; 4],
                // No manufacturer data.
                _ => vec![0; 2048],
            }
        }
        _ => return Err(sense::invalid_cdb(7).into()),
    };
    command.reply(with_length(&[&[0, 0], content.as_slice()].concat()), command.u16_at(8))
}

/// Physical format information (MMC-6 table 399): a single-layer DVD-ROM of 120 mm.
fn physical_format(medium: &Medium) -> Vec<u8> {
    /// Where data starts on a DVD.
    const START: u32 = 0x3_0000;
    let last = u64::from(START) + sectors(medium).saturating_sub(1);
    let mut data = vec![0; 2048];
    // DVD-ROM of book version 1; 120 mm, no maximum rate; one layer, embossed; 0.267 µm/bit, 0.74 µm/track.
    data[0..4].copy_from_slice(&[0x01, 0x0f, 0x01, 0x00]);
    data[4..8].copy_from_slice(&START.to_be_bytes());
    data[8..12].copy_from_slice(&(last.min(0xff_ffff) as u32).to_be_bytes());
    data
}
