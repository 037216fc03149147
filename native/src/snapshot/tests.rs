use super::abi::{JobPart, JobReport, MAX_RANGES, MAY_CLONE, MemoryRange, action, failure};
use super::testing::{file, part};
use super::{CHUNK, Job, PAGE};
use crate::epoll::EventFd;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

fn bytes_of(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().size() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn blocks_of(file: &File) -> u64 {
    file.metadata().unwrap().blocks() * 512
}

fn wait(fd: i32) {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid entry.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 10_000) }, 1);
}

const STATE: &[u8] = b"state";

fn start(parts: &[JobPart]) -> (Job, EventFd) {
    let ended = EventFd::new().unwrap();
    // SAFETY: the callers' memory outlives the job.
    let job = unsafe { Job::start(parts, STATE, ended.as_raw_fd(), true) }.unwrap();
    (job, ended)
}

fn run(parts: &[JobPart]) -> JobReport {
    let (mut job, ended) = start(parts);
    wait(ended.as_raw_fd());
    job.thread.join();
    job.report()
}

fn copied(source: &File, size: usize) -> (File, File, JobReport) {
    let (target, sums) = (file(size), file(0));
    let report = run(&[JobPart {
        source_fd: source.as_raw_fd(),
        target_fd: target.as_raw_fd(),
        sums_fd: sums.as_raw_fd(),
        ..part(action::COPY, size)
    }]);
    (target, sums, report)
}

fn verified(target: &File, sums: &File, size: usize) -> JobReport {
    run(&[JobPart { source_fd: target.as_raw_fd(), sums_fd: sums.as_raw_fd(), ..part(action::VERIFY, size) }])
}

#[test]
fn a_copy_has_the_same_bytes_without_holes_and_zero_pages() {
    let size = 5 * CHUNK + 3 * PAGE + 512;
    let source = file(size);
    source.write_all_at(b"first", 0).unwrap();
    source.write_all_at(&[7; 2 * PAGE], (CHUNK - PAGE) as u64).unwrap();
    // Allocated pages of zeros.
    source.write_all_at(&vec![0; CHUNK], 3 * CHUNK as u64).unwrap();
    source.write_all_at(b"last", size as u64 - 4).unwrap();
    let (target, sums, report) = copied(&source, size);
    assert_eq!((report.failure, report.errno, report.ended), (failure::NONE, 0, 1));
    assert_eq!(report.done, size as u64);
    assert_eq!(report.written, (3 * PAGE + 512) as u64);
    assert_eq!(bytes_of(&target), bytes_of(&source));
    assert_eq!(blocks_of(&target), 4 * PAGE as u64);
    assert_eq!(bytes_of(&sums).len(), 6 * 4);
    assert_eq!(verified(&target, &sums, size).failure, failure::NONE);
}

#[test]
fn verification_detects_every_change() {
    let size = 3 * CHUNK;
    let source = file(size);
    source.write_all_at(&[1; 100], CHUNK as u64 + 10).unwrap();
    let (target, sums, _) = copied(&source, size);
    for at in [0, CHUNK + 10, CHUNK + 109, CHUNK + 110, size - 1] {
        let mut byte = [0];
        target.read_exact_at(&mut byte, at as u64).unwrap();
        target.write_all_at(&[byte[0] ^ 0x20], at as u64).unwrap();
        let report = verified(&target, &sums, size);
        assert_eq!((report.failure, report.errno), (failure::DIFFERENT, libc::EBADMSG));
        assert_eq!(report.offset, (at / CHUNK * CHUNK) as u64);
        target.write_all_at(&byte, at as u64).unwrap();
    }
    assert_eq!(verified(&target, &sums, size).failure, failure::NONE);
    sums.write_all_at(&[0x55], 5).unwrap();
    assert_eq!(verified(&target, &sums, size).failure, failure::DIFFERENT);
    sums.set_len(4).unwrap();
    assert_eq!(verified(&target, &sums, size).errno, libc::ENODATA);
    target.set_len(10).unwrap();
    assert_ne!(verified(&target, &sums, size).failure, failure::NONE);
}

struct Mapping(*mut u8, usize);

impl Mapping {
    fn new(size: usize, file: Option<&File>) -> Mapping {
        let flags = libc::MAP_PRIVATE | if file.is_none() { libc::MAP_ANONYMOUS } else { 0 };
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let fd = file.map_or(-1, File::as_raw_fd);
        // SAFETY: a new mapping at an address that the kernel chooses.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), size, prot, flags, fd, 0) };
        assert_ne!(address, libc::MAP_FAILED);
        Mapping(address.cast(), size)
    }

    fn write(&self, at: usize, value: u8) {
        assert!(at < self.1);
        // SAFETY: within the mapping.
        unsafe { self.0.add(at).write_volatile(value) };
    }

    fn read(&self, at: usize) -> u8 {
        assert!(at < self.1);
        // SAFETY: within the mapping.
        unsafe { self.0.add(at).read_volatile() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing uses it any more.
        unsafe { libc::munmap(self.0.cast(), self.1) };
    }
}

#[test]
fn private_memory_contains_only_pages_written_over_the_file() {
    let size = 4 * CHUNK;
    let below = file(size);
    below.write_all_at(&[1; 3 * PAGE], 0).unwrap();
    below.write_all_at(&[2; PAGE], 3 * CHUNK as u64).unwrap();
    let memory = Mapping::new(size, Some(&below));
    // Only read; written; zeroed; and written where the file has nothing.
    assert_eq!(memory.read(0), 1);
    memory.write(PAGE + 5, 9);
    (0..PAGE).for_each(|at| memory.write(2 * PAGE + at, 0));
    memory.write(2 * CHUNK + 1, 8);
    let pagemap = File::open("/proc/self/pagemap").unwrap();
    for pagemap_fd in [pagemap.as_raw_fd(), -1] {
        let (target, sums) = (file(size), file(0));
        // In two ranges, the second half of the file first.
        let mut copy = JobPart {
            source_fd: below.as_raw_fd(),
            target_fd: target.as_raw_fd(),
            sums_fd: sums.as_raw_fd(),
            pagemap_fd,
            range_count: 2,
            ..part(action::COPY_PRIVATE, size)
        };
        let (host, half) = (memory.0 as u64, size as u64 / 2);
        copy.ranges[0] = MemoryRange { host: host + half, offset: half, size: half };
        copy.ranges[1] = MemoryRange { host, offset: 0, size: half };
        let report = run(&[copy]);
        assert_eq!((report.failure, report.errno), (failure::NONE, 0));
        let seen: Vec<u8> = (0..size).map(|at| memory.read(at)).collect();
        assert!(bytes_of(&target) == seen);
        assert_eq!(report.written, 4 * PAGE as u64);
        assert_eq!(verified(&target, &sums, size).failure, failure::NONE);
    }
}

#[test]
fn a_closed_gate_ends_a_job_before_it_touches_memory() {
    let size = 64 * CHUNK;
    let memory = Mapping::new(size, None);
    (0..size).step_by(PAGE).for_each(|at| memory.write(at, 1));
    let target = file(size);
    let mut copy =
        JobPart { target_fd: target.as_raw_fd(), range_count: 1, ..part(action::COPY_PRIVATE, size) };
    copy.ranges[0] = MemoryRange { host: memory.0 as u64, offset: 0, size: size as u64 };
    let (mut job, ended) = start(&[copy]);
    job.gate().close();
    drop(memory);
    wait(ended.as_raw_fd());
    job.thread.join();
    let report = job.report();
    assert_eq!((report.failure, report.errno), (failure::NONE, libc::ECANCELED));
    assert!(report.done < size as u64);
}

#[test]
fn file_system_errors_are_reported_with_their_offset() {
    let source = file(2 * CHUNK);
    source.write_all_at(&[1; PAGE], CHUNK as u64).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let target = file(0);
    let write = JobPart { target_fd: target.as_raw_fd(), ..part(action::WRITE, STATE.len()) };
    let copy = JobPart {
        source_fd: source.as_raw_fd(),
        target_fd: full.as_raw_fd(),
        ..part(action::COPY, 2 * CHUNK)
    };
    let report = run(&[write, copy]);
    assert_eq!((report.failure, report.errno, report.part), (failure::WRITE, libc::ENOSPC, 1));
    assert_eq!(report.offset, CHUNK as u64);
    assert_eq!(bytes_of(&target), STATE);
    // The source is shorter than declared.
    let (_, _, report) = copied(&file(CHUNK), 2 * CHUNK);
    assert_eq!(report.failure, failure::NONE);
    let short = file(PAGE);
    short.write_all_at(&[1], 0).unwrap();
    let (_, _, report) = copied(&short, 2 * PAGE);
    assert_eq!(report.failure, failure::NONE);
}

#[test]
fn a_clone_falls_back_to_a_copy() {
    let source = file(CHUNK);
    source.write_all_at(&[3; PAGE], 0).unwrap();
    let target = file(CHUNK);
    let report = run(&[JobPart {
        flags: MAY_CLONE,
        source_fd: source.as_raw_fd(),
        target_fd: target.as_raw_fd(),
        ..part(action::COPY, CHUNK)
    }]);
    assert_eq!((report.failure, report.cloned), (failure::NONE, 0));
    assert_eq!(bytes_of(&target), bytes_of(&source));
}

#[test]
fn invalid_parts_are_rejected() {
    let target = file(CHUNK);
    let copy = JobPart { target_fd: target.as_raw_fd(), ..part(action::COPY_PRIVATE, CHUNK) };
    let mut beyond = JobPart { range_count: 1, ..copy };
    beyond.ranges[0] = MemoryRange { host: PAGE as u64, offset: PAGE as u64, size: CHUNK as u64 };
    let mut many = copy;
    many.range_count = MAX_RANGES as u32 + 1;
    let ended = EventFd::new().unwrap();
    for wrong in [part(9, 0), part(action::COPY, 0), part(action::WRITE, 4), beyond, many] {
        // SAFETY: none of them is touched.
        assert!(unsafe { Job::start(&[wrong], STATE, ended.as_raw_fd(), true) }.is_err());
    }
}
