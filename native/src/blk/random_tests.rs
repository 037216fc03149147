//! Rings full of random numbers: whatever a driver writes, a request is executed, refused or reported, and
//! everything passed to the kernel lies in guest RAM and on the disk.

use super::bounce::BouncePool;
use super::disk::{Disk, SECTOR, SERIAL_BYTES, feature};
use super::request::{Operation, Range, parse};
use super::slot::Slot;
use super::testing::LIMITS;
use crate::memory::GuestRam;
use crate::queue::testing::ram;
use crate::queue::{Chain, Position, QueueLayout, SplitQueue};
use vm_memory::{Bytes, GuestAddress};

const SIZE: u32 = 16;
const DISK_BYTES: u64 = 1 << 20;
const DESCRIPTORS: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
/// Indirect tables and headers, among other things.
const SCRATCH: u64 = 0x4000;

/// xorshift64* with a fixed seed: failures are reproducible.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number near the boundaries that checks may get wrong.
    fn edge(&mut self, limit: u64) -> u64 {
        match self.below(8) {
            0 => self.next(),
            1 => u64::MAX - self.below(32),
            2 => limit.wrapping_add(self.below(64)).wrapping_sub(32),
            _ => self.below(limit),
        }
    }

    /// Mostly a step of a proper chain: something to read and a link to the next one, or something to write and the end.
    fn descriptor(&mut self, index: u64) -> [u64; 2] {
        let wild = self.below(8) == 0;
        let address = if wild { self.edge(0x20_0000) } else { SCRATCH + 16 * self.below(64) };
        let len = [1, 16, 16, 17, 513, 1025, if wild { self.edge(1 << 32) } else { 512 }];
        let flags = if wild { self.below(8) } else { [1, 1, 2][self.below(3) as usize] };
        let next = if wild { self.below(u64::from(SIZE) + 1) } else { index + 1 };
        let len = len[self.below(7) as usize] & 0xffff_ffff;
        [address, len | flags << 32 | (next & 0xffff) << 48]
    }
}

fn fill(random: &mut Random, ram: &GuestRam) {
    let write = |at: u64, value: u64| ram.write_obj(value, GuestAddress(at)).unwrap();
    for index in 0..u64::from(SIZE) + 64 {
        let (table, index) = match index.checked_sub(u64::from(SIZE)) {
            None => (DESCRIPTORS, index),
            Some(index) => (SCRATCH, index),
        };
        let [low, high] = random.descriptor(index);
        let at = table + 16 * index;
        write(at, low);
        write(at + 8, high);
    }
    // Some of the scratch area holds headers: {le32 type, le32 reserved, le64 sector}.
    for index in 0..32 {
        write(SCRATCH + 16 * index, [0, 1, 4, 8, 11, 13, random.next()][random.below(7) as usize]);
        write(SCRATCH + 16 * index + 8, random.edge(DISK_BYTES / SECTOR));
    }
    for entry in 0..SIZE as u64 {
        let head = random.below(u64::from(SIZE) + 1) as u16;
        ram.write_obj(head, GuestAddress(AVAILABLE + 4 + 2 * entry)).unwrap();
    }
    ram.write_obj(random.below(u64::from(SIZE) + 2) as u16, GuestAddress(AVAILABLE + 2)).unwrap();
}

fn check(operation: &Operation, chain: &Chain) {
    let inside = |start: u64, len: u64| assert!(start.checked_add(len).unwrap() <= DISK_BYTES);
    match operation {
        Operation::Read(start) => inside(*start, chain.writable.len()),
        Operation::Write(start) => inside(*start, chain.readable.len()),
        Operation::Discard(ranges) | Operation::WriteZeroes(ranges) => {
            ranges.iter().for_each(|Range { start, len, .. }| inside(*start, *len));
        }
        Operation::Flush | Operation::GetId | Operation::Refuse(_) => {}
    }
}

#[test]
fn random_rings_do_no_harm() {
    let ram = ram();
    let mut random = Random(0x76_7269_6e67);
    let disk = Disk {
        size: DISK_BYTES,
        readonly: false,
        can_discard: true,
        features: feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES,
        limits: LIMITS,
        serial: [0; SERIAL_BYTES],
        direct_alignment: Some(512),
    };
    let mut pool = BouncePool::default();
    let (mut understood, mut broken) = (0, 0);
    for round in 0..20_000u64 {
        fill(&mut random, &ram);
        let layout = QueueLayout {
            size: SIZE,
            descriptors: DESCRIPTORS,
            available: AVAILABLE,
            used: USED,
            features: (round % 4) << 28,
            position: Position::default(),
        };
        let mut queue = SplitQueue::new(&ram, &layout).unwrap();
        loop {
            let mut slot = Slot::default();
            match queue.take(&mut slot.chain) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    broken += 1;
                    break;
                }
            }
            let Ok((operation, status)) = parse(&mut slot.chain, &disk) else {
                broken += 1;
                break;
            };
            check(&operation, &slot.chain);
            understood += 1;
            slot.start(operation, status, 0);
            let _ = slot.next(&disk, &mut pool);
            if let Some(bounce) = slot.release_bounce() {
                pool.give_back(bounce);
            }
            queue.give_back(slot.chain.head, 1);
            queue.publish();
            queue.wants_interrupt();
        }
    }
    assert!(understood > 1_000 && broken > 1_000, "{understood} understood, {broken} broken");
}
