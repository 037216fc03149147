//! vring's data plane behind a C ABI: integers as handles, 0 or a positive number on success, a negative errno on
//! failure, no callbacks. All functions may be called from any thread, but `wait` (`addon.rs`) from only one at a time.
//! `src/vmm/native/native-library.ts` binds it.

mod abi;
mod addon;
mod balloon;
mod blk;
mod clock;
mod confine;
mod counters;
mod epoll;
mod errno;
mod event;
// vring-net-user uses more of it.
#[allow(dead_code)]
mod frame_ring;
mod futex;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod handles;
mod image;
mod layout;
mod limiter;
mod mailbox;
mod memory;
mod net;
mod net_abi;
mod process_abi;
mod queue;
mod queue_abi;
mod queue_thread;
mod reactor;
mod rng;
mod scsi;
mod seccomp;
mod signals;
mod snapshot;
mod spawn;
mod spin;
mod sync;
mod thread;
mod vcpu;
mod vm;

use counters::Counters;
use epoll::Ready;
use errno::{Errno, Result};
use event::WaitPage;
use memory::{Region, guest_ram};
use snapshot::abi::{JobPart, JobReport};
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use vcpu::{RunPage, Vcpu};
use vm::Vm;

/// The most parts of a job: a machine's memory, its state and its disks.
const MAX_JOB_PARTS: u32 = 256;

/// Converts a result to the ABI's number. A panic, which must not cross into C, becomes ENOTRECOVERABLE.
fn answer(action: impl FnOnce() -> Result<i32>) -> i32 {
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(Ok(value)) => value,
        Ok(Err(Errno(errno))) => -errno,
        Err(_) => -libc::ENOTRECOVERABLE,
    }
}

fn on_vm(vm: i32, action: impl FnOnce(Arc<Vm>) -> Result<()>) -> i32 {
    answer(|| action(handles::get(vm)?).map(|()| 0))
}

fn on_vcpu(vm: i32, index: u32, action: impl FnOnce(&Vcpu) -> Result<()>) -> i32 {
    on_vm(vm, |vm| vm.with_vcpu(index as usize, action))
}

#[unsafe(no_mangle)]
pub extern "C" fn vring_abi_version() -> u32 {
    layout::ABI_VERSION
}

/// The version of vring that this library was built for; valid while the library is loaded.
#[unsafe(no_mangle)]
pub extern "C" fn vring_version() -> *const c_char {
    layout::VERSION.as_ptr()
}

/// JSON text of the layouts shared by both sides; valid while the library is loaded.
#[unsafe(no_mangle)]
pub extern "C" fn vring_layout() -> *const c_char {
    layout::json().as_ptr()
}

/// Creates a VM that counts in the `words` 64-bit words at `counters`, and returns its handle. `page` is for
/// `wait` and `complete`.
///
/// # Safety
/// The words stay mapped until `vring_vm_destroy` has returned. So does the page, which nothing else accesses during
/// these calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_vm_create(
    counters: *const u64,
    words: u64,
    max_vcpus: u32,
    max_queues: u32,
    page: *mut WaitPage,
) -> i32 {
    answer(|| {
        if page.is_null() || !page.is_aligned() {
            return Err(Errno(libc::EINVAL));
        }
        spin::count_cpus();
        // SAFETY: the caller's promise is the one that `Counters::new` needs.
        let counters =
            unsafe { Counters::new(counters, words as usize, max_vcpus as usize, max_queues as usize)? };
        handles::insert(Vm::new(counters, max_vcpus as usize)?.waiting_by(page))
    })
}

/// Sets whether pages of guest RAM may be given back to the host. Once this has returned, no
/// forbidden discard is under way.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vm_allow_discards(vm: i32, allowed: i32) -> i32 {
    on_vm(vm, |vm| {
        vm.discards().allow(allowed != 0);
        Ok(())
    })
}

/// Transfers `fd` to the VM, which closes it when it is destroyed.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vm_own_fd(vm: i32, fd: i32) -> i32 {
    on_vm(vm, |vm| vm.own_fd(fd))
}

/// Closes an owned fd now.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vm_disown_fd(vm: i32, fd: i32) -> i32 {
    on_vm(vm, |vm| vm.disown_fd(fd))
}

/// Transfers `len` mapped bytes at `address` to the VM, which unmaps them when it is destroyed.
///
/// # Safety
/// The range is a mapping that nothing else unmaps, or uses after the VM has been destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_vm_own_map(vm: i32, address: u64, len: u64) -> i32 {
    on_vm(vm, |vm| vm.own_map(address as usize, len as usize))
}

/// Sets the guest RAM that queue threads may access. Running threads switch to it between two steps of their requests,
/// soon after this has returned.
///
/// # Safety
/// `regions` points to `count` regions, each mapped readable and writable until the VM has been shut down, as are their
/// logs: a word that is 0, the number of the block's pages, and one bit per page, all 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_vm_set_memory(vm: i32, regions: *const Region, count: u32) -> i32 {
    on_vm(vm, |vm| {
        let valid = regions.is_aligned() && count <= 1024 && (count == 0 || !regions.is_null());
        if !valid {
            return Err(Errno(libc::EINVAL));
        }
        let regions = match count {
            0 => &[],
            // SAFETY: the caller's promise.
            _ => unsafe { std::slice::from_raw_parts(regions, count as usize) },
        };
        // SAFETY: as above.
        vm.set_memory(unsafe { guest_ram(regions)? });
        Ok(())
    })
}

/// Turns the log of a block on or off: queue threads' writes are logged once this has returned.
///
/// # Safety
/// `log` is one that was passed to `vring_vm_set_memory`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_write_log_set(log: *const u64, on: i32) -> i32 {
    // SAFETY: the caller's promise.
    answer(|| unsafe { memory::set_write_log(log, on != 0) }.map(|()| 0))
}

/// Moves the bits of a log to `words` words at `out`, which must be 0. Returns how many of these are now nonzero.
///
/// # Safety
/// `log` as above; `out` is large enough for `words` words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_write_log_take(log: *const u64, out: *mut u64, words: u32) -> i32 {
    answer(|| {
        let mut count = 0;
        let found = |index, bits| {
            if index < words as usize {
                // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
                unsafe { out.add(index).write_unaligned(bits) };
                count += 1;
            }
        };
        // SAFETY: as above.
        unsafe { memory::take_written(log, found)? };
        Ok(count)
    })
}

/// Whether threads started from now on get a seccomp filter (default: yes).
#[unsafe(no_mangle)]
pub extern "C" fn vring_vm_set_seccomp(vm: i32, on: i32) -> i32 {
    on_vm(vm, |vm| {
        vm.set_seccomp(on != 0);
        Ok(())
    })
}

/// Ends and joins all threads of the VM and makes `wait` fail with ECANCELED; the VM keeps what it owns. Queue
/// threads that are stuck in a disk request are abandoned after a second. Returns their number.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vm_shutdown(vm: i32) -> i32 {
    answer(|| {
        let vm = handles::get(vm)?;
        vm.shutdown();
        Ok(vm.queues().stuck().len() as i32)
    })
}

/// Fills `slots` with the counter slots of at most `max` queues that are stuck in a disk request. Returns their number.
///
/// # Safety
/// `slots` is large enough for `max` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_vm_stuck(vm: i32, slots: *mut u32, max: u32) -> i32 {
    answer(|| {
        let stuck = handles::get(vm)?.queues().stuck();
        for (index, slot) in stuck.iter().take(max as usize).enumerate() {
            // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
            unsafe { slots.add(index).write_unaligned(*slot) };
        }
        Ok(stuck.len() as i32)
    })
}

/// `vring_vm_shutdown` for every VM, when the process exits.
#[unsafe(no_mangle)]
pub extern "C" fn vring_shutdown_all() -> i32 {
    answer(|| {
        let vms = handles::all();
        // All at once, so that the waits for stuck queues of several VMs overlap.
        vms.iter().for_each(|vm| vm.queues().request_stop_of_all());
        vms.iter().for_each(|vm| vm.shutdown());
        Ok(0)
    })
}

/// Like `vring_vm_shutdown`, then unmaps and closes what the VM owns and frees the handle. While a queue thread is
/// stuck, the kernel may write to guest memory: that stays mapped until the thread has ended.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vm_destroy(vm: i32) -> i32 {
    answer(|| {
        let vm = handles::remove(vm)?;
        vm.shutdown();
        vm.release();
        Ok(0)
    })
}

/// Makes the VM the one that the calling thread's `wait` and `complete` (`addon.rs`) are for, until one of them fails or
/// the thread destroys the VM.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vm_select(vm: i32) -> i32 {
    answer(|| handles::select(vm).map(|()| 0))
}

/// Makes `wait` report `fd` with `token` while it is ready. `flags`: 0 while it is readable, 1 for an eventfd to
/// drain, 2 while it is readable or writable.
#[unsafe(no_mangle)]
pub extern "C" fn vring_watch(vm: i32, fd: i32, token: u64, flags: u32) -> i32 {
    on_vm(vm, |vm| match flags {
        0 | 1 => vm.reactor().watch(fd, token, Ready::Readable, flags == 1),
        2 => vm.reactor().watch(fd, token, Ready::Either, false),
        _ => Err(Errno(libc::EINVAL)),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn vring_unwatch(vm: i32, fd: i32) -> i32 {
    on_vm(vm, |vm| vm.reactor().unwatch(fd))
}

/// Starts the thread of vCPU `index`, parked, on host CPU `host_cpu` (-1: any).
///
/// # Safety
/// `run_address` is where `run_size` bytes of `vcpu_fd`'s `kvm_run` are mapped until the VM has been shut down.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_vcpu_start(
    vm: i32,
    index: u32,
    vcpu_fd: i32,
    run_address: u64,
    run_size: u64,
    host_cpu: i32,
) -> i32 {
    on_vm(vm, |vm| {
        // SAFETY: the caller's promise is the one that `RunPage::new` needs.
        let run_page = unsafe { RunPage::new(run_address as usize, run_size as usize)? };
        vm.start_vcpu(index as usize, vcpu_fd, run_page, usize::try_from(host_cpu).ok())
    })
}

/// Makes the calling thread run vCPU `index`, which starts parked, whenever it is in `wait`.
///
/// # Safety
/// As for `vring_vcpu_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_vcpu_carry(
    vm: i32,
    index: u32,
    vcpu_fd: i32,
    run_address: u64,
    run_size: u64,
) -> i32 {
    on_vm(vm, |vm| {
        // SAFETY: the caller's promise is the one that `RunPage::new` needs.
        let run_page = unsafe { RunPage::new(run_address as usize, run_size as usize)? };
        vm.carry_vcpu(index as usize, vcpu_fd, run_page)
    })
}

/// Lets a parked vCPU run, or cancels a pause that has not been reported yet.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vcpu_resume(vm: i32, index: u32) -> i32 {
    on_vcpu(vm, index, Vcpu::resume)
}

/// Pauses a vCPU: a PARKED event follows.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vcpu_pause(vm: i32, index: u32) -> i32 {
    on_vcpu(vm, index, Vcpu::pause)
}

/// Asks the thread to end. A VCPU_ENDED event follows.
#[unsafe(no_mangle)]
pub extern "C" fn vring_vcpu_stop(vm: i32, index: u32) -> i32 {
    on_vcpu(vm, index, |vcpu| {
        vcpu.stop();
        Ok(())
    })
}

/// Writes why a vCPU's thread ended, as text, into `buffer` of `len` bytes. Returns the length of the whole text.
///
/// # Safety
/// `buffer` is large enough for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_vcpu_error(vm: i32, index: u32, buffer: *mut u8, len: u32) -> i32 {
    answer(|| {
        let text = handles::get(vm)?.with_vcpu(index as usize, |vcpu| Ok(vcpu.cause_of_death()))?;
        // SAFETY: the caller's promise.
        Ok(unsafe { copy_text(&text.unwrap_or_default(), buffer, len) })
    })
}

/// Starts a thread that carries out `count` parts, and returns the job's handle. A part may write the `len` bytes at
/// `bytes`, which are copied. `ended_fd` receives 8 bytes when the job has ended. The job does not touch guest memory
/// of `vm` (0 for none) after that VM has shut down.
///
/// # Safety
/// `parts` points to valid parts, `bytes` to readable bytes; private memory is mapped until the VM has been shut down.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_job_start(
    vm: i32,
    parts: *const JobPart,
    count: u32,
    bytes: *const u8,
    len: u64,
    ended_fd: i32,
) -> i32 {
    answer(|| {
        if parts.is_null() || count == 0 || count > MAX_JOB_PARTS || (bytes.is_null() && len > 0) {
            return Err(Errno(libc::EINVAL));
        }
        let bytes = match len {
            0 => &[],
            // SAFETY: the caller's promise.
            _ => unsafe { std::slice::from_raw_parts(bytes, len as usize) },
        };
        // SAFETY: the caller's promise. JavaScript's buffers need not be aligned.
        let parts: Vec<JobPart> =
            (0..count as usize).map(|index| unsafe { parts.add(index).read_unaligned() }).collect();
        let vm = if vm == 0 { None } else { Some(handles::get(vm)?) };
        let seccomp = vm.as_ref().is_none_or(|vm| vm.has_seccomp());
        // SAFETY: the caller's promise; `add_job` makes the VM close the job's gate before it unmaps anything.
        let start = || unsafe { snapshot::Job::start(&parts, bytes, ended_fd, seccomp) };
        let job = match vm {
            Some(vm) => vm.add_job(start)?,
            None => start()?,
        };
        snapshot::insert(job)
    })
}

/// Fills `out` with a job's progress, or how it ended.
///
/// # Safety
/// `out` is large enough for a `JobReport`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vring_job_report(job: i32, out: *mut JobReport) -> i32 {
    answer(|| {
        let report = snapshot::report(job)?;
        // SAFETY: the caller's promise.
        unsafe { out.write_unaligned(report) };
        Ok(0)
    })
}

/// Asks a job to end, without waiting. It does so unless its work is already done.
#[unsafe(no_mangle)]
pub extern "C" fn vring_job_cancel(job: i32) -> i32 {
    answer(|| snapshot::cancel(job).map(|()| 0))
}

/// Frees the handle of a job. If the job has not ended, it is canceled and ends on its own.
#[unsafe(no_mangle)]
pub extern "C" fn vring_job_free(job: i32) -> i32 {
    answer(|| snapshot::forget(job).map(|()| 0))
}

/// # Safety
/// `buffer` is large enough for `len` bytes, or `len` is 0.
unsafe fn copy_text(text: &str, buffer: *mut u8, len: u32) -> i32 {
    let copied = text.len().min(len as usize);
    // SAFETY: `copied` bytes are readable in `text` and writable in `buffer`.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buffer, copied) };
    text.len() as i32
}
