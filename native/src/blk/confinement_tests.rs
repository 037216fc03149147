//! What a queue thread can reach if its code is subverted: nothing but the files of its queue. Each attempt runs on a
//! thread set up exactly like a queue thread.

use super::testing::*;
use crate::epoll::EventFd;
use crate::errno::Errno;
use crate::queue_thread::testing::{confine, file};
use crate::thread::{Ending, Thread};
use io_uring::{IoUring, opcode, squeue, types};
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

/// Runs `attempt` with the ring of a confined thread. Returns how the thread ended.
fn confined(attempt: impl Fn(&mut IoUring) -> i32 + Send + Sync + 'static) -> (Ending, Option<i32>) {
    let mut fixture = Fixture::new(memory_file(), FEATURES, 0);
    let wake = EventFd::new().unwrap();
    let (worker, config) = (fixture.worker(0), fixture.config());
    let confined = confine(&config, worker, wake.as_raw_fd());
    let result = Arc::new(OnceLock::new());
    let written = result.clone();
    let body = move || confined.run(|ring| written.set(attempt(ring)).map_err(|_| Errno(libc::EALREADY)));
    let mut thread = Thread::spawn("vring-test", None, body, |_| {}).unwrap();
    thread.join();
    (thread.life().ending().unwrap(), result.get().copied())
}

/// The result of one operation of the ring.
fn submitted(entry: squeue::Entry) -> i32 {
    let (ending, result) = confined(move |ring| {
        // SAFETY: the entries' buffers are static.
        unsafe { ring.submission().push(&entry) }.unwrap();
        match ring.submit_and_wait(1) {
            Ok(_) => ring.completion().next().unwrap().result(),
            Err(error) => -error.raw_os_error().unwrap(),
        }
    });
    assert_eq!(ending, Ending::Done);
    result.unwrap()
}

fn secret() -> File {
    let file = memory_file();
    file.write_all_at(b"secret", 0).unwrap();
    file
}

/// Four bytes that are never freed.
fn buffer() -> *mut u8 {
    Box::leak(Box::new([0u8; 4])).as_mut_ptr()
}

#[test]
fn the_ring_reaches_the_files_of_its_queue() {
    assert_eq!(submitted(opcode::Read::new(file(0), buffer(), 4).build()), 4);
    assert_eq!(submitted(opcode::Fsync::new(file(0)).build()), 0);
}

#[test]
fn the_ring_reaches_no_foreign_file() {
    let file = secret();
    let fd = types::Fd(file.as_raw_fd());
    assert_eq!(submitted(opcode::Read::new(fd, buffer(), 4).build()), -libc::EACCES);
    let iovec: &'static libc::iovec =
        Box::leak(Box::new(libc::iovec { iov_base: buffer().cast(), iov_len: 4 }));
    assert_eq!(submitted(opcode::Readv::new(fd, iovec, 1).build()), -libc::EACCES);
    assert_eq!(submitted(opcode::Writev::new(fd, iovec, 1).build()), -libc::EACCES);
    assert_eq!(submitted(opcode::Fallocate::new(fd, 4).mode(0).build()), -libc::EACCES);
    assert_eq!(submitted(opcode::Fsync::new(fd).build()), -libc::EACCES);
    assert_eq!(submitted(opcode::PollAdd::new(fd, libc::POLLIN as u32).build()), -libc::EACCES);
    // The index of a registered file that doesn't exist.
    assert_eq!(submitted(opcode::Read::new(types::Fixed(3), buffer(), 4).build()), -libc::EBADF);
    let mut content = [0; 6];
    file.read_exact_at(&mut content, 0).unwrap();
    assert_eq!(&content, b"secret");
}

#[test]
fn the_ring_rejects_other_operations() {
    let fixed = |entry: squeue::Entry| entry.flags(squeue::Flags::FIXED_FILE);
    let path = c"/etc/passwd".as_ptr();
    let here = types::Fd(libc::AT_FDCWD);
    let slots: &'static [i32; 1] = &[0];
    for entry in [
        opcode::Nop::new().build(),
        opcode::OpenAt::new(here, path).build(),
        fixed(opcode::OpenAt::new(here, path).build()),
        fixed(opcode::Close::new(file(0)).build()),
        fixed(opcode::UnlinkAt::new(here, path).build()),
        fixed(opcode::FilesUpdate::new(slots.as_ptr(), 1).build()),
        opcode::Write::new(file(0), buffer(), 4).build(),
        fixed(opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build()),
        fixed(opcode::Splice::new(file(0), 0, types::Fd(0), -1, 4).build()),
        opcode::Read::new(file(0), buffer(), 4).build().flags(squeue::Flags::IO_LINK),
    ] {
        assert_eq!(submitted(entry.clone()), -libc::EACCES, "{entry:?}");
    }
}

#[test]
fn rejects_new_files_in_the_ring_and_new_rings() {
    let file = secret();
    let fd = file.as_raw_fd();
    let trapped = |call: i64| (Ending::Trapped(call as i32), None);
    let register = |ring: &mut IoUring, fd: RawFd| ring.submitter().register_files_update(0, &[fd]).is_ok();
    assert_eq!(confined(move |ring| register(ring, fd).into()), trapped(libc::SYS_io_uring_register));
    assert_eq!(confined(|_| IoUring::new(4).is_ok().into()), trapped(libc::SYS_io_uring_setup));
    // SAFETY: an empty submission to a ring that isn't the thread's.
    let enter =
        |fd: RawFd, flags: u32| unsafe { libc::syscall(libc::SYS_io_uring_enter, fd, 0, 0, flags, 0, 0) };
    let other = IoUring::new(4).unwrap();
    let other_fd = other.as_raw_fd();
    assert_eq!(confined(move |_| enter(other_fd, 0) as i32), trapped(libc::SYS_io_uring_enter));
    // IORING_ENTER_REGISTERED_RING would make the number an index.
    assert_eq!(
        confined(move |ring| enter(ring.as_raw_fd(), 1 << 4) as i32),
        trapped(libc::SYS_io_uring_enter)
    );
}

#[test]
fn reads_and_writes_are_limited_to_eventfds() {
    let file = secret();
    let fd = file.as_raw_fd();
    let trapped = |call: i64| (Ending::Trapped(call as i32), None);
    // SAFETY: the buffer is static and large enough.
    let read = move |_: &mut IoUring| unsafe { libc::read(fd, buffer().cast(), 4) as i32 };
    // SAFETY: as above.
    let write = move |_: &mut IoUring| unsafe { libc::write(fd, buffer().cast(), 4) as i32 };
    // SAFETY: as above.
    let pread = move |_: &mut IoUring| unsafe { libc::pread(fd, buffer().cast(), 4, 0) as i32 };
    assert_eq!(confined(read), trapped(libc::SYS_read));
    assert_eq!(confined(write), trapped(libc::SYS_write));
    assert_eq!(confined(pread), trapped(libc::SYS_pread64));
}
