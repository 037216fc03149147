//! Receive queues (virtio 1.3 §5.1.6.3): frames are read from the wire into the driver's buffers.
//!
//! A frame is read into as many buffers as recent frames have needed. What does not fit goes to the
//! thread's own memory, and is copied from there to further buffers. Buffers that were taken but not needed
//! are put back when the queue stops.

use super::feature;
use super::filter::ReceiveFilter;
use super::header::{HEADER_BYTES, MAX_FRAME, NUM_BUFFERS};
use super::wire::{Moved, Wire};
use crate::clock::now_ns;
use crate::counters::queue as words;
use crate::epoll::EventFd;
use crate::queue::{Broken, Chain, Position, Ring};
use crate::queue_thread::{Post, Served, Server};
use crate::seccomp::Call;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::{Arc, Weak};

/// The most frames to receive before publishing them to the driver.
const BATCH: u64 = 64;
/// The bytes of a frame that the filter looks at.
const FILTERED_BYTES: usize = 18;
/// The most iovecs of one readv (UIO_MAXIOV), less the last one.
const MAX_IOVECS: usize = 1000;
/// After this many frames that needed less, smaller buffers are enough.
const SMALL_FRAMES: u32 = 256;
/// The most buffers that a thread without any waits for at a time, and how long it waits.
const MAX_WANTED_BUFFERS: u16 = 128;
const BUFFERS_NS: u64 = 500_000;

pub struct Receiver {
    wire: Arc<Wire>,
    pair: u32,
    mergeable: bool,
}

/// Buffers that were taken, and the queue's position before.
struct Held<'m> {
    before: Position,
    chain: Chain<'m>,
}

/// Why receiving has paused.
#[derive(PartialEq)]
enum Pause {
    /// Not paused: there may be more frames.
    None,
    /// No frame has arrived.
    Wire,
    /// The driver has offered too few buffers.
    Buffers,
    /// A rate limit is reached, until this time.
    Limit(u64),
    /// The cable is unplugged, or the driver does not use the queue.
    Unused,
}

impl Receiver {
    pub fn new(wire: Arc<Wire>, pair: u32, features: u64) -> Receiver {
        Receiver { wire, pair, mergeable: features & feature::MRG_RXBUF != 0 }
    }

    fn file(&self) -> Option<RawFd> {
        self.wire.file(self.pair)
    }
}

impl Server for Receiver {
    const NAME: &'static str = "rx";

    fn calls(&self) -> Vec<Call> {
        self.wire.calls(self.pair, false)
    }

    fn signals(&self) -> Vec<RawFd> {
        self.wire.signals()
    }

    fn add_thread(&self, control: Weak<EventFd>) {
        self.wire.receive_limiter.add_thread(control.clone());
        self.wire.add_thread(control);
    }

    fn serve<'m, R: Ring<'m>>(&self, queue: &mut R, post: &mut Post<'_>) -> Served<()> {
        self.wire.begin_reading();
        let mut receiving = Receiving::new(self);
        let served = receiving.run(queue, post);
        if let Some(first) = receiving.held.front() {
            queue.put_back(first.before);
        }
        served
    }
}

/// The state of a running queue.
struct Receiving<'m, 'r> {
    receiver: &'r Receiver,
    held: VecDeque<Held<'m>>,
    /// Bytes in the held buffers.
    room: usize,
    spare: Vec<Chain<'m>>,
    /// Buffers taken since there were too few.
    taken: u16,
    /// Bytes, including the header, to keep buffers for.
    wanted: usize,
    /// Consecutive frames that have needed less.
    small: u32,
    iovecs: Vec<libc::iovec>,
    /// Receives what does not fit into the buffers.
    rest: Vec<u8>,
    /// A frame that waits for buffers, with its header.
    kept: Option<Vec<u8>>,
    filter: (u32, Arc<ReceiveFilter>),
}

impl<'m, 'r> Receiving<'m, 'r> {
    fn new(receiver: &'r Receiver) -> Receiving<'m, 'r> {
        Receiving {
            receiver,
            held: VecDeque::new(),
            room: 0,
            spare: Vec::new(),
            taken: 0,
            wanted: 1,
            small: 0,
            iovecs: Vec::new(),
            rest: vec![0; HEADER_BYTES + MAX_FRAME],
            kept: None,
            filter: receiver.wire.filter(),
        }
    }

    fn run<R: Ring<'m>>(&mut self, queue: &mut R, post: &mut Post<'_>) -> Served<()> {
        while !post.must_leave() {
            let pause = self.receive_batch(queue, post)?;
            post.publish(queue);
            self.receiver.wire.took();
            match pause {
                Pause::None => {}
                Pause::Wire => self.wait_for_wire(post)?,
                Pause::Buffers => self.wait_for_buffers(queue, post)?,
                Pause::Limit(until) => {
                    let since = now_ns();
                    post.counters.add(words::THROTTLED, 1);
                    post.wait(false, &[], Some(until))?;
                    post.counters.add(words::THROTTLED_NS, now_ns().saturating_sub(since));
                }
                Pause::Unused => self.wait_unused(post)?,
            }
        }
        Ok(())
    }

    /// A driver that returns one buffer at a time would kick for each of them: ask it to kick once after half of those
    /// that it last offered, unless that takes too long.
    fn wait_for_buffers<R: Ring<'m>>(&mut self, queue: &mut R, post: &mut Post<'_>) -> Served<()> {
        let wanted = (std::mem::take(&mut self.taken) / 2).min(MAX_WANTED_BUFFERS);
        if wanted > 1 {
            let is_enough = queue.enable_kicks_after(wanted);
            if !is_enough && !post.must_leave() {
                post.wait(true, &[], Some(now_ns().saturating_add(BUFFERS_NS)))?;
            }
            queue.disable_kicks();
            if queue.has_available() {
                return Ok(());
            }
        } else if post.spin(queue) {
            return Ok(());
        }
        if !queue.enable_kicks() && !post.must_leave() {
            post.wait(true, &[], None)?;
        }
        queue.disable_kicks();
        Ok(())
    }

    fn wait_for_wire(&self, post: &mut Post<'_>) -> Served<()> {
        let wire = &self.receiver.wire;
        let file = self.receiver.file();
        // With shared memory, the sender wakes once for several frames.
        let spins = !wire.is_shared();
        if spins && file.is_some_and(|file| post.spin_for_file(file)) || !wire.sleep() {
            return Ok(());
        }
        let files: Vec<(RawFd, i16)> = file.map(|file| (file, libc::POLLIN)).into_iter().collect();
        let woken = post.wait(false, &files, None);
        let is_there = wire.rise(woken.as_ref().is_ok_and(|woken| woken.file));
        let woken = woken?;
        if !is_there || woken.hung_up && !woken.file {
            wire.hang_up();
        }
        Ok(())
    }

    /// Frames that arrive while the cable is unplugged are lost.
    fn wait_unused(&mut self, post: &mut Post<'_>) -> Served<()> {
        let Receiver { wire, pair, .. } = self.receiver;
        if wire.file(*pair).is_none() || !wire.is_used(*pair) {
            post.wait(false, &[], None)?;
            return Ok(());
        }
        let all = [iovec(&mut self.rest)];
        for _ in 0..BATCH {
            match wire.read(*pair, &all) {
                Moved::Frame(_) => post.counters.add(words::DROPPED, 1),
                Moved::Later | Moved::Lost => return self.wait_for_wire(post),
                Moved::HungUp => {
                    wire.hang_up();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Receives what has arrived, at most a batch.
    fn receive_batch<R: Ring<'m>>(&mut self, queue: &mut R, post: &Post<'_>) -> Served<Pause> {
        let mut frames = 0;
        let mut bytes = 0;
        let pause = loop {
            if frames == BATCH || post.must_leave() {
                break Pause::None;
            }
            match self.receive(queue, post, &mut bytes)? {
                Pause::None => frames += 1,
                pause => break pause,
            }
        };
        if frames > 0 {
            post.counters.add(words::BATCHES, 1);
            post.counters.add(words::BYTES_TO_GUEST, bytes);
        }
        Ok(pause)
    }

    /// Receives one frame.
    fn receive<R: Ring<'m>>(&mut self, queue: &mut R, post: &Post<'_>, bytes: &mut u64) -> Served<Pause> {
        let Receiver { wire, pair, .. } = self.receiver;
        if wire.file(*pair).is_none() || !wire.carries(*pair) {
            return Ok(Pause::Unused);
        }
        if let Some(kept) = self.kept.take() {
            return self.deliver_kept(queue, post, kept, bytes);
        }
        let now = now_ns();
        let wait = wire.receive_limiter.wait(now);
        if wait > 0 {
            return Ok(Pause::Limit(now.saturating_add(wait)));
        }
        self.hold(queue, post, self.wanted)?;
        if self.held.is_empty() {
            return Ok(Pause::Buffers);
        }
        let before = HEADER_BYTES - wire.header_bytes();
        let into = self.gather(before);
        let count = match wire.read(*pair, &self.iovecs) {
            Moved::Frame(count) => count + before,
            Moved::Later | Moved::Lost => return Ok(Pause::Wire),
            Moved::HungUp => {
                wire.hang_up();
                return Ok(Pause::Unused);
            }
        };
        wire.receive_limiter.take((count - HEADER_BYTES.min(count)) as u64, now);
        self.remember_size(count);
        if !self.passes(count, into) {
            post.counters.add(words::DROPPED, 1);
            return Ok(Pause::None);
        }
        if count > into {
            self.hold(queue, post, count)?;
            if count > self.usable() {
                return Ok(self.keep(count, into, post));
            }
            let rest = std::mem::take(&mut self.rest);
            self.copy_in(into, &rest[..count - into]);
            self.rest = rest;
        }
        if before > 0 {
            self.copy_in(0, &[0; HEADER_BYTES]);
        }
        self.give(queue, count);
        self.count(post, count, bytes);
        Ok(Pause::None)
    }

    fn count(&self, post: &Post<'_>, count: usize, bytes: &mut u64) {
        post.counters.add(words::REQUESTS, 1);
        *bytes += (count - HEADER_BYTES) as u64;
    }

    /// Takes buffers until they hold `wanted` bytes, or there are no more.
    fn hold<R: Ring<'m>>(&mut self, queue: &mut R, post: &Post<'_>, wanted: usize) -> Served<()> {
        while self.held.is_empty() || (self.receiver.mergeable && self.room < wanted) {
            let before = queue.position();
            let mut chain = self.spare.pop().unwrap_or_default();
            if !post.take(queue, &mut chain)? {
                self.spare.push(chain);
                break;
            }
            if chain.readable.len() > 0 {
                return Err(Broken("put a readable buffer into a receive queue".into()).into());
            }
            let len = chain.writable.len() as usize;
            if len < HEADER_BYTES {
                return Err(Broken(format!("offered a buffer of {len} bytes, less than a header")).into());
            }
            self.room += len;
            self.taken = self.taken.saturating_add(1);
            self.held.push_back(Held { before, chain });
        }
        Ok(())
    }

    /// Bytes of the buffers that one frame may use.
    fn usable(&self) -> usize {
        match (self.receiver.mergeable, self.held.front()) {
            (true, _) => self.room,
            (false, Some(first)) => first.chain.writable.len() as usize,
            (false, None) => 0,
        }
    }

    /// Builds the iovecs of the buffers from byte `from` on, and of the overflow. Returns where the overflow begins.
    fn gather(&mut self, from: usize) -> usize {
        let Receiving { receiver, held, iovecs, rest, .. } = self;
        let chains = if receiver.mergeable { held.len() } else { 1 };
        iovecs.clear();
        let mut end = from;
        let mut skip = from;
        for Held { chain, .. } in held.iter().take(chains) {
            // Of the first buffer, which is longer.
            for slice in chain.writable.from(std::mem::take(&mut skip) as u64) {
                if iovecs.len() == MAX_IOVECS {
                    break;
                }
                let (address, len) = (slice.ptr_guard_mut().as_ptr(), slice.len());
                iovecs.push(libc::iovec { iov_base: address.cast(), iov_len: len });
                end += len;
            }
        }
        iovecs.push(iovec(rest));
        end
    }

    /// Whether to pass on the frame of `count` bytes, including the header, of which the first `into` are in buffers.
    fn passes(&mut self, count: usize, into: usize) -> bool {
        if count < HEADER_BYTES + 6 {
            return false;
        }
        if self.filter.0 != self.receiver.wire.filter_number() {
            self.filter = self.receiver.wire.filter();
        }
        if self.filter.1.passes_all() {
            return true;
        }
        let mut start = [0; FILTERED_BYTES];
        let len = FILTERED_BYTES.min(count - HEADER_BYTES);
        let in_buffers = len.min(into.saturating_sub(HEADER_BYTES));
        self.copy_out(HEADER_BYTES, &mut start[..in_buffers]);
        let skipped = (HEADER_BYTES + in_buffers).saturating_sub(into);
        start[in_buffers..len].copy_from_slice(&self.rest[skipped..skipped + len - in_buffers]);
        self.filter.1.passes(&start[..len])
    }

    /// Adjusts the buffers for the next frames to the size of this one, `count` bytes.
    fn remember_size(&mut self, count: usize) {
        if count > self.wanted {
            self.wanted = count;
            self.small = 0;
            return;
        }
        self.small = if count > self.wanted / 2 { 0 } else { self.small + 1 };
        if self.small > SMALL_FRAMES {
            self.wanted = count;
            self.small = 0;
        }
    }

    /// Keeps a frame for which there are too few buffers now. Without mergeable buffers, where it
    /// can never fit, it is dropped.
    fn keep(&mut self, count: usize, into: usize, post: &Post<'_>) -> Pause {
        if !self.receiver.mergeable {
            post.counters.add(words::DROPPED, 1);
            return Pause::None;
        }
        let mut frame = vec![0; count];
        let in_buffers = count.min(into);
        self.copy_out(0, &mut frame[..in_buffers]);
        frame[in_buffers..].copy_from_slice(&self.rest[..count - in_buffers]);
        if !self.receiver.wire.has_header() {
            frame[..HEADER_BYTES].fill(0);
        }
        self.kept = Some(frame);
        Pause::Buffers
    }

    fn deliver_kept<R: Ring<'m>>(
        &mut self,
        queue: &mut R,
        post: &Post<'_>,
        frame: Vec<u8>,
        bytes: &mut u64,
    ) -> Served<Pause> {
        self.hold(queue, post, frame.len())?;
        if self.usable() < frame.len() {
            self.kept = Some(frame);
            return Ok(Pause::Buffers);
        }
        self.copy_in(0, &frame);
        self.give(queue, frame.len());
        self.count(post, frame.len(), bytes);
        Ok(Pause::None)
    }

    /// Returns the buffers that hold the frame of `count` bytes.
    fn give<R: Ring<'m>>(&mut self, queue: &mut R, count: usize) {
        let mut left = count;
        let mut buffers = 0u16;
        for Held { chain, .. } in &self.held {
            if left == 0 {
                break;
            }
            left -= left.min(chain.writable.len() as usize);
            buffers += 1;
        }
        self.copy_in(NUM_BUFFERS, &buffers.to_le_bytes());
        let mut left = count;
        for _ in 0..buffers {
            let Some(Held { mut chain, .. }) = self.held.pop_front() else { break };
            let len = chain.writable.len() as usize;
            let used = left.min(len);
            chain.writable.written(0, used as u64);
            queue.give_back(&chain, used as u32);
            left -= used;
            self.room -= len;
            chain.clear();
            self.spare.push(chain);
        }
    }

    /// Copies to the buffers from byte `at` on.
    fn copy_in(&self, at: usize, bytes: &[u8]) {
        let (mut at, mut left) = (at, bytes);
        for Held { chain, .. } in &self.held {
            let len = chain.writable.len() as usize;
            if at < len {
                let copied = chain.writable.copy_from(at as u64, left);
                left = &left[copied..];
            }
            at = at.saturating_sub(len);
            if left.is_empty() {
                break;
            }
        }
    }

    /// Copies from the buffers from byte `at` on.
    fn copy_out(&self, at: usize, bytes: &mut [u8]) {
        let (mut at, mut done) = (at, 0);
        for Held { chain, .. } in &self.held {
            let len = chain.writable.len() as usize;
            if at < len {
                done += chain.writable.copy_to(at as u64, &mut bytes[done..]);
            }
            at = at.saturating_sub(len);
            if done == bytes.len() {
                break;
            }
        }
    }
}

fn iovec(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}
