//! The part of the C ABI for virtqueues, and for the images and limits of the disks behind
//! them. `src/vmm/native/` binds it.

use crate::balloon::BalloonConfig;
use crate::blk::BlkConfig;
use crate::clock::now_ns;
use crate::errno::{Errno, Result};
use crate::image::{
    ChainFile, DiskErrors, Durability, Image, MAX_LAYERS, Qcow2Image, RawImage, WrittenZeros, error_action,
};
use crate::limiter::{Limiter, RateLimits};
use crate::queue_thread::{QueueConfig, QueueProgress, Stopped};
use crate::rng::RngConfig;
use crate::{answer, copy_text, handles, on_vm};
use std::sync::Arc;
use std::time::Duration;

/// The most entries that one call of `vring_queue_disk_errors` fills in.
const MAX_DISK_ERRORS: u32 = 64;
/// The longest wait in `vring_queue_stop`.
const MAX_STOP_LIMIT: Duration = Duration::from_secs(60);
/// The most bytes about unfinished chains: the descriptors of a whole packed ring.
const MAX_UNFINISHED: u32 = 16 * crate::queue::MAX_SIZE;

crate::abi_struct! {
    /// A disk image, as passed by JavaScript.
    pub struct ImageConfig {
        /// In bytes.
        pub capacity: u64,
        pub fd: i32,
        /// `image_flag` bits.
        pub flags: u32,
    }
}

crate::abi_constants! {
    /// Bits of `ImageConfig::flags`.
    pub mod image_flag as IMAGE_FLAG: u32 {
        READONLY = 1,
        /// The backing store can deallocate space.
        DISCARD = 2,
        /// Writes are never made durable.
        VOLATILE = 4,
        /// Every write is durable when it completes.
        WRITE_THROUGH = 8,
        /// Writes of zeros become zeroed ranges.
        DETECT_ZEROES = 16,
        /// And their space is deallocated.
        UNMAP_ZEROES = 32,
    }
}

/// Reads a struct that JavaScript passed.
///
/// # Safety
/// `pointer` is null or points to a valid one.
pub unsafe fn read<T: Copy>(pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
    Ok(unsafe { pointer.read_unaligned() })
}

/// # Safety
/// `pointer` points to `count` bytes, or `count` is 0.
pub unsafe fn bytes<'a>(pointer: *const u8, count: u32) -> Result<&'a [u8]> {
    match count {
        0 => Ok(&[]),
        _ if pointer.is_null() || count > MAX_UNFINISHED => Err(Errno(libc::EINVAL)),
        // SAFETY: the caller's promise.
        _ => Ok(unsafe { std::slice::from_raw_parts(pointer, count as usize) }),
    }
}

/// Opens a raw image and returns its handle. The fd is duplicated.
///
/// # Safety
/// `config` points to a valid config.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_image_open(vm: i32, config: *const ImageConfig) -> i32 {
    answer(|| {
        // SAFETY: the caller's promise.
        let ImageConfig { capacity, fd, flags } = unsafe { read(config)? };
        let has = image_flags(flags)?;
        let image = RawImage::open(fd, capacity, has(image_flag::READONLY), has(image_flag::DISCARD))?;
        add_image(vm, Arc::new(image), flags)
    })
}

/// Opens a qcow2 image with the `count` files of its chain, itself first, and returns its handle. Its capacity is in
/// its header, and `fd` of the config is not used. The fds are duplicated. EBADMSG if a file is not a usable image:
/// `vring_qcow2_inspect` has the reason.
///
/// # Safety
/// `config` points to a valid config, and `chain` to `count` valid files.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_image_open_qcow2(
    vm: i32,
    config: *const ImageConfig,
    chain: *const ChainFile,
    count: u32,
) -> i32 {
    answer(|| {
        // SAFETY: the caller's promise.
        let ImageConfig { flags, .. } = unsafe { read(config)? };
        let has = image_flags(flags)?;
        if count as usize > MAX_LAYERS {
            return Err(Errno(libc::EINVAL));
        }
        // SAFETY: the caller's promise.
        let at = |index| unsafe { read(chain.wrapping_add(index as usize)) };
        let files = (0..count).map(at).collect::<Result<Vec<ChainFile>>>()?;
        let (readonly, discard) = (has(image_flag::READONLY), has(image_flag::DISCARD));
        let seccomp = handles::get(vm)?.has_seccomp();
        let image = Qcow2Image::open(&files, readonly, discard, has(image_flag::VOLATILE), seccomp)?;
        add_image(vm, Arc::new(image), flags)
    })
}

fn image_flags(flags: u32) -> Result<impl Fn(u32) -> bool> {
    use image_flag::*;
    match flags & !(READONLY | DISCARD | VOLATILE | WRITE_THROUGH | DETECT_ZEROES | UNMAP_ZEROES) {
        0 => Ok(move |flag| flags & flag != 0),
        _ => Err(Errno(libc::EINVAL)),
    }
}

fn add_image(vm: i32, image: Arc<dyn Image>, flags: u32) -> Result<i32> {
    let durability = match flags & (image_flag::VOLATILE | image_flag::WRITE_THROUGH) {
        image_flag::VOLATILE => Durability::Never,
        image_flag::WRITE_THROUGH => Durability::Always,
        _ => Durability::Asked,
    };
    image.state().set_durability(durability);
    image.state().set_written_zeros(match flags & (image_flag::DETECT_ZEROES | image_flag::UNMAP_ZEROES) {
        0 => WrittenZeros::AsOther,
        image_flag::DETECT_ZEROES => WrittenZeros::Zeroed,
        _ => WrittenZeros::Unmapped,
    });
    Ok(handles::get(vm)?.images().add(image)? as i32)
}

/// Sets how failed requests are handled, as `error_action`: reads, and everything else.
#[unsafe(no_mangle)]
pub extern "C" fn vring_image_set_policy(vm: i32, image: u32, reads: u32, writes: u32) -> i32 {
    on_vm(vm, |vm| {
        if reads > error_action::ENOSPC || writes > error_action::ENOSPC {
            return Err(Errno(libc::EINVAL));
        }
        vm.images().get(image)?.state().policy.set(reads, writes);
        Ok(())
    })
}

/// Writes why writes to an image are refused because its tables are wrong, in the same way as `vring_queue_error`; 0
/// bytes if no such problem is known.
///
/// # Safety
/// `buffer` is large enough for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_image_corruption(vm: i32, image: u32, buffer: *mut u8, len: u32) -> i32 {
    answer(|| {
        let text = handles::get(vm)?.images().get(image)?.corruption().unwrap_or_default();
        // SAFETY: the caller's promise.
        Ok(unsafe { copy_text(&text, buffer, len) })
    })
}

/// Writes what the header of a qcow2 image says, as JSON, into `buffer`. Returns the length of the whole text.
///
/// # Safety
/// `buffer` is large enough for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_qcow2_inspect(fd: i32, buffer: *mut u8, len: u32) -> i32 {
    answer(|| {
        let text = crate::image::inspect(fd)?;
        // SAFETY: the caller's promise.
        Ok(unsafe { copy_text(&text, buffer, len) })
    })
}

/// Reads what the host's page cache has of a file, without waiting. Returns the number of bytes read, or a negative
/// errno: -EAGAIN if none is cached, -EOPNOTSUPP if the file system does not support this.
///
/// # Safety
/// `buffer` is large enough for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_read_cached(fd: i32, buffer: *mut u8, len: u32, offset: i64) -> i32 {
    answer(|| {
        let part = libc::iovec { iov_base: buffer.cast(), iov_len: len as usize };
        // SAFETY: the caller's promise.
        let count = unsafe { libc::preadv2(fd, &raw const part, 1, offset, libc::RWF_NOWAIT) };
        i32::try_from(count).ok().filter(|count| *count >= 0).ok_or_else(Errno::last)
    })
}

/// Frees the handle. The file is closed when no queue uses it anymore.
#[unsafe(no_mangle)]
pub extern "C" fn vring_image_close(vm: i32, image: u32) -> i32 {
    on_vm(vm, |vm| vm.images().remove(image).map(drop))
}

/// Changes the capacity for requests that begin from now on: bytes, a multiple of 512. The file of a raw image already
/// has its new size. A qcow2 image can only grow, and gets larger tables, which waits for the file system.
#[unsafe(no_mangle)]
pub extern "C" fn vring_image_resize(vm: i32, image: u32, capacity: u64) -> i32 {
    on_vm(vm, |vm| vm.images().get(image)?.resize(capacity))
}

/// Whether writes that begin from now on are durable when they complete, for drivers with VIRTIO_BLK_F_CONFIG_WCE.
#[unsafe(no_mangle)]
pub extern "C" fn vring_image_set_write_through(vm: i32, image: u32, on: i32) -> i32 {
    on_vm(vm, |vm| {
        vm.images().get(image)?.state().set_write_through(on != 0);
        Ok(())
    })
}

/// Makes a limiter, which queues can share, and returns its handle.
///
/// # Safety
/// `limits` points to valid limits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_limiter_create(vm: i32, limits: *const RateLimits) -> i32 {
    answer(|| {
        // SAFETY: the caller's promise.
        let limits = unsafe { read(limits)? };
        limits.check()?;
        Ok(handles::get(vm)?.limiters().add(Arc::new(Limiter::new(&limits)))? as i32)
    })
}

/// Changes the limits; requests that wait because of the old ones are reconsidered.
///
/// # Safety
/// `limits` points to valid limits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_limiter_set(vm: i32, limiter: u32, limits: *const RateLimits) -> i32 {
    on_vm(vm, |vm| {
        // SAFETY: the caller's promise.
        let limits = unsafe { read(limits)? };
        limits.check()?;
        vm.limiters().get(limiter)?.set(&limits);
        Ok(())
    })
}

/// Frees the handle. Queues that use the limiter keep it.
#[unsafe(no_mangle)]
pub extern "C" fn vring_limiter_destroy(vm: i32, limiter: u32) -> i32 {
    on_vm(vm, |vm| vm.limiters().remove(limiter).map(drop))
}

/// Starts a thread that serves a virtio-blk queue, beginning with the `unfinished_bytes` of chains at `unfinished`, as
/// `QueueProgress` describes, and returns the queue's handle.
///
/// # Safety
/// `queue` and `blk` point to valid configs, whose fds are open during the call, and `unfinished` to `unfinished_bytes`
/// bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_blk_queue_start(
    vm: i32,
    queue: *const QueueConfig,
    unfinished: *const u8,
    unfinished_bytes: u32,
    blk: *const BlkConfig,
) -> i32 {
    answer(|| {
        // SAFETY: the caller's promises.
        let (queue, unfinished, blk) =
            unsafe { (read(queue)?, bytes(unfinished, unfinished_bytes)?, read(blk)?) };
        Ok(handles::get(vm)?.start_blk_queue(&queue, unfinished, &blk)? as i32)
    })
}

/// The same for a virtio-rng queue.
///
/// # Safety
/// As for `vring_blk_queue_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_rng_queue_start(
    vm: i32,
    queue: *const QueueConfig,
    unfinished: *const u8,
    unfinished_bytes: u32,
    rng: *const RngConfig,
) -> i32 {
    answer(|| {
        // SAFETY: the caller's promises.
        let (queue, unfinished, rng) =
            unsafe { (read(queue)?, bytes(unfinished, unfinished_bytes)?, read(rng)?) };
        Ok(handles::get(vm)?.start_rng_queue(&queue, unfinished, &rng)? as i32)
    })
}

/// The same for a virtio-balloon queue.
///
/// # Safety
/// As for `vring_blk_queue_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_balloon_queue_start(
    vm: i32,
    queue: *const QueueConfig,
    unfinished: *const u8,
    unfinished_bytes: u32,
    balloon: *const BalloonConfig,
) -> i32 {
    answer(|| {
        // SAFETY: the caller's promises.
        let (queue, unfinished, balloon) =
            unsafe { (read(queue)?, bytes(unfinished, unfinished_bytes)?, read(balloon)?) };
        Ok(handles::get(vm)?.start_balloon_queue(&queue, unfinished, &balloon)? as i32)
    })
}

/// Saves the pages that a balloon has not given back to the host yet, while its queues are stopped. Returns the length of
/// the state, of which `buffer` gets the first `len` bytes.
///
/// # Safety
/// `buffer` is large enough for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_balloon_save(vm: i32, buffer: *mut u8, len: u32) -> i32 {
    answer(|| {
        let saved = handles::get(vm)?.collection().save();
        // SAFETY: the caller's promise.
        unsafe { buffer.copy_from_nonoverlapping(saved.as_ptr(), saved.len().min(len as usize)) };
        i32::try_from(saved.len()).map_err(|_| Errno(libc::EOVERFLOW))
    })
}

/// Replaces those pages by saved ones, or by none: `len` is 0. -EINVAL if that is no saved state.
///
/// # Safety
/// `saved` points to `len` bytes, unless that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_balloon_load(vm: i32, saved: *const u8, len: u32) -> i32 {
    answer(|| {
        let saved = match len {
            0 => &[],
            // SAFETY: the caller's promise.
            _ => unsafe { std::slice::from_raw_parts(saved, len as usize) },
        };
        handles::get(vm)?.collection().load(saved, now_ns())?;
        Ok(0)
    })
}

/// Asks a queue's thread, or those of all queues (-1), to end, without waiting. A QUEUE_ENDED event follows.
#[unsafe(no_mangle)]
pub extern "C" fn vring_queue_request_stop(vm: i32, queue: i32) -> i32 {
    on_vm(vm, |vm| match queue {
        -1 => {
            vm.queues().request_stop_of_all();
            vm.reactor().post_queue();
            Ok(())
        }
        queue => {
            if vm.queues().request_stop(queue as u32)? {
                vm.reactor().post_queue();
            }
            Ok(())
        }
    })
}

/// Asks the queue's thread to end, waits for that at most `limit_ns`, fills `out` with its progress and `unfinished`
/// with the state of unfinished chains, and frees the handle. EAGAIN if it hasn't ended: the queue stays as it was,
/// still asked to end.
///
/// # Safety
/// `out` is large enough for a `QueueProgress`, and `unfinished` for `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_queue_stop(
    vm: i32,
    queue: i32,
    limit_ns: u64,
    out: *mut QueueProgress,
    unfinished: *mut u8,
    room: u32,
) -> i32 {
    on_vm(vm, |vm| {
        let limit = Duration::from_nanos(limit_ns).min(MAX_STOP_LIMIT);
        let stopped = vm.queues().stop(queue as u32, limit)?.ok_or(Errno(libc::EAGAIN))?;
        // SAFETY: the caller's promises.
        unsafe { write_stopped(stopped, out, unfinished, room) }
    })
}

/// Frees the handle of a queue whose thread doesn't end because it is stuck in a disk request: the thread is abandoned,
/// and no queue with its counter slot can be started until the request has ended (EINPROGRESS). Returns 1; or, if the
/// thread has ended after all, fills `out` and `unfinished` as `vring_queue_stop` does and returns 0.
///
/// # Safety
/// As for `vring_queue_stop`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_queue_abandon(
    vm: i32,
    queue: i32,
    out: *mut QueueProgress,
    unfinished: *mut u8,
    room: u32,
) -> i32 {
    answer(|| {
        let Some(stopped) = handles::get(vm)?.queues().abandon(queue as u32)? else { return Ok(1) };
        // SAFETY: the caller's promises.
        unsafe { write_stopped(stopped, out, unfinished, room).map(|()| 0) }
    })
}

/// ENOBUFS if `room` is too small.
///
/// # Safety
/// As for `vring_queue_stop`.
unsafe fn write_stopped(
    stopped: Stopped,
    out: *mut QueueProgress,
    unfinished: *mut u8,
    room: u32,
) -> Result<()> {
    let Stopped { position, unfinished: bytes } = stopped;
    if bytes.len() > room as usize {
        return Err(Errno(libc::ENOBUFS));
    }
    let progress = QueueProgress {
        last_avail: position.available,
        used_index: position.used,
        unfinished_bytes: bytes.len() as u32,
    };
    // SAFETY: the caller's promises. JavaScript's buffers need not be aligned.
    unsafe {
        out.write_unaligned(progress);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), unfinished, bytes.len());
    }
    Ok(())
}

/// Fills `out` with the queue's kinds of disk errors that have not been reported; with `end_period`, with those that
/// have recurred since they were, and forgets the others. Returns their number, at most `max`.
///
/// # Safety
/// `out` is large enough for `max` entries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_queue_disk_errors(
    vm: i32,
    queue: i32,
    end_period: i32,
    out: *mut DiskErrors,
    max: u32,
) -> i32 {
    answer(|| {
        let mut errors = vec![DiskErrors::default(); max.min(MAX_DISK_ERRORS) as usize];
        let count = handles::get(vm)?.queues().disk_errors(queue as u32, end_period != 0, &mut errors)?;
        for (index, error) in errors[..count].iter().enumerate() {
            // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
            unsafe { out.add(index).write_unaligned(*error) };
        }
        Ok(count as i32)
    })
}

/// Writes why a queue is no longer served, as text, into `buffer` of `len` bytes. Returns the length of the whole text.
///
/// # Safety
/// `buffer` is large enough for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_queue_error(vm: i32, queue: i32, buffer: *mut u8, len: u32) -> i32 {
    answer(|| {
        let text = handles::get(vm)?.queues().error(queue as u32)?;
        // SAFETY: the caller's promise.
        Ok(unsafe { copy_text(&text, buffer, len) })
    })
}
