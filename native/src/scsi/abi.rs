//! The part of the C ABI for SCSI controllers. `src/vmm/native/scsi.ts` binds it.

use super::controller::Controller;
use super::unit::{Address, Identity, Kind, Modes, Unit, attention, media_event};
use crate::errno::{Errno, Result};
use crate::queue_abi::{bytes, read};
use crate::queue_thread::QueueConfig;
use crate::{answer, handles, on_vm};
use std::sync::Arc;

pub const VENDOR_BYTES: usize = 8;
pub const PRODUCT_BYTES: usize = 16;
pub const REVISION_BYTES: usize = 4;
pub const SERIAL_BYTES: usize = 36;

crate::abi_struct! {
    /// A logical unit, as passed by JavaScript. Strings are ASCII, padded with spaces; the serial number with zeros.
    pub struct ScsiUnitConfig {
        /// NAA identifiers of the unit and of its port; 0 for none.
        pub wwn: u64,
        pub port_wwn: u64,
        /// Target in bits 16 to 23, logical unit number in bits 0 to 13.
        pub address: u32,
        /// `scsi_unit_flag` bits.
        pub flags: u32,
        /// In bytes: a logical block, a power of two from 512; a physical block, at least as large; and preferred
        /// transfer sizes, 0 if unknown.
        pub logical_block: u32,
        pub physical_block: u32,
        pub min_io: u32,
        pub optimal_io: u32,
        /// 0 if not reported, 1 for non-rotating, else revolutions per minute.
        pub rotation_rate: u32,
        /// The queue block in which its commands are counted; `NO_COUNTERS` for none.
        pub counter_slot: u32,
        pub vendor: [u8; VENDOR_BYTES],
        pub product: [u8; PRODUCT_BYTES],
        pub revision: [u8; REVISION_BYTES],
        pub serial: [u8; SERIAL_BYTES],
    }
}

crate::abi_constants! {
    /// Bits of `ScsiUnitConfig::flags`.
    pub mod scsi_unit_flag as SCSI_UNIT_FLAG: u32 {
        /// A CD drive, not a disk.
        CD = 1,
        REMOVABLE = 2,
        /// It reports support for the DPO and FUA bits.
        DPOFUA = 4,
        /// Its write cache is on after a reset.
        WRITE_CACHE = 8,
    }
}

crate::abi_struct! {
    /// A logical unit's state, as JavaScript reads and writes it.
    pub struct ScsiUnitState {
        /// Pending unit attentions, as the unit's own bits.
        pub attentions: u32,
        /// The unit's code of a media event.
        pub media_event: u32,
        /// `scsi_unit_state` bits.
        pub flags: u32,
    }
}

crate::abi_constants! {
    /// Bits of `ScsiUnitState::flags`.
    pub mod scsi_unit_state as SCSI_UNIT_STATE: u32 {
        WRITE_CACHE = 1,
        DESCRIPTOR_SENSE = 2,
        TRAY_OPEN = 4,
        /// The driver prevents removal of the medium.
        LOCKED = 8,
        /// The driver has subscribed to media events.
        SUBSCRIBED = 16,
    }
}

crate::abi_constants! {
    /// The kinds of a controller's queues.
    pub mod scsi_queue as SCSI_QUEUE: u32 {
        CONTROL = 0,
        EVENTS = 1,
        REQUESTS = 2,
    }
}

const MAX_LUN: u32 = 0x3fff;
const KNOWN_FLAGS: u32 =
    scsi_unit_flag::CD | scsi_unit_flag::REMOVABLE | scsi_unit_flag::DPOFUA | scsi_unit_flag::WRITE_CACHE;
const MAX_BLOCK: u32 = 32768;

fn address_of(packed: u32) -> Result<Address> {
    let (target, lun) = (packed >> 16, packed & 0xffff);
    match target <= 255 && lun <= MAX_LUN {
        true => Ok(Address { target: target as u8, lun: lun as u16 }),
        false => Err(Errno(libc::EINVAL)),
    }
}

fn unit_of(config: &ScsiUnitConfig) -> Result<Unit> {
    let has = |flag| config.flags & flag != 0;
    let block = config.logical_block;
    let is_block = |bytes: u32| bytes.is_power_of_two() && (512..=MAX_BLOCK).contains(&bytes);
    let physical = config.physical_block;
    let rotation_rate = u16::try_from(config.rotation_rate).map_err(|_| Errno(libc::EINVAL))?;
    let is_valid = is_block(block) && physical.is_power_of_two() && physical >= block;
    if !is_valid || config.flags & !KNOWN_FLAGS != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let serial = config.serial.iter().take_while(|byte| **byte != 0).copied().collect();
    let identity = Identity {
        kind: if has(scsi_unit_flag::CD) { Kind::Cd } else { Kind::Disk },
        vendor: config.vendor,
        product: config.product,
        revision: config.revision,
        serial,
        wwn: config.wwn,
        port_wwn: config.port_wwn,
        block,
        physical_exponent: (physical / block).trailing_zeros() as u8,
        min_io: config.min_io,
        optimal_io: config.optimal_io,
        rotation_rate,
        removable: has(scsi_unit_flag::REMOVABLE),
        dpofua: has(scsi_unit_flag::DPOFUA),
    };
    Ok(Unit::new(address_of(config.address)?, identity, has(scsi_unit_flag::WRITE_CACHE)))
}

fn on_controller(vm: i32, controller: u32, action: impl FnOnce(Arc<Controller>) -> Result<()>) -> i32 {
    on_vm(vm, |vm| action(vm.controllers().get(controller)?))
}

fn on_unit(vm: i32, controller: u32, address: u32, action: impl FnOnce(&Unit) -> Result<()>) -> i32 {
    on_controller(vm, controller, |controller| {
        action(&*controller.unit(address_of(address)?).ok_or(Errno(libc::ENOENT))?)
    })
}

/// Makes a SCSI controller without units and returns its handle. `machine_fd` is an eventfd, which is duplicated: it is
/// signaled when `vring_scsi_settle` must be called, and the driver may have changed trays.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_create(vm: i32, machine_fd: i32) -> i32 {
    answer(|| {
        let machine = crate::queue_thread::duplicate(machine_fd)?;
        Ok(handles::get(vm)?.controllers().add(Arc::new(Controller::new(machine)?))? as i32)
    })
}

/// Frees the handle. Queues that serve the controller keep it.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_destroy(vm: i32, controller: u32) -> i32 {
    on_vm(vm, |vm| vm.controllers().remove(controller).map(drop))
}

/// Closes removed media that no request uses any more, and wakes queue threads that must retry their requests.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_settle(vm: i32, controller: u32) -> i32 {
    on_controller(vm, controller, |controller| {
        controller.settle();
        Ok(())
    })
}

/// Sets the bytes of CDBs, at most 255, and of sense data, at most 65535, in requests that begin from now on.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_set_sizes(vm: i32, controller: u32, cdb: u32, sense: u32) -> i32 {
    on_controller(vm, controller, |controller| controller.set_sizes(cdb, sense))
}

/// Adds a unit without a medium. EEXIST if its address is taken.
///
/// # Safety
/// `unit` points to a valid config.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_scsi_add_unit(vm: i32, controller: u32, unit: *const ScsiUnitConfig) -> i32 {
    on_vm(vm, |vm| {
        // SAFETY: the caller's promise.
        let config = unsafe { read(unit)? };
        let counters = vm.queue_counters(config.counter_slot)?;
        vm.controllers().get(controller)?.add(unit_of(&config)?.counting_in(counters))
    })
}

/// Removes a unit. Commands in progress end without its medium.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_remove_unit(vm: i32, controller: u32, address: u32) -> i32 {
    on_controller(vm, controller, |controller| controller.remove(address_of(address)?))
}

/// Inserts an image into a drive, replacing its medium, with the limiter that its requests share. With `first` the
/// driver is not notified of a new medium.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_insert(
    vm: i32,
    controller: u32,
    address: u32,
    image: u32,
    limiter: u32,
    first: i32,
) -> i32 {
    on_vm(vm, |vm| {
        let controller = vm.controllers().get(controller)?;
        let (image, limiter) = (vm.images().get(image)?, vm.limiters().get(limiter)?);
        controller.insert(address_of(address)?, image, limiter, first != 0)
    })
}

/// Removes the medium from a drive.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_eject(vm: i32, controller: u32, address: u32) -> i32 {
    on_controller(vm, controller, |controller| controller.eject(address_of(address)?))
}

/// Asks the driver to release a drive's medium, as its eject button does.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_request_eject(vm: i32, controller: u32, address: u32) -> i32 {
    on_unit(vm, controller, address, |unit| {
        unit.drive(|drive| drive.event = media_event::EJECT_REQUEST);
        Ok(())
    })
}

/// Notes that a unit's medium has a new size: the driver learns it with its next command.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_capacity_changed(vm: i32, controller: u32, address: u32) -> i32 {
    on_unit(vm, controller, address, |unit| {
        unit.attend(attention::CAPACITY_CHANGED);
        Ok(())
    })
}

/// Resets all units to their power-on state, and drops events. Not while queues run.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_reset(vm: i32, controller: u32) -> i32 {
    on_controller(vm, controller, |controller| {
        controller.units(None).iter().for_each(|unit| unit.reset());
        controller.events.reset(false);
        Ok(())
    })
}

/// Notifies the driver of an event (`VIRTIO_SCSI_T_*`) of a unit.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_event(vm: i32, controller: u32, event: u32, address: u32, reason: u32) -> i32 {
    on_controller(vm, controller, |controller| {
        controller.events.push(event, address_of(address)?, reason);
        Ok(())
    })
}

/// Returns 1 if there are events that the driver has not received, else 0.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_has_events(vm: i32, controller: u32) -> i32 {
    answer(|| Ok(handles::get(vm)?.controllers().get(controller)?.events.has_any().into()))
}

/// Notifies the driver that it has missed events.
#[unsafe(no_mangle)]
pub extern "C" fn vring_scsi_miss_events(vm: i32, controller: u32) -> i32 {
    on_controller(vm, controller, |controller| {
        controller.events.reset(true);
        Ok(())
    })
}

/// # Safety
/// `out` is large enough for a `ScsiUnitState`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_scsi_unit_state(
    vm: i32,
    controller: u32,
    address: u32,
    out: *mut ScsiUnitState,
) -> i32 {
    on_unit(vm, controller, address, |unit| {
        let Modes { write_cache, descriptor_sense } = unit.modes();
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let state = unit.drive(|drive| ScsiUnitState {
            attentions: unit.attentions(),
            media_event: drive.event.into(),
            flags: bit(write_cache, scsi_unit_state::WRITE_CACHE)
                | bit(descriptor_sense, scsi_unit_state::DESCRIPTOR_SENSE)
                | bit(drive.tray_open, scsi_unit_state::TRAY_OPEN)
                | bit(drive.locked, scsi_unit_state::LOCKED)
                | bit(drive.subscribed, scsi_unit_state::SUBSCRIBED),
        });
        // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
        unsafe { out.write_unaligned(state) };
        Ok(())
    })
}

/// # Safety
/// `state` points to a valid state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_scsi_set_unit_state(
    vm: i32,
    controller: u32,
    address: u32,
    state: *const ScsiUnitState,
) -> i32 {
    on_unit(vm, controller, address, |unit| {
        // SAFETY: the caller's promise.
        let ScsiUnitState { attentions, media_event, flags } = unsafe { read(state)? };
        if media_event > media_event::MEDIA_REMOVAL.into() {
            return Err(Errno(libc::EINVAL));
        }
        let has = |flag| flags & flag != 0;
        unit.set_modes(Modes {
            write_cache: has(scsi_unit_state::WRITE_CACHE),
            descriptor_sense: has(scsi_unit_state::DESCRIPTOR_SENSE),
        });
        unit.set_attentions(attentions);
        unit.drive(|drive| {
            drive.event = media_event as u8;
            drive.tray_open = has(scsi_unit_state::TRAY_OPEN);
            drive.locked = has(scsi_unit_state::LOCKED);
            drive.subscribed = has(scsi_unit_state::SUBSCRIBED);
        });
        Ok(())
    })
}

/// Starts a thread that serves a queue of this kind (`scsi_queue`) of a controller, as `vring_blk_queue_start` does.
///
/// # Safety
/// As for `vring_blk_queue_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_scsi_queue_start(
    vm: i32,
    queue: *const QueueConfig,
    unfinished: *const u8,
    unfinished_bytes: u32,
    controller: u32,
    kind: u32,
) -> i32 {
    answer(|| {
        // SAFETY: the caller's promises.
        let (queue, unfinished) = unsafe { (read(queue)?, bytes(unfinished, unfinished_bytes)?) };
        Ok(handles::get(vm)?.start_scsi_queue(&queue, unfinished, controller, kind)? as i32)
    })
}
