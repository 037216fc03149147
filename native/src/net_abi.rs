//! The part of the C ABI for network cards. `src/vmm/native/` binds it.

use crate::errno::{Errno, Result};
use crate::limiter::RateLimits;
use crate::net::{FilterConfig, Hub, NetConfig, ReceiveFilter, SharedFds, Wire, WireConfig};
use crate::queue_abi::{bytes, read};
use crate::queue_thread::QueueConfig;
use crate::{answer, handles, on_vm};
use std::os::fd::RawFd;
use std::sync::Arc;

/// The most fds of a wire.
const MAX_FDS: u32 = 64;

/// Makes a wire from files and returns its handle. The fds are duplicated, and must be non-blocking.
///
/// # Safety
/// `config` points to a valid config, and `fds` to as many fds as it specifies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_wire_open(vm: i32, config: *const WireConfig, fds: *const RawFd) -> i32 {
    answer(|| {
        // SAFETY: the caller's promises.
        let (config, fds) = unsafe {
            let config = read(config)?;
            (config, numbers(fds, config.fds)?)
        };
        let shared =
            (config.memory_fd >= 0).then_some(SharedFds { memory: config.memory_fd, room: config.room_fd });
        let wire = Wire::new(&fds, shared, config.header != 0, config.notice_fd)?;
        Ok(handles::get(vm)?.wires().add(Arc::new(wire))? as i32)
    })
}

/// # Safety
/// `pointer` points to `count` fds, or `count` is 0.
unsafe fn numbers(pointer: *const RawFd, count: u32) -> Result<Vec<RawFd>> {
    if count > MAX_FDS || (count > 0 && pointer.is_null()) {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
    Ok((0..count as usize).map(|index| unsafe { pointer.add(index).read_unaligned() }).collect())
}

/// Frees the handle. The files are closed when no queue uses them any more.
#[unsafe(no_mangle)]
pub extern "C" fn vring_wire_close(vm: i32, wire: u32) -> i32 {
    on_vm(vm, |vm| vm.wires().remove(wire).map(drop))
}

/// Sets whether frames are carried at all, and for how many queue pairs.
#[unsafe(no_mangle)]
pub extern "C" fn vring_wire_set(vm: i32, wire: u32, link: i32, pairs: u32) -> i32 {
    on_vm(vm, |vm| {
        let wire = vm.wires().get(wire)?;
        wire.set_link(link != 0);
        wire.set_pairs(pairs);
        Ok(())
    })
}

/// Whether the other end exists: 1, or 0 once a queue has found it gone.
#[unsafe(no_mangle)]
pub extern "C" fn vring_wire_connected(vm: i32, wire: u32) -> i32 {
    answer(|| Ok(i32::from(!handles::get(vm)?.wires().get(wire)?.is_hung_up())))
}

/// Sets which frames are received from now on. `addresses` are `len` bytes.
///
/// # Safety
/// `config` points to a valid config, and `addresses` to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_wire_filter(
    vm: i32,
    wire: u32,
    config: *const FilterConfig,
    addresses: *const u8,
    len: u32,
) -> i32 {
    on_vm(vm, |vm| {
        // SAFETY: the caller's promises.
        let (config, addresses) = unsafe { (read(config)?, bytes(addresses, len)?) };
        vm.wires().get(wire)?.set_filter(ReceiveFilter::new(&config, addresses)?);
        Ok(())
    })
}

/// Limits what is received (0) or transmitted (1); queues that wait because of an earlier limit are woken.
///
/// # Safety
/// `limits` points to valid limits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_wire_limit(
    vm: i32,
    wire: u32,
    transmits: i32,
    limits: *const RateLimits,
) -> i32 {
    on_vm(vm, |vm| {
        // SAFETY: the caller's promise.
        let limits = unsafe { read(limits)? };
        limits.check()?;
        let wire = vm.wires().get(wire)?;
        let limiter = if transmits == 0 { &wire.receive_limiter } else { &wire.transmit_limiter };
        limiter.set(&limits);
        Ok(())
    })
}

/// Starts a thread that serves a queue of a network card, as `vring_blk_queue_start` does for a disk.
///
/// # Safety
/// As for `vring_blk_queue_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_net_queue_start(
    vm: i32,
    queue: *const QueueConfig,
    unfinished: *const u8,
    unfinished_bytes: u32,
    net: *const NetConfig,
) -> i32 {
    answer(|| {
        // SAFETY: the caller's promises.
        let (queue, unfinished, net) =
            unsafe { (read(queue)?, bytes(unfinished, unfinished_bytes)?, read(net)?) };
        Ok(handles::get(vm)?.start_net_queue(&queue, unfinished, &net)? as i32)
    })
}

/// Makes a hub without ports and returns its handle.
#[unsafe(no_mangle)]
pub extern "C" fn vring_hub_create(vm: i32) -> i32 {
    answer(|| {
        let vm = handles::get(vm)?;
        Ok(vm.hubs().add(Arc::new(Hub::new(vm.has_seccomp())))? as i32)
    })
}

/// Frees the handle, and ends the hub.
#[unsafe(no_mangle)]
pub extern "C" fn vring_hub_destroy(vm: i32, hub: u32) -> i32 {
    on_vm(vm, |vm| vm.hubs().remove(hub).map(drop))
}

/// Adds a port on a file of bare frames, which is duplicated and must be non-blocking. It counts in a queue's block.
/// Returns its number.
#[unsafe(no_mangle)]
pub extern "C" fn vring_hub_add(vm: i32, hub: u32, fd: i32, counter_slot: u32) -> i32 {
    answer(|| Ok(handles::get(vm)?.add_hub_port(hub, fd, counter_slot)? as i32))
}

/// Removes a port. Nothing counts in its block any more when this returns.
#[unsafe(no_mangle)]
pub extern "C" fn vring_hub_remove(vm: i32, hub: u32, port: u32) -> i32 {
    on_vm(vm, |vm| vm.hubs().get(hub)?.remove(port))
}
