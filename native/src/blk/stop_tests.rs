//! Stopping a queue: between two steps of its requests, and while the kernel holds one.

use super::BlkConfig;
use super::testing::*;
use crate::counters::{Counters, HEADER_WORDS, queue as words};
use crate::errno::Errno;
use crate::event::kind;
use crate::image::RawImage;
use crate::memory::{Region, guest_ram};
use crate::queue::Position;
use crate::queue::testing::{in_, out};
use crate::queue_thread::Queues;
use crate::queue_thread::userfault::MissingPages;
use crate::reactor::QueueEvents;
use crate::vm::Vm;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;
use vm_memory::{GuestAddress, GuestMemoryBackend};

const IN: u32 = 0;
const WRITE_ZEROES: u32 = 13;
/// Guest address of the missing page.
const MISSING: u64 = 0x10_0000;

#[test]
fn a_stop_starts_no_new_step_and_the_next_start_finishes_the_requests() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.stop();
    disk.sectors = (32 << 20) / 512;
    disk.file.set_len(32 << 20).unwrap();
    disk.max_range_sectors = u32::MAX;
    disk.file.write_all_at(&[1; 512], 0).unwrap();
    disk.start(0);
    // Each writes zeros to the whole disk: the file has no faster way.
    for tag in 0..21 {
        let range = [0u64, disk.sectors];
        disk.write(DATA + 16 * tag, &range.map(u64::to_le_bytes).concat());
        disk.offer(tag, WRITE_ZEROES, 0, &[out(DATA + 16 * tag, 16)]);
    }
    disk.kick.signal();
    disk.await_counter(words::MAX_IN_FLIGHT, 1);
    disk.stop();
    let used = disk.driver.used_index();
    assert!(used < 21, "all requests were carried out to their ends");
    assert!(!disk.unfinished.is_empty());
    for head in disk.unfinished_heads() {
        assert_eq!(
            disk.read::<1>(STATUS + u64::from(head) / 3),
            [0xff],
            "the chain at {head} is not finished"
        );
    }

    disk.start(0);
    disk.await_used(21);
    let mut heads: Vec<_> = (0..21).map(|index| disk.driver.used(index).0).collect();
    heads.sort();
    assert_eq!(heads, (0..21).map(|tag| 3 * tag).collect::<Vec<_>>());
    for tag in 0..21 {
        assert_eq!(disk.read::<1>(STATUS + tag), [0]);
    }
    assert_eq!(disk.on_disk::<512>(0), [0; 512]);
    assert_eq!(disk.counters.get(words::REQUESTS), 21);
}

/// VIRTIO_F_RING_RESET: one queue of a disk is stopped and set up again at other addresses with another size, while the
/// other queue keeps running.
#[test]
fn resets_a_queue_while_another_queue_of_the_disk_is_served() {
    let mut first = Fixture::new(memory_file(), FEATURES, 0);
    let mut second = Fixture::new(first.file.try_clone().unwrap(), FEATURES, 0);
    let image = first.image.clone().unwrap();
    second.stop();
    second.share_image(&image);
    for round in 0..20u8 {
        first.write(DATA, &[round; 512]);
        assert_eq!(first.request(1, 7, &[out(DATA, 512)]), (0, 1));
        second.offer(0, IN, 7, &[in_(DATA, 512)]);
        second.kick.signal();
        second.stop();
        second.reset_driver(if round % 2 == 0 { 16 } else { 64 });
        second.share_image(&image);
        assert_eq!(second.request(IN, 7, &[in_(DATA, 512)]), (0, 513));
        assert_eq!(second.read::<512>(DATA), [round; 512]);
    }
}

#[test]
fn only_chains_that_were_taken_can_be_resumed() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    disk.stop();
    let mut start = |available, used, unfinished: &[u16]| {
        disk.driver.layout.position = Position { available, used };
        disk.driver.set_available_index(available);
        disk.unfinished = unfinished.iter().flat_map(|head| head.to_le_bytes()).collect();
        disk.try_start(0).map(|_| ())
    };
    assert_eq!(start(2, 1, &[0]), Ok(()));
    assert_eq!(start(1, u16::MAX, &[0, 3]), Ok(()));
    assert_eq!(start(2, 1, &[0, 3]), Err(Errno(libc::EINVAL)));
    assert_eq!(start(2, 1, &[64]), Err(Errno(libc::EINVAL)));
}

/// Starts a read that the kernel can't finish. None if this user may not do that.
fn read_into_missing_memory(file: File) -> Option<(Fixture, MissingPages)> {
    let mut disk = Fixture::new(file, FEATURES, 0);
    let missing = MissingPages::new(&disk.ram, MISSING, 4096);
    let Ok(missing) = missing.inspect_err(|error| eprintln!("userfaultfd: {error}; nothing tested")) else {
        return None;
    };
    disk.offer(0, IN, 0, &[in_(MISSING, 4096)]);
    disk.kick.signal();
    missing.await_access();
    Some((disk, missing))
}

fn is_left_behind(file: File) {
    let Some((mut disk, missing)) = read_into_missing_memory(file) else { return };
    assert!(!disk.queue().end_within(Duration::ZERO), "the request has ended");
    assert!(!disk.queue().abandon());
    let counted = disk.counters.snapshot();
    drop(missing);
    disk.queue().join();
    assert_eq!(disk.counters.snapshot(), counted, "the thread still counted");
    assert_eq!(disk.read::<1>(STATUS), [0xff], "the thread still wrote to guest memory");
    assert_eq!(disk.driver.used_index(), 0);
}

#[test]
fn a_thread_that_waits_for_a_stuck_request_is_left_behind() {
    is_left_behind(memory_file());
}

#[test]
fn a_thread_that_is_itself_stuck_in_the_kernel_is_left_behind() {
    is_left_behind(direct_file());
}

#[test]
fn a_vm_ends_during_a_stuck_request_which_keeps_its_memory() {
    let memory = Box::leak(vec![0u64; HEADER_WORDS + words::WORDS].into_boxed_slice());
    // SAFETY: the words are leaked.
    let counters = unsafe { Counters::new(memory.as_ptr(), memory.len(), 0, 1) }.unwrap();
    let vm = Vm::new(counters, 1).unwrap();
    let Some((mut disk, missing)) = read_into_missing_memory(memory_file()) else { return };
    assert!(!disk.queue().abandon());
    drop(missing);
    disk.queue().join();

    // The same queue, in a VM that owns its memory.
    const BYTES: usize = 0x20_0000;
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address that the kernel chooses.
    let host = unsafe { libc::mmap(std::ptr::null_mut(), BYTES, prot, flags, -1, 0) };
    vm.own_map(host as usize, BYTES).unwrap();
    let region = Region { size: BYTES as u64, host: host as u64, ..Region::default() };
    // SAFETY: the VM unmaps the region after its threads have ended.
    let ram = unsafe { guest_ram(&[region]) }.unwrap();
    let mut content = vec![0; MISSING as usize];
    disk.ram.get_slice(GuestAddress(0), content.len()).unwrap().copy_to(&mut content[..]);
    ram.get_slice(GuestAddress(0), content.len()).unwrap().copy_from(&content[..]);
    let missing = MissingPages::new(&ram, MISSING, 4096).unwrap();
    vm.set_memory(ram);
    let image = RawImage::open(disk.file.as_raw_fd(), disk.sectors * 512, false, false).unwrap();
    let image = vm.images().add(Arc::new(image)).unwrap();
    let blk = BlkConfig { image, ..disk.blk_config() };
    let queue = vm.start_blk_queue(&disk.config(), &[], &blk).unwrap();
    missing.await_access();

    vm.shutdown();
    assert_eq!(vm.queues().stuck(), [0]);
    assert_eq!(vm.queues().error(queue), Err(Errno(libc::ENOENT)));
    vm.release();
    assert!(is_mapped(host, BYTES));
    drop(missing);
    while is_mapped(host, BYTES) {
        std::thread::yield_now();
    }
}

#[test]
fn a_stuck_queue_keeps_its_slot_until_its_request_completes() {
    let Some((mut disk, missing)) = read_into_missing_memory(memory_file()) else { return };
    let queues = Queues::default();
    let handle = queues.add(0, || Ok(disk.take_queue())).unwrap();
    assert_eq!(queues.stop(handle, Duration::ZERO), Ok(None));
    assert_eq!(queues.add(0, || unreachable!()), Err(Errno(libc::EBUSY)));
    assert_eq!(queues.abandon(handle), Ok(None));
    assert_eq!(queues.stop(handle, Duration::ZERO), Err(Errno(libc::ENOENT)));
    assert_eq!(queues.add(0, || unreachable!()), Err(Errno(libc::EINPROGRESS)));
    assert_eq!(queues.stuck(), [0]);
    let image = Arc::downgrade(&disk.image.take().unwrap());
    assert_eq!(queues.next_event(), None);
    assert!(image.upgrade().is_some());
    drop(missing);
    // The reactor polls for events when the thread ends, which closes the image.
    while image.upgrade().is_some() {
        assert_eq!(queues.next_event(), None);
        std::thread::yield_now();
    }
    assert!(queues.stuck().is_empty());
    disk.driver.layout.position = Position { available: 0, used: 0 };
    disk.start(0);
    assert!(queues.add(0, || Ok(disk.take_queue())).is_ok());
}

#[test]
fn the_end_of_a_stuck_queue_is_reported_later() {
    let Some((mut disk, missing)) = read_into_missing_memory(memory_file()) else { return };
    let queues = Queues::default();
    let handle = queues.add(0, || Ok(disk.take_queue())).unwrap();
    assert_eq!(queues.request_stop(handle), Ok(false));
    assert_eq!(queues.stop(handle, Duration::ZERO), Ok(None));
    assert_eq!(queues.next_event(), None);
    drop(missing);
    let event = loop {
        if let Some(event) = queues.next_event() {
            break event;
        }
        std::thread::yield_now();
    };
    assert_eq!((event.kind, event.index), (kind::QUEUE_ENDED, handle));
    let stopped = queues.stop(handle, Duration::ZERO).unwrap().expect("its position");
    assert_eq!(stopped.position.available, 1);
    assert_eq!(queues.next_event(), None);
}

fn is_mapped(address: *mut libc::c_void, len: usize) -> bool {
    let mut resident = vec![0u8; len / 4096];
    // SAFETY: one byte for each page.
    unsafe { libc::mincore(address, len, resident.as_mut_ptr()) == 0 }
}

/// However many requests of whatever size a driver makes, the kernel works on a bounded part of them.
#[test]
fn large_requests_wait_for_their_turn() {
    let mut disk = Fixture::new(memory_file(), FEATURES, 0);
    let missing = MissingPages::new(&disk.ram, MISSING, 4096);
    let Ok(missing) = missing.inspect_err(|error| eprintln!("userfaultfd: {error}; nothing tested")) else {
        return;
    };
    disk.stop();
    // Two 1 MiB buffers make one step, and at most eight steps are in progress at a time.
    disk.sectors = (4 << 20) / 512;
    disk.file.set_len(4 << 20).unwrap();
    for tag in 0..15 {
        disk.offer(tag, IN, 0, &[in_(MISSING, 1 << 20), in_(MISSING, 1 << 20)]);
    }
    disk.start(0);
    missing.await_access();
    disk.await_counter(words::REQUESTS, 8);
    assert_eq!(disk.counters.get(words::REQUESTS), 8);
    assert_eq!(disk.counters.get(words::IN_FLIGHT), 8);
    drop(missing);
    disk.await_used(15);
    assert_eq!(disk.counters.get(words::REQUESTS), 15);
    assert_eq!(disk.counters.get(words::MAX_IN_FLIGHT), 8);
}
