use super::*;
use crate::mailbox::PARKED;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

struct NoQueues;

impl QueueEvents for NoQueues {
    fn next_event(&self) -> Option<Event> {
        None
    }
}

/// `count` queues not yet reported.
struct Broken(AtomicUsize);

impl QueueEvents for Broken {
    fn next_event(&self) -> Option<Event> {
        let left = self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).ok()?;
        Some(Event { kind: kind::QUEUE_BROKEN, index: left as u32, ..Event::default() })
    }
}

fn kinds(reactor: &Reactor, room: usize, queues: &dyn QueueEvents) -> Vec<u32> {
    let mut events = vec![Event::default(); room];
    let count = reactor.wait(&mut events, Some(0), queues, None).unwrap();
    events[..count].iter().map(|event| event.kind).collect()
}

#[test]
fn no_event_is_lost_when_the_buffer_is_full() {
    let reactor = Reactor::new().unwrap();
    let queues = Broken(AtomicUsize::new(3));
    for vcpu in [2, 63] {
        reactor.mailbox(vcpu).report_exit(2, 0);
        reactor.mailbox(vcpu).report_ended(5, false);
        reactor.post_vcpu(vcpu);
    }
    reactor.post_queue();
    let mut seen = Vec::new();
    for _ in 0..7 {
        let kinds = kinds(&reactor, 1, &queues);
        assert_eq!(kinds.len(), 1);
        seen.extend(kinds);
    }
    seen.sort();
    assert_eq!(seen, [1, 1, 4, 4, 5, 5, 5]);
    assert!(kinds(&reactor, 1, &queues).is_empty());
}

#[test]
fn an_event_has_its_source_and_kind() {
    let reactor = Reactor::new().unwrap();
    reactor.mailbox(7).report_exit(17, 100);
    assert!(reactor.mailbox(7).report_parked(reactor.mailbox(7).word()));
    assert_ne!(reactor.mailbox(7).word() & PARKED, 0);
    reactor.mailbox(7).report_ended(libc::EFAULT, true);
    reactor.post_vcpu(7);
    let mut events = [Event::default(); 4];
    assert_eq!(reactor.wait(&mut events, None, &NoQueues, None), Ok(3));
    assert_eq!(events[0], Event { kind: kind::EXIT, index: 7, data: 17, aux: 0 });
    assert_eq!(events[1], Event { kind: kind::PARKED, index: 7, data: 0, aux: 0 });
    assert_eq!(events[2], Event { kind: kind::VCPU_ENDED, index: 7, data: libc::EFAULT as u64, aux: 1 });
}

#[test]
fn fds_are_polled_even_during_continuous_posts() {
    let reactor = Reactor::new().unwrap();
    let fd = EventFd::new().unwrap();
    reactor.watch(fd.as_raw_fd(), 11, Ready::Readable, true).unwrap();
    fd.signal();
    let mut waits = 0;
    loop {
        reactor.mailbox(1).report_exit(2, 0);
        reactor.post_vcpu(1);
        waits += 1;
        if kinds(&reactor, 4, &NoQueues).contains(&kind::FD) {
            break;
        }
        assert!(waits <= FD_TURN);
    }
}

#[test]
fn an_fd_is_watched_once_and_may_be_closed_before_it_is_unwatched() {
    let reactor = Reactor::new().unwrap();
    let fd = EventFd::new().unwrap();
    let raw = fd.as_raw_fd();
    reactor.watch(raw, 1, Ready::Readable, false).unwrap();
    assert_eq!(reactor.watch(raw, 2, Ready::Readable, false), Err(Errno(libc::EEXIST)));
    fd.signal();
    assert_eq!(kinds(&reactor, 4, &NoQueues), [kind::FD]);
    assert_eq!(kinds(&reactor, 4, &NoQueues), [kind::FD], "not drained, so still readable");
    drop(fd);
    assert_eq!(reactor.unwatch(raw), Ok(()));
    assert_eq!(reactor.unwatch(raw), Err(Errno(libc::ENOENT)));
}

#[test]
fn a_watched_fd_may_be_watched_for_more() {
    let reactor = Reactor::new().unwrap();
    let fd = EventFd::new().unwrap();
    let raw = fd.as_raw_fd();
    reactor.watch(raw, 1, Ready::Readable, false).unwrap();
    assert_eq!(reactor.wait(&mut [Event::default()], Some(0), &NoQueues, None), Ok(0));
    // A non-full eventfd is always writable.
    reactor.watch(raw, 1, Ready::Either, false).unwrap();
    assert_eq!(kinds(&reactor, 4, &NoQueues), [kind::FD]);
    reactor.watch(raw, 1, Ready::Readable, false).unwrap();
    assert_eq!(reactor.wait(&mut [Event::default()], Some(0), &NoQueues, None), Ok(0));
}

#[test]
fn only_one_thread_may_wait_and_closing_frees_it() {
    let reactor = Reactor::new().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| reactor.wait(&mut [Event::default()], None, &NoQueues, None));
        while !reactor.posted.sleeping.load(SeqCst) {
            std::thread::yield_now();
        }
        let second = reactor.wait(&mut [Event::default()], Some(0), &NoQueues, None);
        assert_eq!(second, Err(Errno(libc::EBUSY)));
        reactor.close();
        assert_eq!(waiter.join().unwrap(), Err(Errno(libc::ECANCELED)));
    });
    let after = reactor.wait(&mut [Event::default()], None, &NoQueues, None);
    assert_eq!(after, Err(Errno(libc::ECANCELED)));
}

#[test]
fn no_post_is_missed_on_the_way_to_sleep() {
    let reactor = Reactor::new().unwrap();
    let seen = AtomicUsize::new(0);
    const ROUNDS: usize = 5_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                // Some posts hit a spinning waiter, some a sleeping one, some one in between.
                if round % 16 == 0 {
                    std::thread::sleep(Duration::from_micros(100));
                }
                reactor.mailbox(1).report_exit(2, 0);
                reactor.post_vcpu(1);
                while seen.load(SeqCst) == round {
                    std::hint::spin_loop();
                }
            }
        });
        while seen.load(SeqCst) < ROUNDS {
            let count =
                reactor.wait(&mut [Event::default(); 2], Some(now_ns() + 5 * SECOND), &NoQueues, None);
            seen.fetch_add(1, SeqCst);
            assert_eq!(count, Ok(1));
        }
    });
}
