//! The filter and the ring of each worker allow exactly what the loop and that worker need.

use super::testing::{CONTROL, KICK, Setting, confine, confine_direct, eventfds_of, file};
use super::uring::LOOP_OPERATIONS;
use super::{Needs, Worker, duplicate};
use crate::balloon::{BalloonConfig, BalloonWorker, MUST_TELL_HOST, balloon_role};
use crate::blk::testing::{FEATURES, Fixture, READONLY, memory_file};
use crate::epoll::EventFd;
use crate::errno::Errno;
use crate::rng::RngWorker;
use crate::scsi::{ControlWorker, Controller, EventWorker, ScsiWorker};
use crate::thread::{Ending, Thread};
use io_uring::{IoUring, Probe, opcode, squeue};
use seccompiler::sock_filter;
use std::collections::BTreeSet;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};

/// More than Linux has.
const SYSTEM_CALLS: i64 = 600;

/// struct seccomp_data (linux/seccomp.h).
struct Call {
    number: i64,
    arguments: [u64; 6],
}

/// Runs a filter (linux/filter.h). Returns whether it allows the call.
fn allows(program: &[sock_filter], call: &Call) -> bool {
    const X86_64: u32 = 0xc000_003e;
    let load = |offset: u32| match offset {
        0 => call.number as u32,
        4 => X86_64,
        16.. => (call.arguments[(offset as usize - 16) / 8] >> (offset % 8 * 8)) as u32,
        _ => panic!("a load at {offset}"),
    };
    let (mut at, mut accumulator) = (0, 0u32);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        let taken = match code {
            0x20 => {
                accumulator = load(k);
                None
            }
            0x54 => {
                accumulator &= k;
                None
            }
            0x05 => {
                at += k as usize;
                None
            }
            0x15 => Some(accumulator == k),
            0x25 => Some(accumulator > k),
            0x35 => Some(accumulator >= k),
            0x06 => return k == 0x7fff_0000,
            other => panic!("instruction {other:#x}"),
        };
        at += 1 + taken.map_or(0, |taken| if taken { jt } else { jf } as usize);
    }
}

/// The calls of every thread, with allowed arguments, including the loop's own.
fn loop_calls<W>(setting: &Setting<W>, wake: u64) -> Vec<Call> {
    let always = [
        libc::SYS_futex,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_brk,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_clock_gettime,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_exit,
        libc::SYS_mprotect,
    ];
    let call = |number, arguments| Call { number, arguments };
    let [kick, control, call_fd] = setting.eventfds().map(|fd| fd as u64);
    let ring = setting.ring() as u64;
    let mut calls: Vec<_> = always.into_iter().map(|number| call(number, [0; 6])).collect();
    calls.extend([
        call(libc::SYS_mmap, [0, 0, 3, libc::MAP_ANONYMOUS as u64, 0, 0]),
        call(libc::SYS_madvise, [0, 0, libc::MADV_DONTNEED as u64, 0, 0, 0]),
        call(libc::SYS_io_uring_enter, [ring, 1, 1, 1 | 8, 0, 0]),
        call(libc::SYS_io_uring_register, [ring, 3, 0, 0, 0, 0]),
        call(libc::SYS_read, [kick, 0, 8, 0, 0, 0]),
        call(libc::SYS_read, [control, 0, 8, 0, 0, 0]),
        call(libc::SYS_write, [call_fd, 0, 8, 0, 0, 0]),
        call(libc::SYS_write, [wake, 0, 8, 0, 0, 0]),
    ]);
    calls
}

/// `own` are the calls that the worker declares, with arguments that it uses.
fn filter_allows_just<W: Worker>(worker: W, own: &[Call]) {
    let fixture = Fixture::new(memory_file(), FEATURES, 0);
    let wake = EventFd::new().unwrap();
    let setting = confine(&fixture.config(), worker, wake.as_raw_fd());
    let program = setting.filter().program();
    let calls = loop_calls(&setting, wake.as_raw_fd() as u64);
    for Call { number, arguments } in calls.iter().chain(own) {
        assert!(allows(program, &Call { number: *number, arguments: *arguments }), "call {number}");
    }
    // The other calls with any arguments, and these with different ones.
    let always = calls.iter().filter(|call| call.arguments == [0; 6]).map(|call| call.number);
    let always: Vec<_> = always.filter(|number| *number != libc::SYS_mprotect).collect();
    let known: BTreeSet<_> = calls.iter().chain(own).flat_map(|call| call.arguments).collect();
    for number in (0..SYSTEM_CALLS).filter(|number| !always.contains(number)) {
        for first in known.iter().copied().chain([u64::MAX, 99]) {
            for third in known.iter().copied().chain([u64::MAX, 4, 7]) {
                let call = Call { number, arguments: [first, 0, third, 0, 0, 0] };
                let same = |known: &&Call| known.number == number;
                let mut declared = calls.iter().chain(own).filter(same);
                let expected = match number {
                    libc::SYS_read | libc::SYS_write => declared.any(|known| {
                        known.arguments[0] as u32 == first as u32 && known.arguments[2] == third
                    }),
                    libc::SYS_io_uring_enter => {
                        declared.any(|known| known.arguments[0] as u32 == first as u32)
                    }
                    // Neither registering anything else, nor mapping without the anonymous flag.
                    libc::SYS_io_uring_register | libc::SYS_mmap => false,
                    libc::SYS_mprotect => third as i32 & libc::PROT_EXEC == 0,
                    _ => declared.any(|known| known.arguments[2] as u32 == third as u32),
                };
                assert_eq!(allows(program, &call), expected, "call {number}({first}, 0, {third}, 0)");
            }
        }
    }
}

/// The operations that this kernel supports.
fn known_operations() -> Vec<u8> {
    let mut probe = Probe::new();
    IoUring::new(1).unwrap().submitter().register_probe(&mut probe).unwrap();
    (0..u8::MAX).filter(|operation| probe.is_supported(*operation)).collect()
}

/// Tries every operation on every file of the ring, with meaningless arguments.
fn ring_allows_just<W: Worker>(worker: W) {
    let Needs { files, operations, .. } = worker.needs();
    let fixture = Fixture::new(memory_file(), FEATURES, 0);
    let wake = EventFd::new().unwrap();
    let setting = Arc::new(confine(&fixture.config(), worker, wake.as_raw_fd()));
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let (tried, found, known) = (setting.clone(), accepted.clone(), known_operations());
    let body = move || {
        tried.run(|ring| {
            for &operation in &known {
                for fixed in [KICK, CONTROL].into_iter().chain((0..files.len() as u16).map(file)) {
                    if accepts(ring, operation, fixed) {
                        found.lock().unwrap().push(operation);
                    }
                }
            }
            Ok(())
        })
    };
    let mut thread = Thread::spawn("vring-test", None, body, |_| {}).unwrap();
    thread.join();
    assert_eq!(thread.life().ending(), Some(Ending::Done));
    let mut accepted = accepted.lock().unwrap().clone();
    accepted.dedup();
    let mut declared: Vec<u8> = LOOP_OPERATIONS.into_iter().chain(operations).collect();
    declared.sort();
    assert_eq!(accepted, declared);
}

/// Whether the ring accepts an operation with this code, whatever its result.
fn accepts(ring: &mut IoUring, operation: u8, file: io_uring::types::Fixed) -> bool {
    // An entry is 64 bytes, starting with the operation. A poll removal that matches nothing; other operations read its
    // fields as lengths of 0.
    let entry = opcode::PollRemove::new(u64::MAX).build().flags(squeue::Flags::FIXED_FILE);
    let entry = match operation {
        opcode::PollAdd::CODE => opcode::PollAdd::new(file, libc::POLLOUT as u32).build(),
        opcode::Fsync::CODE => opcode::Fsync::new(file).build(),
        _ => entry,
    };
    let mut raw: [u8; 64] =
        // SAFETY: an entry is plain memory of this size (struct io_uring_sqe).
        unsafe { std::mem::transmute::<squeue::Entry, [u8; 64]>(entry) };
    raw[0] = operation;
    // SAFETY: as above.
    let entry = unsafe { std::mem::transmute::<[u8; 64], squeue::Entry>(raw) };
    // SAFETY: at worst the operation gets null pointers with a length of 0.
    unsafe { ring.submission().push(&entry) }.unwrap();
    let result = loop {
        if let Some(completion) = ring.completion().next() {
            break completion.result();
        }
        // EINTR: the kernel has started a thread for a blocking operation.
        let _ = ring.submit_and_wait(1);
    };
    Errno(-result) != Errno(libc::EACCES)
}

#[test]
fn a_disk_thread_makes_only_the_system_calls_of_the_loop() {
    let mut fixture = Fixture::new(memory_file(), FEATURES, 0);
    filter_allows_just(fixture.worker(0), &[]);
}

#[test]
fn an_entropy_thread_calls_getrandom_without_flags() {
    filter_allows_just(RngWorker::new(None), &[Call { number: libc::SYS_getrandom, arguments: [0; 6] }]);
}

fn balloon(role: u32) -> BalloonWorker {
    BalloonWorker::new(&BalloonConfig { role }, MUST_TELL_HOST, Arc::default(), Arc::default()).unwrap()
}

#[test]
fn a_balloon_thread_punches_holes_unless_it_deflates() {
    let remove = [0, 0, libc::MADV_REMOVE as u64, 0, 0, 0];
    let call = || [Call { number: libc::SYS_madvise, arguments: remove }];
    filter_allows_just(balloon(balloon_role::INFLATE), &call());
    filter_allows_just(balloon(balloon_role::REPORT), &call());
    filter_allows_just(balloon(balloon_role::DEFLATE), &[]);
}

#[test]
fn the_ring_of_a_balloon_thread_accepts_only_nops() {
    ring_allows_just(balloon(balloon_role::INFLATE));
}

#[test]
fn the_ring_of_a_disk_accepts_the_operations_of_its_image() {
    let mut fixture = Fixture::new(memory_file(), FEATURES, 0);
    ring_allows_just(fixture.worker(0));
    let worker = fixture.worker(READONLY);
    assert!(!worker.needs().operations.contains(&opcode::Writev::CODE));
    ring_allows_just(worker);
}

#[test]
fn the_ring_of_an_entropy_thread_accepts_only_operations_of_the_loop() {
    ring_allows_just(RngWorker::new(None));
}

/// A thread that moves frames can use its wire, in one direction, and its eventfds, and nothing else.
#[test]
fn a_network_thread_reads_or_writes_its_wire() {
    use crate::net::{Receiver, Transmitter, Wire};
    let fixture = Fixture::new(memory_file(), FEATURES, 0);
    let (wake, notice, files) = (EventFd::new().unwrap(), EventFd::new().unwrap(), EventFd::new().unwrap());
    let wire = Arc::new(Wire::new(&[files.as_raw_fd()], None, false, notice.as_raw_fd()).unwrap());
    let file = wire.file(0).unwrap() as u64;
    let [notice] = wire.signals()[..] else { panic!("one eventfd") };
    let config = fixture.config();
    let receiver = confine_direct(&config, &Receiver::new(wire.clone(), 0, 0), wake.as_raw_fd());
    let transmitter = confine_direct(&config, &Transmitter::new(wire, 0, 0), wake.as_raw_fd());
    for ((filter, shared), own, other) in
        [(receiver, libc::SYS_readv, libc::SYS_writev), (transmitter, libc::SYS_writev, libc::SYS_readv)]
    {
        let allowed = |number, first: u64, third: u64| {
            allows(filter.program(), &Call { number, arguments: [first, 0, third, 0, 0, 0] })
        };
        let [kick, control, call] = eventfds_of(&shared).map(|fd| fd as u64);
        let wake = wake.as_raw_fd() as u64;
        assert!(allowed(own, file, 1) && allowed(libc::SYS_ppoll, 0, 0));
        assert!(!allowed(own, file + 1, 1) && !allowed(other, file, 1));
        for fd in 0..64 {
            assert_eq!(allowed(libc::SYS_read, fd, 8), fd == kick || fd == control, "read of {fd}");
            let signaled = [call, wake, notice as u64].contains(&fd);
            assert_eq!(allowed(libc::SYS_write, fd, 8), signaled, "write to {fd}");
            assert!(!allowed(libc::SYS_write, fd, 9));
        }
        for number in [
            libc::SYS_openat,
            libc::SYS_socket,
            libc::SYS_sendmsg,
            libc::SYS_ioctl,
            libc::SYS_io_uring_enter,
            libc::SYS_execve,
            libc::SYS_clone,
        ] {
            assert!(!allowed(number, file, 0), "call {number}");
        }
    }
}

/// With shared memory, the file only carries wake-ups.
#[test]
fn a_thread_with_shared_memory_wakes_its_peer() {
    use crate::net::{Receiver, SharedFds, Transmitter, Wire};
    let fixture = Fixture::new(memory_file(), FEATURES, 0);
    let (wake, notice, files) = (EventFd::new().unwrap(), EventFd::new().unwrap(), EventFd::new().unwrap());
    let (memory, room) = (crate::frame_ring::memory(), EventFd::new().unwrap());
    let shared = Some(SharedFds { memory: memory.as_raw_fd(), room: room.as_raw_fd() });
    let wire = Arc::new(Wire::new(&[files.as_raw_fd()], shared, false, notice.as_raw_fd()).unwrap());
    let file = wire.file(0).unwrap() as u64;
    let config = fixture.config();
    let receiver = confine_direct(&config, &Receiver::new(wire.clone(), 0, 0), wake.as_raw_fd());
    let transmitter = confine_direct(&config, &Transmitter::new(wire, 0, 0), wake.as_raw_fd());
    let allowed = |filter: &crate::seccomp::Filter, number, first: u64| {
        allows(filter.program(), &Call { number, arguments: [first, 0, 1, 0, 0, 0] })
    };
    for (filter, reads) in [(&receiver.0, true), (&transmitter.0, false)] {
        assert!(allowed(filter, libc::SYS_writev, file) && !allowed(filter, libc::SYS_writev, file + 1));
        assert_eq!(allowed(filter, libc::SYS_readv, file), reads);
    }
}

fn scsi() -> (Arc<Controller>, EventFd) {
    let machine = EventFd::new().unwrap();
    let controller = Controller::new(duplicate(machine.as_raw_fd()).unwrap()).unwrap();
    (Arc::new(controller), machine)
}

#[test]
fn scsi_threads_only_signal_each_other_and_the_machine_thread() {
    let (controller, _machine) = scsi();
    let write = |fd: i32| Call { number: libc::SYS_write, arguments: [fd as u64, 0, 8, 0, 0, 0] };
    let read = |fd: i32| Call { number: libc::SYS_read, arguments: [fd as u64, 0, 8, 0, 0, 0] };
    let written = controller.written_by_requests().map(write);
    filter_allows_just(ScsiWorker::new(controller.clone()), &written);
    let ended = controller.task_ended.as_raw_fd();
    filter_allows_just(ControlWorker(controller.clone()), &[read(ended), write(controller.machine_fd())]);
    filter_allows_just(EventWorker(controller.clone()), &[read(controller.events.fd())]);
}

#[test]
fn the_ring_of_a_scsi_thread_accepts_the_operations_of_images() {
    let (controller, _machine) = scsi();
    ring_allows_just(ScsiWorker::new(controller.clone()));
    ring_allows_just(ControlWorker(controller));
}
