//! A hub: frames from one port go to all others. A frame that a port cannot take immediately
//! is dropped there, and counted.

use super::header::MAX_FRAME;
use super::wire::{self, Moved};
use crate::counters::{Block, queue as words};
use crate::epoll::EventFd;
use crate::errno::{Errno, Result};
use crate::queue_thread::duplicate;
use crate::seccomp::{Call, DirectFds, Filter};
use crate::sync::lock;
use crate::thread::Thread;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// The most ports.
const MAX_PORTS: usize = 128;
/// Frames taken from one port before the others have their turn.
const BATCH: usize = 32;

/// A port: frames go in and out here.
struct Port {
    id: u32,
    file: OwnedFd,
    counters: Block,
    /// The other end is gone.
    hung_up: AtomicBool,
}

struct Running {
    thread: Thread,
    stop: Arc<(AtomicBool, EventFd)>,
}

#[derive(Default)]
struct State {
    ports: Vec<Arc<Port>>,
    next: u32,
    running: Option<Running>,
}

pub struct Hub {
    state: Mutex<State>,
    seccomp: bool,
}

impl Hub {
    pub fn new(seccomp: bool) -> Hub {
        Hub { state: Mutex::default(), seccomp }
    }

    /// Adds a port on a file of bare frames, which is duplicated and must be non-blocking. Returns its number. EINVAL
    /// if there are too many.
    pub fn add(&self, fd: RawFd, counters: Block) -> Result<u32> {
        let mut state = lock(&self.state);
        if state.ports.len() >= MAX_PORTS {
            return Err(Errno(libc::EINVAL));
        }
        let id = state.next;
        let port = Port { id, file: duplicate(fd)?, counters, hung_up: AtomicBool::new(false) };
        state.next += 1;
        state.ports.push(Arc::new(port));
        self.restart(&mut state)?;
        Ok(id)
    }

    pub fn remove(&self, id: u32) -> Result<()> {
        let mut state = lock(&self.state);
        let index = state.ports.iter().position(|port| port.id == id).ok_or(Errno(libc::ENOENT))?;
        state.ports.remove(index);
        self.restart(&mut state)
    }

    /// The thread's filter refers to files by number, so other files need another thread.
    fn restart(&self, state: &mut State) -> Result<()> {
        state.stop();
        if state.ports.len() < 2 {
            return Ok(());
        }
        let stop = Arc::new((AtomicBool::new(false), EventFd::new()?));
        let (ports, asked) = (state.ports.clone(), stop.clone());
        let filter = match self.seccomp {
            true => Some(filter(&ports, &stop.1)?),
            false => None,
        };
        let body = move || {
            if let Some(filter) = &filter {
                filter.apply()?;
            }
            serve(&ports, &asked.0, &asked.1)
        };
        let thread = Thread::spawn("vring-hub", None, body, |_| {})?;
        state.running = Some(Running { thread, stop });
        Ok(())
    }
}

impl State {
    fn stop(&mut self) {
        if let Some(Running { mut thread, stop }) = self.running.take() {
            stop.0.store(true, SeqCst);
            stop.1.signal();
            thread.join();
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        lock(&self.state).stop();
    }
}

fn filter(ports: &[Arc<Port>], stop: &EventFd) -> Result<Filter> {
    let files = ports.iter().map(|port| port.file.as_raw_fd());
    let calls: Vec<Call> = files.flat_map(|file| [Call::readv(file), Call::writev(file)]).collect();
    let stop = stop.as_raw_fd();
    Filter::direct(&DirectFds { read: [stop, stop], signaled: Vec::new() }, &calls)
}

fn serve(ports: &[Arc<Port>], stop: &AtomicBool, control: &EventFd) -> Result<()> {
    let mut frame = vec![0u8; MAX_FRAME];
    while !stop.load(SeqCst) {
        let mut fds = vec![entry(control.as_raw_fd())];
        fds.extend(ports.iter().map(|port| match port.hung_up.load(SeqCst) {
            true => entry(-1),
            false => entry(port.file.as_raw_fd()),
        }));
        // SAFETY: valid entries; no timeout and no mask.
        let count =
            unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as u64, std::ptr::null(), std::ptr::null()) };
        if count < 0 && Errno::last() != Errno(libc::EINTR) {
            return Err(Errno::last());
        }
        for (from, fd) in ports.iter().zip(&fds[1..]) {
            if fd.revents != 0 {
                forward(from, ports, &mut frame);
            }
        }
    }
    Ok(())
}

fn entry(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

/// Forwards what has arrived from a port, at most a batch.
fn forward(from: &Port, ports: &[Arc<Port>], frame: &mut [u8]) {
    for _ in 0..BATCH {
        let whole = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
        let count = match wire::read(from.file.as_raw_fd(), &[whole]) {
            Moved::Frame(count) => count,
            Moved::Later => return,
            Moved::Lost | Moved::HungUp => {
                from.hung_up.store(true, SeqCst);
                return;
            }
        };
        from.counters.add(words::REQUESTS, 1);
        from.counters.add(words::BYTES_FROM_GUEST, count as u64);
        let sent = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: count };
        for to in ports.iter().filter(|port| port.id != from.id) {
            match wire::write(to.file.as_raw_fd(), &[sent]) {
                Moved::Frame(_) => to.counters.add(words::BYTES_TO_GUEST, count as u64),
                _ => to.counters.add(words::DROPPED, 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pair, send};
    use super::*;
    use crate::counters::{Counters, HEADER_WORDS};
    use std::time::{Duration, Instant};

    fn counters() -> Counters {
        let len = HEADER_WORDS + 8 * words::WORDS;
        let block: &'static [u64] = Box::leak(vec![0; len].into_boxed_slice());
        // SAFETY: the words are leaked.
        unsafe { Counters::new(block.as_ptr(), block.len(), 0, 8) }.unwrap()
    }

    fn take(fd: &OwnedFd) -> Option<Vec<u8>> {
        let mut frame = vec![0; 70_000];
        // SAFETY: writes into the vector.
        let count = unsafe { libc::recv(fd.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
        frame.truncate(usize::try_from(count).ok()?);
        Some(frame)
    }

    fn await_frame(fd: &OwnedFd) -> Vec<u8> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(frame) = take(fd) {
                return frame;
            }
            assert!(Instant::now() < deadline, "no frame");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_frame_goes_to_all_other_ports_while_they_come_and_go() {
        let counters = counters();
        let hub = Hub::new(true);
        let mut peers = Vec::new();
        let mut ids = Vec::new();
        for slot in 0..4 {
            let (own, peer) = pair();
            ids.push(hub.add(own.as_raw_fd(), counters.queue(slot).unwrap()).unwrap());
            peers.push(peer);
        }
        for (from, peer) in peers.iter().enumerate() {
            let frame = vec![from as u8; 60 + 10_000 * from];
            assert!(send(peer.as_raw_fd(), &frame));
            for (to, other) in peers.iter().enumerate() {
                if to != from {
                    assert_eq!(await_frame(other), frame);
                }
            }
            assert_eq!(take(peer), None);
        }
        hub.remove(ids[1]).unwrap();
        assert!(send(peers[0].as_raw_fd(), b"after one has left"));
        assert_eq!(await_frame(&peers[2]), b"after one has left");
        assert_eq!(take(&peers[1]), Some(Vec::new()), "its end is closed");
        assert_eq!(hub.remove(ids[1]), Err(Errno(libc::ENOENT)));
        // A port whose other end is gone does not disturb the others.
        drop(peers.remove(3));
        assert!(send(peers[0].as_raw_fd(), b"after one has hung up"));
        assert_eq!(await_frame(&peers[2]), b"after one has hung up");
    }

    #[test]
    fn frames_that_a_port_rejects_are_dropped_only_there() {
        let counters = counters();
        let hub = Hub::new(true);
        let ((a, from), (b, full), (c, other)) = (pair(), pair(), pair());
        for (slot, own) in [&a, &b, &c].into_iter().enumerate() {
            hub.add(own.as_raw_fd(), counters.queue(slot).unwrap()).unwrap();
        }
        let dropped = |slot| counters.queue(slot).unwrap().get(words::DROPPED);
        let mut sent = 0;
        while dropped(1) == 0 {
            assert!(send(from.as_raw_fd(), &[7; 1514]));
            assert_eq!(await_frame(&other).len(), 1514);
            sent += 1;
            assert!(sent < 100_000);
        }
        assert_eq!(dropped(2), 0);
        assert_eq!(take(&full).map(|frame| frame.len()), Some(1514));
    }
}
