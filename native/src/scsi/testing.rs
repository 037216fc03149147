//! A SCSI controller with a driver around real queue threads, for tests.

use super::controller::Controller;
use super::unit::{Address, Identity, Kind, Unit};
use super::worker::ScsiWorker;
use crate::blk::testing::{Fixture, memory_file};
use crate::epoll::EventFd;
use crate::image::{Image, RawImage};
use crate::limiter::{Limiter, RateLimits};
use crate::queue::testing::{Buffer, in_, out};
use crate::queue_thread::{QueueThread, Worker, duplicate};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// Addresses of the driver's commands, outcomes and data.
pub const COMMAND: u64 = 0x8000;
pub const OUTCOME: u64 = 0x9000;
pub const DATA_OUT: u64 = 0x1_0000;
pub const DATA_IN: u64 = 0x8_0000;

pub const COMMAND_BYTES: u32 = 19 + 32;
pub const OUTCOME_BYTES: u32 = 12 + 96;

pub const DISK: Address = Address { target: 0, lun: 0 };
pub const DRIVE: Address = Address { target: 0, lun: 3 };

pub const DISK_BLOCKS: u64 = 4096;
pub const CD_BLOCKS: u64 = 400;

pub struct Bus {
    pub fixture: Fixture,
    pub controller: Arc<Controller>,
    /// The eventfd that signals the machine thread.
    pub machine: EventFd,
    pub disk: File,
    pub limiter: Arc<Limiter>,
}

/// How a command ended.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub response: u8,
    pub status: u8,
    pub residual: u32,
    pub sense: Vec<u8>,
    /// The data to the driver, without the unused part of its buffer.
    pub data: Vec<u8>,
    /// The length in the used ring.
    pub written: u32,
}

impl Outcome {
    /// Sense key, additional sense code and qualifier of fixed-format sense data.
    pub fn sense(&self) -> (u8, u8, u8) {
        assert_eq!((self.response, self.status), (0, 2), "{self:?}");
        assert_eq!((self.sense.len(), self.sense[0] & 0x7f), (18, 0x70));
        (self.sense[2], self.sense[12], self.sense[13])
    }

    /// The data of a successful command.
    pub fn good(self) -> Vec<u8> {
        assert_eq!((self.response, self.status, self.sense.len()), (0, 0, 0), "{self:?}");
        assert_eq!(self.written as usize, OUTCOME_BYTES as usize + self.data.len());
        self.data
    }
}

pub fn identity(kind: Kind) -> Identity {
    Identity {
        kind,
        vendor: *b"VRING   ",
        product: *if kind == Kind::Cd { b"VRING CD-ROM    " } else { b"VRING HARDDISK  " },
        revision: *b"1.0 ",
        serial: b"disk-7".to_vec(),
        wwn: 0x5000_c500_1234_5678,
        port_wwn: 0,
        block: if kind == Kind::Cd { 2048 } else { 512 },
        physical_exponent: if kind == Kind::Cd { 0 } else { 3 },
        min_io: 4096,
        optimal_io: 0,
        rotation_rate: 1,
        removable: kind == Kind::Cd,
        dpofua: true,
    }
}

pub fn image(file: &File, bytes: u64, readonly: bool) -> Arc<dyn Image> {
    file.set_len(bytes).unwrap();
    Arc::new(RawImage::open(file.as_raw_fd(), bytes, readonly, true).unwrap())
}

pub fn no_limit() -> Arc<Limiter> {
    Arc::new(Limiter::new(&RateLimits::default()))
}

impl Bus {
    /// A disk, and a CD drive with a CD, whose reset attentions the driver has already received.
    pub fn new() -> Bus {
        let machine = EventFd::new().unwrap();
        let controller = Arc::new(Controller::new(duplicate(machine.as_raw_fd()).unwrap()).unwrap());
        controller.add(Unit::new(DISK, identity(Kind::Disk), true)).unwrap();
        controller.add(Unit::new(DRIVE, identity(Kind::Cd), false)).unwrap();
        let (disk, limiter) = (memory_file(), no_limit());
        let writable = image(&disk, DISK_BLOCKS * 512, false);
        controller.insert(DISK, writable, limiter.clone(), true).unwrap();
        controller.insert(DRIVE, image(&memory_file(), CD_BLOCKS * 2048, true), no_limit(), true).unwrap();
        let mut fixture = Fixture::new(memory_file(), 0, 0);
        fixture.stop();
        let mut bus = Bus { fixture, controller, machine, disk, limiter };
        bus.start();
        for address in [DISK, DRIVE] {
            assert_eq!(bus.command(address, &[0; 6], &[], 0).sense(), (6, 0x29, 0));
        }
        bus
    }

    /// Serves the driver's request queue.
    pub fn start(&mut self) {
        self.serve(ScsiWorker::new(self.controller.clone()));
    }

    pub fn serve(&mut self, worker: impl Worker) {
        let Fixture { unfinished, .. } = &self.fixture;
        let surroundings = self.fixture.surroundings();
        let queue = QueueThread::start(&self.fixture.config(), unfinished, worker, surroundings);
        self.fixture.put_queue(queue.unwrap());
    }

    /// Offers a command with this tag, whose data goes in either direction. Returns the buffers of its outcome.
    pub fn offer(&mut self, field: [u8; 8], tag: u64, cdb: &[u8], data_out: u32, data_in: u32) {
        let mut command = [0; COMMAND_BYTES as usize];
        command[0..8].copy_from_slice(&field);
        command[8..16].copy_from_slice(&tag.to_le_bytes());
        command[19..19 + cdb.len()].copy_from_slice(cdb);
        let at = tag % 16;
        self.fixture.write(COMMAND + 64 * at, &command);
        let mut chain: Vec<Buffer> = vec![out(COMMAND + 64 * at, COMMAND_BYTES)];
        if data_out > 0 {
            chain.push(out(DATA_OUT, data_out));
        }
        chain.push(in_(OUTCOME + 128 * at, OUTCOME_BYTES));
        if data_in > 0 {
            chain.push(in_(DATA_IN, data_in));
        }
        self.fixture.driver.offer(&chain);
        self.fixture.kick.signal();
    }

    /// The outcome of the command with this tag and these data buffer sizes, from entry `index` of the used ring.
    pub fn outcome(&self, tag: u64, index: u16, data_out: u32, data_in: u32) -> Outcome {
        let at = OUTCOME + 128 * (tag % 16);
        let head: [u8; 12] = self.fixture.read(at);
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let sense: [u8; 96] = self.fixture.read(at + 12);
        let data: [u8; 8192] = self.fixture.read(DATA_IN);
        let moved_in = if data_out > 0 { 0 } else { data_in - word(4).min(data_in) };
        Outcome {
            response: head[11],
            status: head[10],
            residual: word(4),
            sense: sense[..word(0) as usize].to_vec(),
            data: data[..(moved_in as usize).min(8192)].to_vec(),
            written: self.fixture.driver.used(index).1,
        }
    }

    pub fn command(&mut self, address: Address, cdb: &[u8], data_out: &[u8], data_in: u32) -> Outcome {
        self.command_at(address.encode(), cdb, data_out, data_in)
    }

    /// One command, from offer to completion.
    pub fn command_at(&mut self, field: [u8; 8], cdb: &[u8], data_out: &[u8], data_in: u32) -> Outcome {
        let index = self.fixture.driver.used_index();
        self.fixture.write(DATA_OUT, data_out);
        self.offer(field, 0, cdb, data_out.len() as u32, data_in);
        self.fixture.await_used(index.wrapping_add(1));
        self.outcome(0, index, data_out.len() as u32, data_in)
    }

    pub fn disk(&mut self, cdb: &[u8], data_out: &[u8], data_in: u32) -> Outcome {
        self.command(DISK, cdb, data_out, data_in)
    }

    pub fn cd(&mut self, cdb: &[u8], data_in: u32) -> Outcome {
        self.command(DRIVE, cdb, &[], data_in)
    }
}
