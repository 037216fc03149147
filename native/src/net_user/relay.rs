//! Relays between the machine's socket, which preserves frame boundaries, and a stream in which each frame follows its
//! length, 32 bits in network byte order: passt's (passt(1)), and QEMU's `-netdev stream`.
//!
//! passt releases of 2023 lose the data after a read that ends within a length, and a frame if a read ends within the
//! first of its two parts. So each frame is sent by itself: up to 48 KiB in one part, which the kernel keeps together,
//! and longer ones in two. passt also accepts IP packets only in frames without padding, which network cards and their
//! drivers add to short ones: acknowledgments and the ends of connections.

use super::frames::{Incoming, MAX_FRAME, Machine, Outgoing, Received};
use std::os::fd::RawFd;

const PREFIX: usize = 4;
/// The most bytes to read from the stream at a time.
const CHUNK: usize = 256 * 1024;

pub struct Relay {
    frames: RawFd,
    stream: RawFd,
    incoming: Incoming,
    outgoing: Outgoing,
    /// The start of a frame of the stream whose end has not arrived.
    partial: Vec<u8>,
    to_stream: Outgoing,
}

/// What one side may do next.
#[derive(PartialEq)]
enum Side {
    Open,
    Ended,
}

impl Relay {
    /// Both must be non-blocking.
    pub fn new(machine: &Machine, stream: RawFd) -> Relay {
        Relay {
            frames: machine.fd,
            stream,
            incoming: Incoming::new(machine),
            outgoing: Outgoing::to_machine(machine),
            partial: Vec::new(),
            to_stream: Outgoing::to_stream(stream),
        }
    }

    /// Runs until one of them ends, or the stream does not contain frames.
    pub fn run(&mut self) {
        loop {
            let [frames, stream] = self.wait();
            let may_take = self.incoming.rise(frames) && self.to_stream.is_empty();
            if may_take && self.take_from_machine() == Side::Ended {
                return;
            }
            if stream & libc::POLLIN != 0 && self.take_from_stream() == Side::Ended {
                return;
            }
            let gone = libc::POLLHUP | libc::POLLERR;
            let ended = |events: i16| events & gone != 0 && events & libc::POLLIN == 0;
            if ended(frames) || ended(stream) {
                return;
            }
            self.outgoing.flush();
            self.to_stream.flush();
        }
    }

    /// A side is not read while the other accepts nothing.
    fn wait(&self) -> [i16; 2] {
        let takes = self.to_stream.is_empty();
        let timeout = if takes && !self.incoming.sleep() { 0 } else { -1 };
        let from_machine = if takes { libc::POLLIN } else { 0 };
        let from_stream = if self.outgoing.is_empty() { libc::POLLIN } else { 0 };
        let to_machine = self.outgoing.events();
        let to_stream = if self.to_stream.is_empty() { 0 } else { libc::POLLOUT };
        let mut poll = [
            libc::pollfd { fd: self.frames, events: from_machine | to_machine, revents: 0 },
            libc::pollfd { fd: self.stream, events: from_stream | to_stream, revents: 0 },
        ];
        // SAFETY: two entries.
        unsafe { libc::poll(poll.as_mut_ptr(), 2, timeout) };
        poll.map(|entry| entry.revents)
    }

    fn take_from_machine(&mut self) -> Side {
        match self.incoming.receive() {
            Received::Frames(lengths) => {
                if lengths.iter().all(|&length| length == 0) && self.incoming.is_closed() {
                    return Side::Ended;
                }
                for (index, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
                    let frame = without_padding(self.incoming.frame(index, length));
                    self.to_stream.push_with(&(frame.len() as u32).to_be_bytes(), frame);
                }
                Side::Open
            }
            Received::Nothing => Side::Open,
            Received::End => Side::Ended,
        }
    }

    fn take_from_stream(&mut self) -> Side {
        let start = self.partial.len();
        self.partial.resize(start + CHUNK, 0);
        // SAFETY: writes at most as many bytes as fit.
        let count = unsafe { libc::read(self.stream, self.partial[start..].as_mut_ptr().cast(), CHUNK) };
        self.partial.truncate(start + count.max(0) as usize);
        if count == 0 || count < 0 && !would_block() {
            return Side::Ended;
        }
        let mut at = 0;
        while let Some(prefix) = self.partial.get(at..at + PREFIX) {
            let length = u32::from_be_bytes(prefix.try_into().expect("four bytes")) as usize;
            if length == 0 || length > MAX_FRAME {
                return Side::Ended;
            }
            let Some(frame) = self.partial.get(at + PREFIX..at + PREFIX + length) else { break };
            self.outgoing.push(frame);
            at += PREFIX + length;
        }
        self.partial.drain(..at);
        Side::Open
    }
}

/// A frame cut at the end of its IP packet, if it has one.
fn without_padding(frame: &[u8]) -> &[u8] {
    const HEADER: usize = 14;
    let word = |at: usize| frame.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    // The total length in RFC 791; in RFC 8200 the payload's, plus 40 bytes.
    let packet = match (word(HEADER - 2), word(HEADER + 2), word(HEADER + 4)) {
        (Some(0x0800), Some(total), _) => total as usize,
        (Some(0x86dd), _, Some(payload)) if payload > 0 => 40 + payload as usize,
        _ => return frame,
    };
    frame.get(..HEADER + packet.max(20)).unwrap_or(frame)
}

fn would_block() -> bool {
    let errno = std::io::Error::last_os_error().raw_os_error();
    matches!(errno, Some(libc::EAGAIN | libc::EINTR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn complete_frames_pass_in_both_directions() {
        let mut fds = [0; 2];
        // SAFETY: writes two fds.
        assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, fds.as_mut_ptr()) }, 0);
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let relay = std::thread::spawn({
            let theirs = theirs.try_clone().unwrap();
            move || Relay::new(&Machine::by_socket(fds[0]), theirs.as_raw_fd()).run()
        });
        let (mut to, mut from) = (Outgoing::to_stream(fds[1]), Incoming::new(&Machine::by_socket(fds[1])));
        for length in [1, 60, 1514, MAX_FRAME] {
            to.push(&vec![7; length]);
            to.flush();
            let mut prefixed = vec![0; PREFIX + length];
            ours.read_exact(&mut prefixed).unwrap();
            assert_eq!(prefixed[..PREFIX], (length as u32).to_be_bytes());
            // In two parts, together with the start of the next one.
            ours.write_all(&prefixed[..PREFIX - 1]).unwrap();
            ours.write_all(&prefixed[PREFIX - 1..]).unwrap();
            let lengths = loop {
                if let Received::Frames(lengths) = from.receive() {
                    break lengths;
                }
            };
            assert_eq!(lengths, [length]);
            assert_eq!(from.frame(0, length), &prefixed[PREFIX..]);
        }
        // Padding after a packet of 20 bytes, and after one of 60; not after other data.
        for (kind, at, value, kept) in
            [(0x0800u16, 16, 20u16, 34), (0x86dd, 18, 20, 74), (0x0806, 16, 20, 80)]
        {
            let mut frame = [0; 80];
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
            frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
            assert_eq!(without_padding(&frame), &frame[..kept]);
            assert_eq!(without_padding(&frame[..20]), &frame[..20]);
        }
        // No frame is that long: this is not a stream of frames.
        ours.write_all(&u32::MAX.to_be_bytes()).unwrap();
        relay.join().unwrap();
    }

    #[test]
    fn each_read_of_the_stream_returns_complete_frames() {
        const FRAMES: usize = 8;
        const LENGTH: usize = 9014;
        let mut fds = [0; 2];
        // SAFETY: writes two fds.
        assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, fds.as_mut_ptr()) }, 0);
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        // Too small for all of them.
        let room: libc::c_int = 32 << 10;
        let (value, bytes) = ((&raw const room).cast(), size_of_val(&room) as u32);
        // SAFETY: reads an int.
        let set =
            unsafe { libc::setsockopt(theirs.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, value, bytes) };
        assert_eq!(set, 0);
        // The relay receives them together.
        let mut to = Outgoing::to_stream(fds[1]);
        for _ in 0..FRAMES {
            to.push(&[7; LENGTH]);
        }
        to.flush();
        assert!(to.is_empty());
        let relay = std::thread::spawn({
            let theirs = theirs.try_clone().unwrap();
            move || Relay::new(&Machine::by_socket(fds[0]), theirs.as_raw_fd()).run()
        });
        let mut buffer = vec![0; 8 << 20];
        let mut left = FRAMES;
        while left > 0 {
            let count = ours.read(&mut buffer).unwrap();
            assert_eq!(count % (PREFIX + LENGTH), 0, "a read of {count} bytes");
            left -= count / (PREFIX + LENGTH);
        }
        drop((ours, theirs));
        relay.join().unwrap();
    }
}
