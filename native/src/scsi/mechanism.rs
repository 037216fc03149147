//! The tray and the lock of a drive with a removable medium.

use super::command::{Action, Answer, Command};
use super::sense;
use super::unit::media_event;

/// START STOP UNIT (SBC-4 §5.31, MMC-6 §6.42).
pub fn start_stop_unit(command: &Command) -> Answer {
    const START: u8 = 0x01;
    const LOAD_EJECT: u8 = 0x02;
    const POWER_CONDITION: u8 = 0xf0;
    let flags = command.cdb[4];
    if flags & POWER_CONDITION != 0 || flags & LOAD_EJECT == 0 {
        return Ok(Action::Done);
    }
    if !command.unit.identity.removable {
        return Err(sense::invalid_cdb(4).into());
    }
    let open = flags & START == 0;
    let changed = command.unit.drive(|drive| {
        if open && drive.locked {
            return Err(sense::REMOVAL_PREVENTED);
        }
        if drive.tray_open == open {
            return Ok(false);
        }
        drive.tray_open = open;
        if drive.is_loaded() {
            drive.event = if open { media_event::MEDIA_REMOVAL } else { media_event::NEW_MEDIA };
        }
        Ok(true)
    })?;
    if changed {
        command.controller.events.medium_changed(command.unit);
        command.controller.signal_machine();
    }
    Ok(Action::Done)
}

/// PREVENT ALLOW MEDIUM REMOVAL (SPC-4 §6.18).
pub fn prevent_allow_medium_removal(command: &Command) -> Answer {
    const PREVENT: u8 = 0x01;
    if !command.unit.identity.removable {
        return Err(sense::invalid_cdb(4).into());
    }
    let locked = command.cdb[4] & PREVENT != 0;
    let changed = command.unit.drive(|drive| std::mem::replace(&mut drive.locked, locked) != locked);
    if changed {
        command.controller.signal_machine();
    }
    Ok(Action::Done)
}
