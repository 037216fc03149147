//! Commands full of random numbers: whatever a driver asks for is either carried out inside the image or refused, and
//! the outcome fits its buffers.

use super::testing::{
    CD_BLOCKS, COMMAND, DATA_IN, DATA_OUT, DISK, DISK_BLOCKS, DRIVE, OUTCOME, identity, no_limit,
};
use super::unit::{Kind, Unit};
use super::worker::ScsiWorker;
use super::{ControlWorker, Controller, EventWorker};
use crate::blk::testing::memory_file;
use crate::epoll::EventFd;
use crate::image::{Image, ImageState, Place, RawImage};
use crate::memory::GuestRam;
use crate::queue::testing::{Buffer, Driver, Random, in_, out, ram};
use crate::queue::{Chain, Ring, SplitQueue};
use crate::queue_thread::{Next, Worker, duplicate};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

/// An image that checks that every request is inside it.
struct Checked(RawImage);

impl Image for Checked {
    fn state(&self) -> &ImageState {
        self.0.state()
    }

    fn files(&self) -> Vec<RawFd> {
        self.0.files()
    }

    fn operations(&self) -> &'static [u8] {
        self.0.operations()
    }

    fn direct_alignment(&self) -> Option<usize> {
        Some(512)
    }

    fn locate(&self, start: u64, len: u64, write: bool) -> Place {
        assert!(len > 0 && start.checked_add(len).unwrap() <= self.state().capacity());
        self.0.locate(start, len, write)
    }
}

fn controller() -> Arc<Controller> {
    let machine = EventFd::new().unwrap();
    let controller = Arc::new(Controller::new(duplicate(machine.as_raw_fd()).unwrap()).unwrap());
    for (address, kind, bytes) in [(DISK, Kind::Disk, DISK_BLOCKS * 512), (DRIVE, Kind::Cd, CD_BLOCKS * 2048)]
    {
        controller.add(Unit::new(address, identity(kind), true)).unwrap();
        let file = memory_file();
        file.set_len(bytes).unwrap();
        let image = RawImage::open(file.as_raw_fd(), bytes, kind == Kind::Cd, true).unwrap();
        controller.insert(address, Arc::new(Checked(image)), no_limit(), true).unwrap();
    }
    controller
}

/// A number near the boundaries where checks are likely to be wrong.
fn edge(random: &mut Random) -> u64 {
    match random.below(6) {
        0 => random.next(),
        1 => u64::MAX - random.below(8),
        2 => DISK_BLOCKS - 4 + random.below(8),
        3 => CD_BLOCKS - 4 + random.below(8),
        _ => random.below(64),
    }
}

fn fill_command(random: &mut Random, memory: &GuestRam) {
    let mut command: [u8; 51] =
        std::array::from_fn(|_| if random.below(3) > 0 { 0 } else { random.next() as u8 });
    command[0..8].copy_from_slice(&if random.below(4) > 0 { DISK } else { DRIVE }.encode());
    if random.below(50) == 0 {
        command[random.below(8) as usize] = random.next() as u8;
    }
    let codes = [
        0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x42,
        0x43, 0x46, 0x4a, 0x51, 0x52, 0x55, 0x5a, 0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa,
        0xad, 0xbd, 0xbe,
    ];
    command[19] = if random.below(20) == 0 {
        random.next() as u8
    } else {
        codes[random.below(codes.len() as u64) as usize]
    };
    let [lba, count] = [edge(random), edge(random)];
    match command[19] {
        0x88..=0x93 => {
            command[21..29].copy_from_slice(&lba.to_be_bytes());
            command[29..33].copy_from_slice(&(count as u32).to_be_bytes());
        }
        0x25..=0x5a => {
            command[21..25].copy_from_slice(&(lba as u32).to_be_bytes());
            command[26..28].copy_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {}
    }
    memory.write_slice(&command, GuestAddress(COMMAND)).unwrap();
    let list: [u8; 64] =
        std::array::from_fn(
            |_| if random.below(2) > 0 { random.below(32) as u8 } else { random.next() as u8 },
        );
    memory.write_slice(&list, GuestAddress(DATA_OUT)).unwrap();
}

/// Usually built like a driver's request.
fn chain_of(random: &mut Random) -> Vec<Buffer> {
    let len = |random: &mut Random| [0, 1, 16, 24, 255, 512, 2048, 4096, 65536][random.below(9) as usize];
    let mut buffers = vec![out(COMMAND, if random.below(100) == 0 { 50 } else { 51 })];
    let writes = random.below(3) == 0;
    let count = len(random);
    if writes && count > 0 {
        buffers.push(out(DATA_OUT, count));
    }
    buffers.push(in_(OUTCOME, if random.below(100) == 0 { 107 } else { 108 }));
    if (!writes || random.below(50) == 0) && count > 0 {
        buffers.push(in_(DATA_IN, count));
    }
    buffers
}

#[test]
fn random_commands_do_no_harm() {
    let memory = ram();
    let mut random = Random(0x7363_7369);
    let controller = controller();
    let worker = ScsiWorker::new(controller.clone());
    let mut pool = Default::default();
    let mut driver = Driver::new(&memory, 64);
    let mut queue = SplitQueue::new(&memory, &driver.layout).unwrap();
    let (mut asked, mut good, mut broken) = (0u32, 0u32, 0u32);
    for _ in 0..60_000 {
        fill_command(&mut random, &memory);
        driver.offer(&chain_of(&mut random));
        let (mut chain, mut request) = (Chain::default(), Default::default());
        assert!(queue.take(&mut chain).unwrap());
        let room = chain.writable.len();
        if worker.begin(&mut chain, &mut request).is_err() {
            broken += 1;
            queue.give_back(&chain, 0);
            queue.publish();
            continue;
        }
        asked += 1;
        // The disk's answers are random, too. A request ends after a number of steps.
        for _ in 0..10_000 {
            match worker.next(&chain, &mut request, &mut pool) {
                Next::Submit(..) => {
                    let result = [0, -libc::EIO, -libc::ENOSPC, -libc::EAGAIN, 512, 512, 512]
                        [random.below(7) as usize];
                    worker.completed(&chain, &mut request, result);
                }
                _ => break,
            }
        }
        let outcome = worker.end(&chain, &mut request, &mut pool);
        assert!(u64::from(outcome.written) <= room);
        let head: [u8; 12] = memory.read_obj(GuestAddress(OUTCOME)).unwrap();
        good += u32::from(head[10] == 0 && head[11] == 0);
        queue.give_back(&chain, outcome.written);
        queue.publish();
    }
    assert!(asked > 50_000 && good > 5_000 && broken > 100, "{asked} asked, {good} good, {broken} broken");
    assert!(!controller.unit(DISK).unwrap().tasks.has_tag(None), "every command has ended");
}

#[test]
fn random_control_and_event_requests_do_no_harm() {
    let memory = ram();
    let mut random = Random(0x636f_6e74);
    let controller = controller();
    let (control, events) = (ControlWorker(controller.clone()), EventWorker(controller.clone()));
    let mut driver = Driver::new(&memory, 64);
    let mut queue = SplitQueue::new(&memory, &driver.layout).unwrap();
    let mut answered = 0;
    for round in 0..20_000 {
        let mut bytes: [u8; 24] =
            std::array::from_fn(|_| if random.below(2) > 0 { 0 } else { random.next() as u8 });
        bytes[0..8].copy_from_slice(&(random.below(4) | random.below(10) << 32).to_le_bytes());
        bytes[8..16].copy_from_slice(&DISK.encode());
        memory.write_slice(&bytes, GuestAddress(COMMAND)).unwrap();
        driver.offer(&[out(COMMAND, 20 + random.below(6) as u32), in_(OUTCOME, 1 + random.below(20) as u32)]);
        let mut chain = Chain::default();
        assert!(queue.take(&mut chain).unwrap());
        let written = if round % 2 == 0 {
            let mut request = Default::default();
            control.begin(&mut chain, &mut request).map(|_| {
                control.next(&chain, &mut request, &mut ());
                control.end(&chain, &mut request, &mut ()).written
            })
        } else {
            let mut request = Default::default();
            controller.events.push(1, DISK, 0);
            events.begin(&mut chain, &mut request).map(|_| {
                events.next(&chain, &mut request, &mut ());
                events.end(&chain, &mut request, &mut ()).written
            })
        };
        answered += u32::from(written.is_ok());
        queue.give_back(&chain, written.unwrap_or(0));
        queue.publish();
    }
    assert!(answered > 5_000, "{answered}");
}
