//! The machine's end of the wire, and streams. The wire is a pair of SOCK_SEQPACKET sockets with one frame per
//! message, many of them per system call; or memory shared with the machine, where the sockets' one-byte
//! messages only wake the other side.

use crate::errno::Result;
use crate::frame_ring::{Direction, FrameRings, Putter, Taker};
use crate::options::Options;
use std::collections::VecDeque;
use std::io::Error;
use std::os::fd::RawFd;
use std::sync::Arc;

/// An Ethernet header, and the largest payload that the stack sends or accepts.
pub const MAX_FRAME: usize = 14 + 65_520;
const BATCH: usize = 32;
/// The most bytes queued for a machine that takes no frames. More is dropped, as a switch would: TCP retransmits.
const MAX_WAITING: usize = 8 << 20;
/// The value written to an eventfd.
static ONE: u64 = 1;

/// This process's connection to the machine.
pub struct Machine {
    pub fd: RawFd,
    shared: Option<(Arc<FrameRings>, RawFd)>,
}

impl Machine {
    /// Fails if the memory cannot be shared.
    pub fn of(options: &Options) -> Result<Machine> {
        let rings = (options.memory_fd >= 0).then(|| FrameRings::map(options.memory_fd)).transpose()?;
        Ok(Machine { fd: options.fd, shared: rings.map(|rings| (rings, options.room_fd)) })
    }

    #[cfg(test)]
    pub fn by_socket(fd: RawFd) -> Machine {
        Machine { fd, shared: None }
    }
}

/// Frames on their way to the machine, or to a stream.
pub struct Outgoing {
    fd: RawFd,
    shared: Option<Putter>,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    spare: Vec<Vec<u8>>,
}

impl Outgoing {
    pub fn to_stream(fd: RawFd) -> Outgoing {
        Outgoing { fd, shared: None, waiting: VecDeque::new(), bytes: 0, spare: Vec::new() }
    }

    pub fn to_machine(Machine { fd, shared }: &Machine) -> Outgoing {
        let shared = shared.as_ref().map(|(rings, _)| rings.putter(Direction::ToMachine));
        Outgoing { shared, ..Outgoing::to_stream(*fd) }
    }

    pub fn push(&mut self, frame: &[u8]) {
        self.push_with(&[], frame);
    }

    /// Queues a frame with a prefix, in one message.
    pub fn push_with(&mut self, prefix: &[u8], frame: &[u8]) {
        if let Some(shared) = &self.shared
            && self.waiting.is_empty()
            && shared.put_bytes(frame)
        {
            return;
        }
        if self.bytes + prefix.len() + frame.len() > MAX_WAITING {
            return;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(prefix);
        buffer.extend_from_slice(frame);
        self.bytes += buffer.len();
        self.waiting.push_back(buffer);
        if self.waiting.len() >= BATCH {
            self.flush();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The socket events to wait for while frames wait, besides messages.
    pub fn events(&self) -> i16 {
        if self.is_empty() || self.shared.is_some() { 0 } else { libc::POLLOUT }
    }

    /// Sends what the socket takes. That the peer is gone is noticed where frames are received.
    pub fn flush(&mut self) {
        if self.shared.is_some() {
            self.flush_to_memory();
            return;
        }
        while !self.waiting.is_empty() {
            let sent = self.send_some();
            for frame in self.waiting.drain(..sent) {
                self.bytes -= frame.len();
                if self.spare.len() < BATCH {
                    self.spare.push(frame);
                }
            }
            if sent == 0 {
                return;
            }
        }
    }

    fn flush_to_memory(&mut self) {
        let Some(shared) = &self.shared else { return };
        while let Some(frame) = self.waiting.front() {
            if shared.put_bytes(frame) {
                self.bytes -= frame.len();
                self.spare.extend(self.waiting.pop_front().filter(|_| self.spare.len() < BATCH));
            } else if shared.await_room() {
                break;
            }
        }
        if shared.must_wake() {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: one byte. A socket that is full has messages already, which wake.
            unsafe { libc::send(self.fd, [0u8].as_ptr().cast(), 1, flags) };
        }
    }

    /// Returns how many frames were sent in full. A stream may also have taken the start of the next one.
    fn send_some(&mut self) -> usize {
        let mut parts = [const { libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 } }; BATCH];
        // SAFETY: plain data, for which zeros are valid.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        let count = self.waiting.len().min(BATCH);
        for (index, frame) in self.waiting.iter().take(count).enumerate() {
            parts[index] = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
            messages[index].msg_hdr.msg_iov = &raw mut parts[index];
            messages[index].msg_hdr.msg_iovlen = 1;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: `count` messages, whose parts are the waiting frames.
        match unsafe { libc::sendmmsg(self.fd, messages.as_mut_ptr(), count as u32, flags) } {
            sent @ 1.. => {
                let last = sent as usize - 1;
                let (taken, frame) = (messages[last].msg_len as usize, &mut self.waiting[last]);
                if taken == frame.len() {
                    return sent as usize;
                }
                frame.drain(..taken);
                self.bytes -= taken;
                last
            }
            // A frame that the socket can never take.
            _ if Error::last_os_error().raw_os_error() == Some(libc::EMSGSIZE) => 1,
            _ => 0,
        }
    }
}

/// Frames from the machine.
pub struct Incoming {
    fd: RawFd,
    /// With the eventfd that signals room in it.
    shared: Option<(Taker, RawFd)>,
    /// With shared memory, whether the socket has messages.
    has_messages: bool,
    buffers: Vec<u8>,
}

/// The outcome of a receive.
pub enum Received {
    /// Lengths of the frames in buffers 0, 1, ...
    Frames(Vec<usize>),
    Nothing,
    /// The machine has closed its end.
    End,
}

impl Incoming {
    pub fn new(Machine { fd, shared }: &Machine) -> Incoming {
        let shared = shared.as_ref().map(|(rings, room)| (rings.taker(Direction::ToNetwork), *room));
        Incoming { fd: *fd, shared, has_messages: false, buffers: vec![0; BATCH * MAX_FRAME] }
    }

    /// Called before this process sleeps until the socket has messages. False if there are frames in shared memory.
    pub fn sleep(&self) -> bool {
        self.shared.as_ref().is_none_or(|(shared, _)| shared.sleep())
    }

    /// Notes that it is awake, with these events of the socket. Returns whether there may be frames.
    pub fn rise(&mut self, events: i16) -> bool {
        self.has_messages = events & libc::POLLIN != 0;
        let Some((shared, _)) = &self.shared else { return self.has_messages };
        shared.rise();
        self.has_messages || shared.has_frames()
    }

    pub fn frame(&self, index: usize, length: usize) -> &[u8] {
        &self.buffers[index * MAX_FRAME..][..length]
    }

    /// Whether the other end is closed, and everything it sent has been received.
    pub fn is_closed(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.fd, events: 0, revents: 0 };
        // SAFETY: one entry.
        unsafe { libc::poll(&raw mut poll, 1, 0) };
        poll.revents & (libc::POLLHUP | libc::POLLERR) != 0
    }

    /// Takes a batch of frames. A frame that is too long for Ethernet has length 0.
    pub fn receive(&mut self) -> Received {
        if self.shared.is_none() {
            return self.receive_messages();
        }
        let lengths = self.take();
        if !lengths.is_empty() {
            return Received::Frames(lengths);
        }
        if !std::mem::take(&mut self.has_messages) {
            return Received::Nothing;
        }
        match self.receive_messages() {
            // One byte is a wake-up, not a frame.
            Received::Frames(lengths) => Received::Frames(
                lengths.into_iter().map(|length| if length == 1 { 0 } else { length }).collect(),
            ),
            other => other,
        }
    }

    /// Takes a batch from shared memory, and wakes the machine if it waits for room.
    fn take(&mut self) -> Vec<usize> {
        let Some((shared, room)) = &self.shared else { return Vec::new() };
        let lengths = self.buffers.chunks_exact_mut(MAX_FRAME).map_while(|buffer| shared.take_bytes(buffer));
        let lengths: Vec<usize> = lengths.collect();
        if shared.must_wake() {
            // SAFETY: writes eight bytes to an eventfd.
            unsafe { libc::write(*room, (&raw const ONE).cast(), size_of::<u64>()) };
        }
        lengths
    }

    fn receive_messages(&mut self) -> Received {
        let mut parts = [const { libc::iovec { iov_base: std::ptr::null_mut(), iov_len: MAX_FRAME } }; BATCH];
        // SAFETY: plain data, for which zeros are valid.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for (index, buffer) in self.buffers.chunks_exact_mut(MAX_FRAME).enumerate() {
            parts[index].iov_base = buffer.as_mut_ptr().cast();
            messages[index].msg_hdr.msg_iov = &raw mut parts[index];
            messages[index].msg_hdr.msg_iovlen = 1;
        }
        let none = std::ptr::null_mut();
        // SAFETY: as many messages as there are buffers, each of its length.
        let count =
            unsafe { libc::recvmmsg(self.fd, messages.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT, none) };
        match count {
            1.. => {
                let length = |message: &libc::mmsghdr| {
                    let truncated = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
                    if truncated { 0 } else { message.msg_len as usize }
                };
                Received::Frames(messages[..count as usize].iter().map(length).collect())
            }
            0 => Received::End,
            _ => match Error::last_os_error().raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Received::Nothing,
                _ => Received::End,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> [RawFd; 2] {
        let mut fds = [0; 2];
        // SAFETY: writes two fds.
        assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, fds.as_mut_ptr()) }, 0);
        fds
    }

    #[test]
    fn frames_keep_their_order_and_their_limits() {
        let [a, b] = pair();
        let (mut to, mut from) = (Outgoing::to_stream(a), Incoming::new(&Machine::by_socket(b)));
        for length in 1..=100 {
            to.push(&vec![length as u8; length]);
        }
        to.flush();
        let mut seen = 0;
        while let Received::Frames(lengths) = from.receive() {
            for (index, &length) in lengths.iter().enumerate() {
                seen += 1;
                assert_eq!(from.frame(index, length), vec![seen as u8; seen]);
            }
        }
        assert_eq!(seen, 100);
        assert!(to.is_empty());
    }

    #[test]
    fn a_peer_that_reads_nothing_has_a_bounded_backlog() {
        let [a, b] = pair();
        let mut to = Outgoing::to_stream(a);
        for _ in 0..20_000 {
            to.push(&[0; 1514]);
        }
        assert!(!to.is_empty());
        assert!(to.bytes <= MAX_WAITING && to.bytes > MAX_WAITING - 4096);
        let mut from = Incoming::new(&Machine::by_socket(b));
        while let Received::Frames(_) = from.receive() {
            to.flush();
        }
        assert!(to.is_empty() && to.bytes == 0);
    }

    #[test]
    fn a_frame_that_is_too_long_has_no_content() {
        let [a, b] = pair();
        let long = vec![1u8; MAX_FRAME + 1];
        // SAFETY: sends the bytes of `long`.
        assert!(unsafe { libc::send(a, long.as_ptr().cast(), long.len(), 0) } > 0);
        let Received::Frames(lengths) = Incoming::new(&Machine::by_socket(b)).receive() else {
            panic!("a frame")
        };
        assert_eq!(lengths, [0]);
    }
}
