//! Rings full of random numbers: whatever a driver writes, a request is executed, refused or reported, and
//! everything passed to the kernel lies in guest RAM and on the disk.

use super::request::{Operation, parse};
use super::testing::{LIMITS, memory_file};
use super::{BlkConfig, BlkWorker, Request, SERIAL_BYTES, feature};
use crate::image::{BouncePool, DiskOperation, Image, ImageState, Place, Range, RawImage, SECTOR};
use crate::memory::GuestRam;
use crate::queue::testing::{Random, ram};
use crate::queue::{Chain, PackedQueue, Position, QueueLayout, Ring, SplitQueue};
use crate::queue_thread::Worker;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

const SIZE: u32 = 16;
const DISK_BYTES: u64 = 1 << 20;
const DESCRIPTORS: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
/// Indirect tables and headers, among other things.
const SCRATCH: u64 = 0x4000;

trait Edges {
    fn edge(&mut self, limit: u64) -> u64;
    fn descriptor(&mut self, index: u64) -> [u64; 2];
}

impl Edges for Random {
    /// A number near the boundaries where checks are likely to be wrong.
    fn edge(&mut self, limit: u64) -> u64 {
        match self.below(8) {
            0 => self.next(),
            1 => u64::MAX - self.below(32),
            2 => limit.wrapping_add(self.below(64)).wrapping_sub(32),
            _ => self.below(limit),
        }
    }

    /// Usually part of a valid chain: a readable buffer with a link to the next, or a writable one that ends it.
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
    // Part of the scratch area holds headers: {le32 type, le32 reserved, le64 sector}.
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

/// The same descriptors in a packed ring, made available at random.
fn fill_packed(random: &mut Random, ram: &GuestRam) {
    fill(random, ram);
    for index in 0..u64::from(SIZE) + 64 {
        let table = if index < u64::from(SIZE) { DESCRIPTORS } else { SCRATCH - 16 * u64::from(SIZE) };
        let at = GuestAddress(table + 16 * index + 8);
        let word: u64 = ram.read_obj(at).unwrap();
        // {le32 len, le16 flags, le16 next} becomes {le32 len, le16 id, le16 flags}.
        let available = if index >= u64::from(SIZE) || random.below(16) == 0 { 0 } else { 1 << 7 };
        let flags = (word >> 32 & 0xffff) | available;
        ram.write_obj(word & 0xffff_ffff | index << 32 | flags << 48, at).unwrap();
    }
}

/// An image whose buffers must be aligned.
struct Aligned(RawImage);

impl Image for Aligned {
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
        assert!(len > 0 && start.checked_add(len).unwrap() <= DISK_BYTES);
        self.0.locate(start, len, write)
    }
}

fn check(operation: &Operation, chain: &Chain) {
    let inside = |start: u64, len: u64| assert!(start.checked_add(len).unwrap() <= DISK_BYTES);
    let Operation::Disk(operation) = operation else { return };
    match operation {
        DiskOperation::Read(start) => inside(*start, chain.writable.len()),
        DiskOperation::Write(start) => inside(*start, chain.readable.len()),
        DiskOperation::Discard(ranges) | DiskOperation::WriteZeroes(ranges) => {
            ranges.iter().for_each(|Range { start, len, .. }| inside(*start, *len));
        }
        DiskOperation::Flush => {}
    }
}

fn worker() -> BlkWorker {
    let file = memory_file();
    let image = RawImage::open(file.as_raw_fd(), DISK_BYTES, false, true).unwrap();
    let config = BlkConfig {
        max_segments: LIMITS.segments,
        max_ranges: LIMITS.ranges,
        max_range_sectors: LIMITS.range_sectors,
        serial: [0; SERIAL_BYTES],
        ..BlkConfig::default()
    };
    let features = feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES;
    BlkWorker::new(&config, features, Arc::new(Aligned(image)), None)
}

/// Counts of requests that parsed, and of broken rings.
fn random_rings<'m, R: Ring<'m>>(
    ram: &'m GuestRam,
    position: Position,
    fill: fn(&mut Random, &GuestRam),
) -> (u32, u32) {
    let mut random = Random(0x76_7269_6e67);
    let worker = worker();
    let mut pool = BouncePool::default();
    let (mut understood, mut broken) = (0, 0);
    for round in 0..20_000u64 {
        fill(&mut random, ram);
        let layout = QueueLayout {
            size: SIZE,
            descriptors: DESCRIPTORS,
            available: AVAILABLE,
            used: USED,
            features: (round % 4) << 28,
            position,
        };
        let mut queue = R::new(ram, &layout).unwrap();
        loop {
            let (mut chain, mut request) = (Chain::default(), Request::default());
            match queue.take(&mut chain) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    broken += 1;
                    break;
                }
            }
            // Parsed twice, the first time to inspect it. That removes the header from the chain, so it is read again,
            // as after a stop.
            let mut saved = Vec::new();
            queue.save(&chain, &mut saved);
            let Ok((operation, _)) = parse(&mut chain, &worker) else {
                broken += 1;
                break;
            };
            check(&operation, &chain);
            assert!(queue.can_retake(&saved));
            queue.retake(&mut saved.as_slice(), &mut chain).unwrap();
            worker.begin(&mut chain, &mut request).unwrap();
            understood += 1;
            let _ = worker.next(&chain, &mut request, &mut pool);
            worker.end(&chain, &mut request, &mut pool);
            queue.give_back(&chain, 1);
            queue.publish();
            queue.wants_interrupt();
        }
    }
    (understood, broken)
}

#[test]
fn random_split_rings_do_no_harm() {
    let ram = ram();
    let (understood, broken) = random_rings::<SplitQueue>(&ram, Position::default(), fill);
    assert!(understood > 1_000 && broken > 1_000, "{understood} understood, {broken} broken");
}

#[test]
fn random_packed_rings_do_no_harm() {
    let ram = ram();
    let position = Position { available: 0x8000, used: 0x8000 };
    let (understood, broken) = random_rings::<PackedQueue>(&ram, position, fill_packed);
    assert!(understood > 1_000 && broken > 1_000, "{understood} understood, {broken} broken");
}
