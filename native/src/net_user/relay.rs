//! Between the machine's socket, which keeps frames apart, and a stream in which each has its length in front of it, 32 bits in
//! network byte order: passt's (passt(1)), and QEMU's `-netdev stream`.

use super::frames::{Incoming, MAX_FRAME, Outgoing, Received};
use std::os::fd::RawFd;

const PREFIX: usize = 4;
/// What is read of the stream at once, and what may wait for it.
const CHUNK: usize = 256 * 1024;

pub struct Relay {
    frames: RawFd,
    stream: RawFd,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Of the stream, the start of a frame whose end has not come.
    partial: Vec<u8>,
    /// For the stream, which took no more.
    waiting: Vec<u8>,
}

/// What one side may do next.
#[derive(PartialEq)]
enum Side {
    Open,
    Ended,
}

impl Relay {
    /// Both must not block.
    pub fn new(frames: RawFd, stream: RawFd) -> Relay {
        Relay {
            frames,
            stream,
            incoming: Incoming::new(frames),
            outgoing: Outgoing::new(frames),
            partial: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Until one of them ends, or the stream has no frames.
    pub fn run(&mut self) {
        loop {
            let [frames, stream] = self.wait();
            if frames & libc::POLLIN != 0 && self.take_from_machine() == Side::Ended {
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
            if self.write() == Side::Ended {
                return;
            }
        }
    }

    /// A side is not read while the other takes nothing.
    fn wait(&self) -> [i16; 2] {
        let from_machine = if self.waiting.is_empty() { libc::POLLIN } else { 0 };
        let from_stream = if self.outgoing.is_empty() { libc::POLLIN } else { 0 };
        let to_machine = if self.outgoing.is_empty() { 0 } else { libc::POLLOUT };
        let to_stream = if self.waiting.is_empty() { 0 } else { libc::POLLOUT };
        let mut poll = [
            libc::pollfd { fd: self.frames, events: from_machine | to_machine, revents: 0 },
            libc::pollfd { fd: self.stream, events: from_stream | to_stream, revents: 0 },
        ];
        // SAFETY: two entries.
        unsafe { libc::poll(poll.as_mut_ptr(), 2, -1) };
        poll.map(|entry| entry.revents)
    }

    fn take_from_machine(&mut self) -> Side {
        match self.incoming.receive() {
            Received::Frames(lengths) => {
                if lengths.iter().all(|&length| length == 0) && self.incoming.is_closed() {
                    return Side::Ended;
                }
                for (index, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
                    self.waiting.extend((length as u32).to_be_bytes());
                    self.waiting.extend(self.incoming.frame(index, length));
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
        // SAFETY: writes at most as many bytes as there is room for.
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

    fn write(&mut self) -> Side {
        while !self.waiting.is_empty() {
            let (bytes, count) = (self.waiting.as_ptr().cast(), self.waiting.len());
            // SAFETY: reads what waits.
            let sent =
                unsafe { libc::send(self.stream, bytes, count, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
            if sent < 0 {
                return if would_block() { Side::Open } else { Side::Ended };
            }
            self.waiting.drain(..sent as usize);
        }
        Side::Open
    }
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
    fn frames_pass_in_both_directions_whole() {
        let mut fds = [0; 2];
        // SAFETY: writes two fds.
        assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, fds.as_mut_ptr()) }, 0);
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let relay = std::thread::spawn({
            let theirs = theirs.try_clone().unwrap();
            move || Relay::new(fds[0], theirs.as_raw_fd()).run()
        });
        let (mut to, mut from) = (Outgoing::new(fds[1]), Incoming::new(fds[1]));
        for length in [1, 60, 1514, MAX_FRAME] {
            to.push(&vec![7; length]);
            to.flush();
            let mut prefixed = vec![0; PREFIX + length];
            ours.read_exact(&mut prefixed).unwrap();
            assert_eq!(prefixed[..PREFIX], (length as u32).to_be_bytes());
            // In two parts, with the start of the next one.
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
        // No frame is that long: the stream is not one of frames.
        ours.write_all(&u32::MAX.to_be_bytes()).unwrap();
        relay.join().unwrap();
    }
}
