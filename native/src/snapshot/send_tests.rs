use super::abi::{JobPart, JobReport, action, failure};
use super::send::{HEADER, frame};
use super::testing::file as memory;
use super::{CHUNK, Job, PAGE};
use crate::epoll::EventFd;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

fn part(action: u32, target: &UnixStream, size: usize) -> JobPart {
    JobPart { target_fd: target.as_raw_fd(), ..super::testing::part(action, size) }
}

/// Frames of a stream: the kind, the offset, and the payload; of zeros, their number.
fn frames_of(stream: &[u8]) -> Vec<(u8, u64, usize, &[u8])> {
    let mut frames = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(HEADER);
        assert_eq!(&head[..3], b"VR\0");
        let length = u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize;
        let offset = u64::from_le_bytes(head[8..].try_into().unwrap());
        let payload = if head[3] == frame::ZEROS { 0 } else { length };
        frames.push((head[3], offset, length, &tail[..payload]));
        rest = &tail[payload..];
    }
    frames
}

/// What a job sends, read by a slow reader: the socket fills up.
fn sent(part: JobPart, bytes: &[u8], mut reader: UnixStream) -> (Vec<u8>, JobReport) {
    let ended = EventFd::new().unwrap();
    // SAFETY: no memory of this process.
    let mut job = unsafe { Job::start(&[part], bytes, ended.as_raw_fd(), true) }.unwrap();
    let mut stream = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    reader.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => stream.extend_from_slice(&buffer[..count]),
            Err(_) if job.report().ended != 0 => break,
            Err(_) => {}
        }
    }
    job.thread.join();
    (stream, job.report())
}

#[test]
fn sends_pages_that_are_not_zero() {
    let size = 3 * CHUNK;
    let file = memory(size);
    let filled: BTreeMap<usize, u8> =
        [(0, 1), (1, 2), (5, 3), (CHUNK / PAGE, 4), (2 * CHUNK / PAGE + 9, 5)].into();
    for (page, value) in &filled {
        file.write_all_at(&[*value; PAGE], (page * PAGE) as u64).unwrap();
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (stream, report) =
        sent(JobPart { source_fd: file.as_raw_fd(), ..part(action::SEND, &ours, size) }, &[], theirs);
    assert_eq!((report.failure, report.errno), (failure::NONE, 0));
    assert_eq!((report.done, report.written), (size as u64, stream.len() as u64));
    let mut found = BTreeMap::new();
    for (kind, offset, _, payload) in frames_of(&stream) {
        assert_eq!(kind, frame::PAGES);
        for (index, page) in payload.chunks(PAGE).enumerate() {
            assert!(page.iter().all(|byte| *byte == page[0]));
            found.insert(offset as usize / PAGE + index, page[0]);
        }
    }
    assert_eq!(found, filled);
}

#[test]
fn sends_the_wanted_pages_even_if_they_are_zero() {
    let size = 2 * CHUNK;
    let file = memory(size);
    for page in [0, 3, 4, 300] {
        file.write_all_at(&[7; PAGE], (page * PAGE) as u64).unwrap();
    }
    let mut wanted = vec![0u8; size / PAGE / 8];
    for page in [3usize, 4, 5, 6, 299, 300, 511] {
        wanted[page / 8] |= 1 << (page % 8);
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (stream, _) =
        sent(JobPart { source_fd: file.as_raw_fd(), ..part(action::SEND, &ours, size) }, &wanted, theirs);
    let frames: Vec<_> = frames_of(&stream)
        .iter()
        .map(|(kind, offset, length, _)| (*kind, *offset as usize / PAGE, length / PAGE))
        .collect();
    let (pages, zeros) = (frame::PAGES, frame::ZEROS);
    assert_eq!(frames, [(pages, 3, 2), (zeros, 5, 2), (zeros, 299, 1), (pages, 300, 1), (zeros, 511, 1)]);
}

#[test]
fn fills_the_socket_and_waits() {
    let size = 8 * CHUNK;
    let file = memory(size);
    file.write_all_at(&vec![9; size], 0).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (stream, report) =
        sent(JobPart { source_fd: file.as_raw_fd(), ..part(action::SEND, &ours, size) }, &[], theirs);
    assert_eq!((report.failure, report.errno), (failure::NONE, 0));
    assert_eq!(frames_of(&stream).iter().map(|(_, _, length, _)| length).sum::<usize>(), size);
}

#[test]
fn sends_a_state_in_order() {
    let state: Vec<u8> = (0..CHUNK + 5).map(|index| index as u8).collect();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (stream, _) = sent(part(action::SEND_STATE, &ours, state.len()), &state, theirs);
    let frames = frames_of(&stream);
    assert!(frames.iter().all(|(kind, ..)| *kind == frame::STATE));
    assert_eq!(frames.iter().map(|(_, offset, ..)| *offset).collect::<Vec<_>>(), [0, CHUNK as u64]);
    assert_eq!(frames.iter().flat_map(|(.., payload)| payload.iter().copied()).collect::<Vec<_>>(), state);
}

#[test]
fn keeps_below_its_rate_and_can_be_canceled() {
    let size = 4 * CHUNK;
    let file = memory(size);
    file.write_all_at(&vec![1; size], 0).unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ended = EventFd::new().unwrap();
    let slow = JobPart { source_fd: file.as_raw_fd(), rate: 100_000, ..part(action::SEND, &ours, size) };
    // SAFETY: no memory of this process.
    let mut job = unsafe { Job::start(&[slow], &[], ended.as_raw_fd(), true) }.unwrap();
    theirs.read_exact(&mut [0; 1000]).unwrap();
    let began = Instant::now();
    job.gate().close();
    job.thread.join();
    let report = job.report();
    assert_eq!(report.errno, libc::ECANCELED);
    // In the time since it began, at this rate; with much room for a busy host.
    assert!(report.written < 1_000_000, "{} bytes in {:?}", report.written, began.elapsed());
}

#[test]
fn fails_when_the_reader_is_gone() {
    let file = memory(CHUNK);
    file.write_all_at(&[1; PAGE], 0).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    let ended = EventFd::new().unwrap();
    let gone = JobPart { source_fd: file.as_raw_fd(), ..part(action::SEND, &ours, CHUNK) };
    // SAFETY: no memory of this process.
    let mut job = unsafe { Job::start(&[gone], &[], ended.as_raw_fd(), true) }.unwrap();
    job.thread.join();
    assert_eq!((job.report().failure, job.report().errno), (failure::WRITE, libc::EPIPE));
}

#[test]
fn syncs_a_file() {
    let folder = std::env::temp_dir().join(format!("vring-sync-{}", std::process::id()));
    let file = File::create(&folder).unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let ended = EventFd::new().unwrap();
    let sync = JobPart { source_fd: file.as_raw_fd(), target_fd: -1, ..part(action::SYNC, &ours, 0) };
    // SAFETY: no memory of this process.
    let mut job = unsafe { Job::start(&[sync], &[], ended.as_raw_fd(), true) }.unwrap();
    job.thread.join();
    std::fs::remove_file(&folder).unwrap();
    assert_eq!((job.report().failure, job.report().errno), (failure::NONE, 0));
}

/// A reader notices the end of a canceled job, although its handle is gone and nobody has joined its thread.
#[test]
fn closes_the_connection_with_its_end() {
    let size = 4 * CHUNK;
    let file = memory(size);
    file.write_all_at(&vec![1; size], 0).unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ended = EventFd::new().unwrap();
    let send = JobPart { source_fd: file.as_raw_fd(), ..part(action::SEND, &ours, size) };
    // SAFETY: no memory of this process.
    let job = unsafe { Job::start(&[send], &[], ended.as_raw_fd(), true) }.unwrap();
    drop(ours);
    theirs.read_exact(&mut [0; 1000]).unwrap();
    super::forget(super::insert(job).unwrap()).unwrap();
    let mut rest = Vec::new();
    theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    theirs.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < size);
}
