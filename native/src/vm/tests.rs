//! A few bytes of machine code on real KVM. If /dev/kvm can't be opened, these tests are skipped with a message.

use super::*;
use crate::clock::now_ns;
use crate::counters::{HEADER_WORDS, VcpuState, vcpu as words};
use crate::epoll::{EventFd, Ready};
use crate::errno::check;
use crate::event::kind;
use kvm_bindings::{KVM_EXIT_IO, kvm_regs, kvm_run, kvm_sregs, kvm_userspace_memory_region};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

const KVM_CREATE_VM: libc::c_ulong = 0xae01;
const KVM_GET_VCPU_MMAP_SIZE: libc::c_ulong = 0xae04;
const KVM_CREATE_VCPU: libc::c_ulong = 0xae41;
const KVM_SET_USER_MEMORY_REGION: libc::c_ulong = 0x4020_ae46;
const KVM_SET_REGS: libc::c_ulong = 0x4090_ae82;
const KVM_GET_SREGS: libc::c_ulong = 0x8138_ae83;
const KVM_SET_SREGS: libc::c_ulong = 0x4138_ae84;

const PAGE: usize = 4096;
const SECOND: u64 = 1_000_000_000;

/// loop: in al, 0x11; out 0x10, al; jmp loop
const ECHO: [u8; 6] = [0xe4, 0x11, 0xe6, 0x10, 0xeb, 0xfa];
/// jmp self
const SPIN: [u8; 2] = [0xeb, 0xfe];

/// A VM with one vCPU in real mode, which starts at the beginning of its only page.
struct Guest {
    vm: Arc<Vm>,
    run: *mut kvm_run,
    counters: crate::counters::Block,
}

fn ioctl<T>(fd: RawFd, request: libc::c_ulong, argument: *mut T) -> RawFd {
    // SAFETY: each caller passes the struct that the request takes.
    check(unsafe { libc::ioctl(fd, request, argument) }).expect("a KVM ioctl")
}

fn map(len: usize, flags: i32, fd: RawFd) -> *mut libc::c_void {
    // SAFETY: a new mapping at an address that the kernel chooses.
    let address =
        unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
    assert_ne!(address, libc::MAP_FAILED);
    address
}

#[derive(Clone, Copy, PartialEq)]
enum On {
    ThreadOfItsOwn,
    WaitingThread,
}

/// Runs `test` with a vCPU on its own thread, and with one carried by the waiting thread.
fn on_each(code: &[u8], test: impl Fn(Guest)) {
    for on in [On::ThreadOfItsOwn, On::WaitingThread] {
        let Some(guest) = Guest::new(code, on) else { return };
        test(guest);
    }
}

impl Guest {
    fn new(code: &[u8], on: On) -> Option<Guest> {
        // SAFETY: the path is a NUL-terminated string.
        let kvm = unsafe { libc::open(c"/dev/kvm".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if kvm < 0 {
            eprintln!("/dev/kvm: {}; nothing tested", Errno::last());
            return None;
        }
        let memory: &'static [u64] = Box::leak(vec![0; HEADER_WORDS + words::WORDS].into_boxed_slice());
        // SAFETY: the words are leaked.
        let counters = unsafe { Counters::new(memory.as_ptr(), memory.len(), 1, 0) }.unwrap();
        let vm = Arc::new(Vm::new(counters, 1).unwrap());
        let none: *mut u8 = ptr::null_mut();
        let vm_fd = ioctl(kvm, KVM_CREATE_VM, none);
        let vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, none);
        let run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, none) as usize;
        [kvm, vm_fd, vcpu_fd].into_iter().for_each(|fd| vm.own_fd(fd).unwrap());

        let ram = map(PAGE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1);
        let run = map(run_size, libc::MAP_SHARED, vcpu_fd);
        vm.own_map(ram as usize, PAGE).unwrap();
        vm.own_map(run as usize, run_size).unwrap();
        // SAFETY: the page is large enough for the code.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), ram.cast(), code.len()) };
        let mut region = kvm_userspace_memory_region {
            memory_size: PAGE as u64,
            userspace_addr: ram as u64,
            ..Default::default()
        };
        ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &mut region);
        let mut sregs = kvm_sregs::default();
        ioctl(vcpu_fd, KVM_GET_SREGS, &mut sregs);
        sregs.cs.base = 0;
        sregs.cs.selector = 0;
        ioctl(vcpu_fd, KVM_SET_SREGS, &mut sregs);
        ioctl(vcpu_fd, KVM_SET_REGS, &mut kvm_regs { rflags: 2, ..Default::default() });

        // SAFETY: the VM unmaps the page after its threads have ended.
        let run_page = unsafe { RunPage::new(run as usize, run_size) }.unwrap();
        match on {
            On::ThreadOfItsOwn => vm.start_vcpu(0, vcpu_fd, run_page, None),
            On::WaitingThread => vm.carry_vcpu(0, vcpu_fd, run_page),
        }
        .unwrap();
        Some(Guest { vm, run: run.cast(), counters: counters.vcpu(0).unwrap() })
    }

    fn vcpu(&self, action: impl FnOnce(&Vcpu) -> Result<()>) {
        self.vm.with_vcpu(0, action).unwrap();
    }

    /// The next event, which must come within two seconds.
    fn next(&self) -> Event {
        let mut events = [Event::default(); 4];
        assert_eq!(self.vm.wait(&mut events, within(2 * SECOND)), Ok(1));
        events[0]
    }

    /// Waits for an exit and answers it. Returns what an OUT wrote.
    fn exchange(&self, value: u8) -> Option<u8> {
        let event = self.next();
        assert_eq!((event.kind, event.index, event.data), (kind::EXIT, 0, KVM_EXIT_IO.into()));
        self.answer(value)
    }

    /// Answers the open exit, with `value` if it is an IN. Returns what an OUT wrote.
    fn answer(&self, value: u8) -> Option<u8> {
        // SAFETY: the vCPU waits for its answer, so that nothing else accesses the page, whose union holds `io`.
        let (data, is_out) = unsafe {
            let io = (*self.run).__bindgen_anon_1.io;
            (self.run.cast::<u8>().add(io.data_offset as usize), io.direction == 1)
        };
        // SAFETY: KVM points to the data inside the page.
        let written = unsafe { data.read() };
        if !is_out {
            // SAFETY: as above.
            unsafe { data.write(value) };
        }
        self.vcpu(Vcpu::complete);
        is_out.then_some(written)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.vm.shutdown();
        self.vm.release();
    }
}

/// A deadline from now.
fn within(ns: u64) -> Option<u64> {
    Some(now_ns() + ns)
}

#[test]
fn responses_reach_the_guest() {
    on_each(&ECHO, |guest| {
        guest.vcpu(Vcpu::resume);
        for value in [3, 141, 59] {
            assert_eq!(guest.exchange(value), None);
            assert_eq!(guest.exchange(0), Some(value));
        }
        assert!((5..=6).contains(&guest.counters.get(words::EXITS + KVM_EXIT_IO as usize)));
    });
}

#[test]
fn every_pause_is_reported_once_and_loses_no_exit() {
    on_each(&ECHO, |guest| {
        let mut sent = None;
        let mut answer = |value: u8| match guest.answer(value) {
            None => sent = Some(value),
            written => assert_eq!(sent.take(), written),
        };
        for round in 0..500u32 {
            guest.vcpu(Vcpu::resume);
            for exit in 0..round % 3 {
                assert_eq!(guest.next().kind, kind::EXIT);
                answer((round + exit) as u8);
            }
            guest.vcpu(Vcpu::pause);
            // An exit in progress at the time of the pause is answered first.
            loop {
                match guest.next().kind {
                    kind::EXIT => answer(round as u8),
                    kind::PARKED => break,
                    kind => panic!("event of kind {kind}"),
                }
            }
            assert_eq!(guest.vm.wait(&mut [Event::default(); 4], Some(0)), Ok(0));
            assert_eq!(guest.counters.get(words::STATE), VcpuState::Parked as u64);
        }
    });
}

#[test]
fn a_guest_that_never_exits_is_paused_and_stopped() {
    on_each(&SPIN, |guest| {
        guest.vcpu(Vcpu::resume);
        guest.vcpu(Vcpu::pause);
        assert_eq!(guest.next().kind, kind::PARKED);
        guest.vcpu(Vcpu::resume);
        assert_eq!(guest.vm.wait(&mut [Event::default(); 1], within(SECOND / 100)), Ok(0));
        guest.vcpu(|vcpu| {
            vcpu.stop();
            Ok(())
        });
        assert_eq!(guest.next(), Event { kind: kind::VCPU_ENDED, ..Event::default() });
    });
}

#[test]
fn a_guest_that_never_exits_does_not_block_events() {
    on_each(&SPIN, |guest| {
        let fd = Arc::new(EventFd::new().unwrap());
        guest.vm.reactor().watch(fd.as_raw_fd(), 7, Ready::Readable, true).unwrap();
        guest.vcpu(Vcpu::resume);
        for round in 0..200 {
            let signaling = fd.clone();
            // Some signals arrive before the guest is entered, some after.
            let signal = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(round % 20 * 10));
                signaling.signal();
            });
            assert_eq!(guest.next(), Event { kind: kind::FD, index: 0, data: 7, aux: 1 });
            signal.join().unwrap();
        }
        assert_eq!(guest.counters.get(words::STATE), VcpuState::Running as u64);
        // Nor a deadline.
        assert_eq!(guest.vm.wait(&mut [Event::default(); 1], within(SECOND / 1000)), Ok(0));
    });
}

#[test]
fn shutting_down_frees_a_vcpu_in_the_middle_of_an_exit_and_the_waiting_thread() {
    let Some(guest) = Guest::new(&ECHO, On::ThreadOfItsOwn) else { return };
    guest.vcpu(Vcpu::resume);
    assert_eq!(guest.next().kind, kind::EXIT);
    let waiting = guest.vm.clone();
    let waiter = std::thread::spawn(move || waiting.wait(&mut [Event::default(); 4], None));
    guest.vm.shutdown();
    let (mut last, canceled) = (waiter.join().unwrap(), Err(Errno(libc::ECANCELED)));
    if last != canceled {
        // The vCPU ended before the reactor was closed.
        last = guest.vm.wait(&mut [Event::default(); 4], None);
    }
    assert_eq!(last, canceled);
}

#[test]
fn shutting_down_interrupts_a_waiting_thread_that_runs_the_guest() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let Some(guest) = Guest::new(&SPIN, On::WaitingThread) else { return };
        guest.vcpu(Vcpu::resume);
        sender.send(guest.vm.clone()).unwrap();
        assert_eq!(guest.vm.wait(&mut [Event::default()], None), Err(Errno(libc::ECANCELED)));
    });
    if let Ok(vm) = receiver.recv() {
        vm.shutdown();
    }
    waiter.join().unwrap();
}

#[test]
fn another_thread_that_waits_does_not_run_the_guest() {
    let Some(guest) = Guest::new(&ECHO, On::WaitingThread) else { return };
    guest.vcpu(Vcpu::resume);
    let other = guest.vm.clone();
    let waited = std::thread::spawn(move || other.wait(&mut [Event::default()], within(SECOND / 100)));
    assert_eq!(waited.join().unwrap(), Ok(0));
    assert_eq!(guest.exchange(9), None);
    assert_eq!(guest.exchange(0), Some(9));
}
