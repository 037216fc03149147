//! Rings in guest memory filled by the fuzzer, and the code that serves them.

use super::input::Input;
use super::kernel::Operation;
use crate::memory::{Discards, GuestRam, Writes};
use crate::queue::{Chain, PackedQueue, Position, QueueLayout, Ring, SplitQueue, feature};
use crate::queue_thread::{Next, Outcome, Worker};
use std::sync::Arc;
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{Bytes, GuestAddress, GuestRegionMmap};

/// RAM: two adjacent regions, the second one read-only, and one after a hole.
const REGIONS: [(u64, usize, bool); 3] =
    [(0, 0x4000, true), (0x4000, 0x1000, false), (0x1_0000, 0x2000, true)];
/// Where the driver's part of the queue is. The fuzzer's first bytes are at 0, so that it finds the rings early.
const DESCRIPTORS: u64 = 0;
const AVAILABLE: u64 = 0x100;
const USED: u64 = 0x140;
const MAX_SIZE: u32 = 16;
/// Requests in progress.
const MAX_TAKEN: usize = 4;
/// The most steps a request may take: with the largest buffers here it needs a few dozen.
const MAX_STEPS: u32 = 100_000;

fn region(&(start, size, writable): &(u64, usize, bool)) -> GuestRegionMmap<Writes> {
    let writes = if writable { Writes::default().discarded(libc::MADV_DONTNEED) } else { Writes::refused() };
    let mapping = MmapRegionBuilder::new_with_bitmap(size, writes)
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
        .build();
    GuestRegionMmap::new(mapping.expect("memory"), GuestAddress(start)).expect("an address that fits")
}

fn memory() -> GuestRam {
    GuestRam::from_regions(REGIONS.iter().map(region).collect()).expect("regions in order")
}

/// The content of the read-only memory.
fn readonly_part(ram: &GuestRam) -> Vec<u8> {
    let mut bytes = vec![0; REGIONS[1].1];
    ram.read_slice(&mut bytes, GuestAddress(REGIONS[1].0)).expect("RAM");
    bytes
}

/// Serves a queue in fuzzed memory: `worker` begins, continues and ends requests in the order given by the input.
pub fn serve<W: Worker>(bytes: &[u8], worker: &W, check: impl Fn(&Operation) + Copy) {
    let mut input = Input::new(bytes);
    let ram = memory();
    let flags = input.u8();
    let size = 1 + u32::from(input.u8()) % MAX_SIZE;
    let is_packed = flags & 1 != 0;
    let position = Position { available: input.u16(), used: input.u16() };
    let layout = QueueLayout {
        size: if is_packed { size } else { size.next_power_of_two() },
        descriptors: DESCRIPTORS + if flags & 2 != 0 { u64::from(input.u16()) * 16 } else { 0 },
        available: AVAILABLE,
        used: USED,
        features: u64::from(flags >> 2 & 3) * feature::INDIRECT_DESC,
        position,
    };
    let count = usize::from(input.u16()) % REGIONS[0].1;
    let content = input.take(count);
    ram.write_slice(content, GuestAddress(0)).expect("RAM");
    let before = readonly_part(&ram);
    match is_packed {
        true => run::<PackedQueue, W>(&mut input, &ram, layout, worker, check),
        false => run::<SplitQueue, W>(&mut input, &ram, layout, worker, check),
    }
    assert!(readonly_part(&ram) == before, "memory was written that can only be read");
}

/// A request in progress.
struct Taken<'m, W: Worker> {
    chain: Chain<'m>,
    /// Bytes of the buffers that the driver lets it write to.
    room: u64,
    // Boxed, so that it stays in place.
    request: Box<W::Request<'m>>,
}

fn run<'m, R: Ring<'m>, W: Worker>(
    input: &mut Input<'_>,
    ram: &'m GuestRam,
    mut layout: QueueLayout,
    worker: &W,
    check: impl Fn(&Operation) + Copy,
) {
    let Ok(mut queue) = R::new(ram, &layout) else { return };
    let mut pool = W::Pool::default();
    let mut taken: Vec<Taken<'m, W>> = Vec::new();
    while !input.is_empty() {
        match input.u8() % 8 {
            0..=2 if taken.len() < MAX_TAKEN => {
                let before = queue.position();
                let (mut chain, mut request) = (Chain::default(), Box::default());
                match queue.take(&mut chain) {
                    Ok(true) if input.u8() == 255 => queue.put_back(before),
                    Ok(true) => {
                        // Its header leaves the chain when it begins; a queue that was stopped reads it again.
                        let mut saved = Vec::new();
                        queue.save(&chain, &mut saved);
                        if queue.can_retake(&saved) {
                            let mut again = Chain::default();
                            let lens = (chain.readable.len(), chain.writable.len());
                            if queue.retake(&mut saved.as_slice(), &mut again).is_ok() {
                                assert_eq!((again.readable.len(), again.writable.len()), lens);
                            }
                        }
                        let room = chain.writable.len();
                        if worker.begin(&mut chain, &mut request).is_err() {
                            break;
                        }
                        taken.push(Taken { chain, room, request });
                    }
                    Ok(false) => {}
                    Err(_) => break,
                }
            }
            0..=3 if !taken.is_empty() => {
                let index = usize::from(input.u8()) % taken.len();
                let Taken { chain, mut request, room } = taken.swap_remove(index);
                let outcome = finish(input, worker, &chain, &mut request, &mut pool, check);
                assert!(u64::from(outcome.written) <= room, "more was written than there is room for");
                queue.give_back(&chain, outcome.written);
            }
            4 => {
                // The driver changes buffers that it has already offered.
                let (at, count) = (u64::from(input.u16()), usize::from(input.u8()));
                let at = at % (REGIONS[1].0 - u64::from(u8::MAX));
                ram.write_slice(input.take(count), GuestAddress(at)).expect("RAM");
            }
            5 => {
                queue.publish();
                queue.wants_interrupt();
                if worker.due().is_some() {
                    worker.work(ram);
                }
            }
            6 => {
                queue.forget_kick();
                if !queue.enable_kicks() {
                    queue.has_available();
                }
                queue.disable_kicks();
            }
            7 => {
                // Another thread continues where this one stopped; its requests start over.
                queue.publish();
                let mut saved = Vec::new();
                taken.drain(..).for_each(|taken| {
                    let Taken { chain, mut request, .. } = taken;
                    queue.save(&chain, &mut saved);
                    worker.end(&chain, &mut request, &mut pool);
                });
                layout.position = queue.position();
                let Ok(next) = R::new(ram, &layout) else { return };
                queue = next;
                if !queue.can_retake(&saved) {
                    return;
                }
                let mut rest = saved.as_slice();
                while !rest.is_empty() {
                    let (mut chain, mut request) = (Chain::default(), Box::default());
                    if queue.retake(&mut rest, &mut chain).is_err() {
                        return;
                    }
                    let room = chain.writable.len();
                    if worker.begin(&mut chain, &mut request).is_err() {
                        return;
                    }
                    taken.push(Taken { chain, room, request });
                }
            }
            _ => {}
        }
    }
    for Taken { chain, mut request, .. } in taken {
        worker.end(&chain, &mut request, &mut pool);
    }
}

fn finish<'m, W: Worker>(
    input: &mut Input<'_>,
    worker: &W,
    chain: &Chain<'m>,
    request: &mut W::Request<'m>,
    pool: &mut W::Pool,
    check: impl Fn(&Operation),
) -> Outcome {
    for _ in 0..MAX_STEPS {
        let Next::Submit(entry, _) = worker.next(chain, request, pool) else {
            return worker.end(chain, request, pool);
        };
        let operation = Operation::of(&entry);
        check(&operation);
        let len = operation.len();
        let done = match input.u8() {
            // Part of it, or none.
            254 => len / 2,
            253 => 0,
            255 => {
                let errno = [libc::EIO, libc::ENOSPC, libc::EAGAIN, libc::EOPNOTSUPP];
                worker.completed(chain, request, -errno[usize::from(input.u8()) % errno.len()]);
                continue;
            }
            _ => len,
        };
        operation.carry_out(done);
        worker.completed(chain, request, done as i32);
    }
    panic!("a request does not end");
}

/// Takes requests and fills their buffers.
pub fn rings(bytes: &[u8]) {
    serve(bytes, &crate::rng::RngWorker::new(None), |_| {});
}

pub fn balloon(bytes: &[u8]) {
    let (role, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let config = crate::balloon::BalloonConfig { role: u32::from(role % 3) };
    let features = u64::from(role / 3 % 2) * crate::balloon::MUST_TELL_HOST;
    let discards = Arc::new(Discards::default());
    discards.allow(true);
    let worker =
        crate::balloon::BalloonWorker::new(&config, features, discards, Arc::default()).expect("a role");
    serve(bytes, &worker, |_| {});
}
