//! The machine's end of the wire: a pair of SOCK_SEQPACKET sockets, a frame a message, many of them with one system call; and what is sent as
//! such to a stream.

use std::collections::VecDeque;
use std::io::Error;
use std::os::fd::RawFd;

/// An Ethernet header, and the largest payload that the stack makes or takes.
pub const MAX_FRAME: usize = 14 + 65_520;
const BATCH: usize = 32;
/// What waits for a machine that takes no frames. More is dropped, as a switch would: TCP sends it again.
const MAX_WAITING: usize = 8 << 20;

/// Frames on their way to the machine, or to a stream.
pub struct Outgoing {
    fd: RawFd,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    spare: Vec<Vec<u8>>,
}

impl Outgoing {
    pub fn new(fd: RawFd) -> Outgoing {
        Outgoing { fd, waiting: VecDeque::new(), bytes: 0, spare: Vec::new() }
    }

    pub fn push(&mut self, frame: &[u8]) {
        self.push_with(&[], frame);
    }

    /// A frame with something in front of it, in one message.
    pub fn push_with(&mut self, prefix: &[u8], frame: &[u8]) {
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

    /// Sends what the socket takes. A peer that is gone is noticed where frames are received.
    pub fn flush(&mut self) {
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

    /// Returns how many were sent as a whole. Of one more, a stream may have taken the start.
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
        // SAFETY: `count` messages, whose parts are the frames that wait.
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
            // A frame that the socket could never take.
            _ if Error::last_os_error().raw_os_error() == Some(libc::EMSGSIZE) => 1,
            _ => 0,
        }
    }
}

/// Frames from the machine.
pub struct Incoming {
    fd: RawFd,
    buffers: Vec<u8>,
}

/// What was received.
pub enum Received {
    /// Lengths of frames, in buffers 0, 1, ...
    Frames(Vec<usize>),
    Nothing,
    /// The machine has closed its end.
    End,
}

impl Incoming {
    pub fn new(fd: RawFd) -> Incoming {
        Incoming { fd, buffers: vec![0; BATCH * MAX_FRAME] }
    }

    pub fn frame(&self, index: usize, length: usize) -> &[u8] {
        &self.buffers[index * MAX_FRAME..][..length]
    }

    /// Whether the other end is closed, and all that it sent has been received.
    pub fn is_closed(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.fd, events: 0, revents: 0 };
        // SAFETY: one entry.
        unsafe { libc::poll(&raw mut poll, 1, 0) };
        poll.revents & (libc::POLLHUP | libc::POLLERR) != 0
    }

    /// Takes a batch of frames. One that is too long for Ethernet has length 0.
    pub fn receive(&mut self) -> Received {
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
        let (mut to, mut from) = (Outgoing::new(a), Incoming::new(b));
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
    fn a_peer_that_takes_nothing_holds_a_bounded_amount() {
        let [a, b] = pair();
        let mut to = Outgoing::new(a);
        for _ in 0..20_000 {
            to.push(&[0; 1514]);
        }
        assert!(!to.is_empty());
        assert!(to.bytes <= MAX_WAITING && to.bytes > MAX_WAITING - 4096);
        let mut from = Incoming::new(b);
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
        let Received::Frames(lengths) = Incoming::new(b).receive() else { panic!("a frame") };
        assert_eq!(lengths, [0]);
    }
}
