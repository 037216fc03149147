//! Transmit queues (virtio 1.3 §5.1.6.2): the driver's frames go to the wire in order.

use super::header::{ETHERNET_BYTES, GSO_NONE, HEADER_BYTES, Header, MAX_FRAME};
use super::offload;
use super::wire::{Moved, Wire};
use crate::clock::now_ns;
use crate::counters::queue as words;
use crate::epoll::EventFd;
use crate::queue::{Broken, Chain, Ring};
use crate::queue_thread::{Post, Served, Server};
use crate::seccomp::Call;
use std::os::fd::RawFd;
use std::sync::{Arc, Weak};

/// The most frames to take before publishing them to the driver as sent.
const BATCH: usize = 64;
/// The most iovecs of one writev (UIO_MAXIOV), less the header's.
const MAX_IOVECS: usize = 1023;

pub struct Transmitter {
    wire: Arc<Wire>,
    pair: u32,
    features: u64,
}

/// The outcome of sending a frame.
enum Sent {
    Done,
    /// The wire takes no frames now.
    Later,
    Dropped,
    /// Dropped because it requests something that the device does not do.
    Refused,
}

/// Memory shared by a queue's frames.
#[derive(Default)]
struct Scratch {
    iovecs: Vec<libc::iovec>,
    frame: Vec<u8>,
}

impl Transmitter {
    pub fn new(wire: Arc<Wire>, pair: u32, features: u64) -> Transmitter {
        Transmitter { wire, pair, features }
    }

    /// Sends what the driver offers, at most a batch. Returns whether the wire takes no more now; `chain` is then the
    /// one that it did not take.
    fn send_batch<'m, R: Ring<'m>>(
        &self,
        queue: &mut R,
        post: &Post<'_>,
        chain: &mut Chain<'m>,
        scratch: &mut Scratch,
    ) -> Served<bool> {
        let mut batch = Batch::default();
        let mut is_full = false;
        while batch.frames < BATCH as u64 && !post.must_leave() {
            let now = if batch.began == 0 && queue.has_available() { now_ns() } else { batch.began };
            if now > 0 && self.wire.transmit_limiter.wait(now) > 0 {
                break;
            }
            let before = queue.position();
            if !post.take(queue, chain)? {
                break;
            }
            batch.began = now;
            let len = check(chain)?;
            match self.send(chain, len, scratch) {
                Sent::Later => {
                    queue.put_back(before);
                    is_full = true;
                    break;
                }
                Sent::Done => batch.bytes += len as u64,
                Sent::Dropped => batch.dropped += 1,
                Sent::Refused => batch.refused += 1,
            }
            self.wire.transmit_limiter.take(len as u64, now);
            queue.give_back(chain, 0);
            batch.frames += 1;
        }
        let kicked = batch.frames > 0 && queue.forget_kick();
        batch.count(kicked, post);
        Ok(is_full)
    }

    fn send(&self, chain: &Chain<'_>, len: usize, scratch: &mut Scratch) -> Sent {
        if self.wire.file(self.pair).is_none() || !self.wire.carries(self.pair) {
            return Sent::Dropped;
        }
        let mut bytes = [0; HEADER_BYTES];
        chain.readable.copy_to(0, &mut bytes);
        let Some(header) = Header::parse(&bytes).checked(self.features, len) else { return Sent::Refused };
        if !(ETHERNET_BYTES..=MAX_FRAME).contains(&len) {
            return Sent::Refused;
        }
        let moved = match self.wire.has_header() {
            true => self.send_as_is(Some(header), chain, len, scratch),
            false if header.needs_checksum() => {
                return self.send_completed(header, chain, len, scratch);
            }
            false => self.send_as_is(None, chain, len, scratch),
        };
        self.sent(moved)
    }

    /// Sends a frame that the wire takes unchanged.
    fn send_as_is(
        &self,
        header: Option<Header>,
        chain: &Chain<'_>,
        len: usize,
        Scratch { iovecs, frame }: &mut Scratch,
    ) -> Moved {
        let mut bytes = header.unwrap_or_default().bytes();
        iovecs.clear();
        if header.is_some() {
            iovecs.push(libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() });
        }
        let slices = chain.readable.from(HEADER_BYTES as u64);
        iovecs.extend(slices.map(|slice| libc::iovec {
            iov_base: slice.ptr_guard_mut().as_ptr().cast(),
            iov_len: slice.len(),
        }));
        if iovecs.len() > MAX_IOVECS {
            iovecs.truncate(header.is_some().into());
            copy_frame(chain, len, frame);
            iovecs.push(libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: len });
        }
        self.wire.write(self.pair, iovecs)
    }

    /// Does the work that the driver left to the device, for a wire that takes complete frames, and sends the result.
    fn send_completed(
        &self,
        header: Header,
        chain: &Chain<'_>,
        len: usize,
        Scratch { frame, .. }: &mut Scratch,
    ) -> Sent {
        copy_frame(chain, len, frame);
        if header.gso() == GSO_NONE {
            offload::complete_checksum(&header, frame);
            return self.sent(self.write_bytes(frame));
        }
        let mut outcome = Sent::Done;
        let mut is_first = true;
        let divided = offload::segment(&header, frame, |part| {
            let moved = self.write_bytes(part);
            // If some segments were sent, the sender retransmits the rest.
            outcome = match self.sent(moved) {
                Sent::Later if !is_first => Sent::Dropped,
                other => other,
            };
            is_first = false;
            matches!(outcome, Sent::Done)
        });
        if divided { outcome } else { Sent::Refused }
    }

    fn write_bytes(&self, bytes: &[u8]) -> Moved {
        let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        self.wire.write(self.pair, &[part])
    }

    fn sent(&self, moved: Moved) -> Sent {
        match moved {
            Moved::Frame(_) => Sent::Done,
            Moved::Later => Sent::Later,
            Moved::Lost => Sent::Dropped,
            Moved::HungUp => {
                self.wire.hang_up();
                Sent::Dropped
            }
        }
    }
}

/// Totals of a batch.
#[derive(Default)]
struct Batch {
    began: u64,
    frames: u64,
    bytes: u64,
    dropped: u64,
    refused: u64,
}

impl Batch {
    fn count(&self, kicked: bool, post: &Post<'_>) {
        if self.frames == 0 {
            return;
        }
        let counters = post.counters;
        counters.add(words::BATCHES, 1);
        counters.add(words::REQUESTS, self.frames);
        counters.add(words::KICKS_SUPPRESSED, u64::from(!kicked));
        counters.add(words::BYTES_FROM_GUEST, self.bytes);
        counters.add(words::DROPPED, self.dropped + self.refused);
        counters.add(words::ERRORS, self.refused);
        let took = now_ns().saturating_sub(self.began);
        counters.add(words::LATENCY_NS, took.saturating_mul(self.frames));
        counters.histogram_of(words::LATENCY, took, self.frames);
    }
}

/// Refuses a chain that is not a header and a frame. Returns the frame's length.
fn check(chain: &Chain<'_>) -> Result<usize, Broken> {
    if chain.writable.len() > 0 {
        return Err(Broken("put a writable buffer into a transmit queue".into()));
    }
    match chain.readable.len().checked_sub(HEADER_BYTES as u64) {
        Some(len) => Ok(len as usize),
        None => Err(Broken(format!("sent {} bytes, less than a header", chain.readable.len()))),
    }
}

fn copy_frame(chain: &Chain<'_>, len: usize, frame: &mut Vec<u8>) {
    frame.resize(len, 0);
    chain.readable.copy_to(HEADER_BYTES as u64, frame);
}

impl Server for Transmitter {
    const NAME: &'static str = "tx";

    fn calls(&self) -> Vec<Call> {
        self.wire.calls(self.pair, true)
    }

    fn signals(&self) -> Vec<RawFd> {
        self.wire.signals()
    }

    fn add_thread(&self, control: Weak<EventFd>) {
        self.wire.transmit_limiter.add_thread(control.clone());
        self.wire.add_thread(control);
    }

    fn serve<'m, R: Ring<'m>>(&self, queue: &mut R, post: &mut Post<'_>) -> Served<()> {
        self.wire.begin_writing();
        let mut chain = Chain::default();
        let mut scratch = Scratch::default();
        while !post.must_leave() {
            let is_full = self.send_batch(queue, post, &mut chain, &mut scratch)?;
            self.wire.wrote();
            post.publish(queue);
            let now = now_ns();
            let throttled = match self.wire.transmit_limiter.wait(now) {
                0 => None,
                wait if queue.has_available() => Some(now.saturating_add(wait)),
                _ => None,
            };
            if is_full {
                let files = self.wire.await_room(self.pair);
                if !files.is_empty() && post.wait(false, &files, None)?.hung_up {
                    self.wire.hang_up();
                }
                self.wire.awaited_room();
            } else if throttled.is_some() {
                post.counters.add(words::THROTTLED, 1);
                post.wait(false, &[], throttled)?;
                post.counters.add(words::THROTTLED_NS, now_ns().saturating_sub(now));
            } else if self.wire.is_shared() || !post.spin(queue) {
                // The other end of shared memory is still processing the frames: spinning here would wait for more
                // frames from a guest that itself waits for an answer.
                if !post.must_leave() && !queue.enable_kicks() {
                    post.wait(true, &[], None)?;
                }
                queue.disable_kicks();
            }
        }
        Ok(())
    }
}
