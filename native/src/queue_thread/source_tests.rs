//! Event sources: a worker whose requests wait for them.

use super::{Needs, Next, Outcome, Worker};
use crate::blk::testing::{FEATURES, Fixture, memory_file};
use crate::epoll::EventFd;
use crate::queue::testing::in_;
use crate::queue::{Broken, Chain};
use crate::queue_thread::QueueThread;
use crate::seccomp::Call;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// Each request gets the count of an eventfd, once it is nonzero.
struct Counting(Arc<EventFd>);

impl Worker for Counting {
    const NAME: &'static str = "test";
    type Request<'m> = u64;
    type Pool = ();

    fn needs(&self) -> Needs {
        let call = Call::read_eventfd(self.0.as_raw_fd());
        Needs { files: vec![self.0.as_raw_fd()], sources: vec![0], calls: vec![call], ..Needs::default() }
    }

    fn begin<'m>(&self, _: &mut Chain<'m>, _: &mut u64) -> Result<u64, Broken> {
        Ok(0)
    }

    fn next<'m>(&self, _: &Chain<'m>, request: &mut u64, _: &mut ()) -> Next {
        *request = self.0.drain();
        if *request == 0 { Next::Wait } else { Next::Finished }
    }

    fn completed<'m>(&self, _: &Chain<'m>, _: &mut u64, _: i32) {}

    fn end<'m>(&self, chain: &Chain<'m>, request: &mut u64, _: &mut ()) -> Outcome {
        chain.writable.copy_from(0, &request.to_le_bytes());
        Outcome { written: 8, ..Outcome::default() }
    }

    fn shrink(&self, _: &mut u64) {}

    fn shrink_pool(&self, _: &mut ()) {}
}

#[test]
fn waiting_requests_are_retried_when_a_source_is_ready_and_survive_a_stop() {
    let mut fixture = Fixture::new(memory_file(), FEATURES, 0);
    fixture.stop();
    let source = Arc::new(EventFd::new().unwrap());
    let start = |fixture: &mut Fixture| {
        let worker = Counting(source.clone());
        let queue =
            QueueThread::start(&fixture.config(), &fixture.unfinished, worker, fixture.surroundings());
        fixture.put_queue(queue.unwrap());
    };
    start(&mut fixture);
    for index in 0..3u64 {
        fixture.driver.offer(&[in_(0x8000 + 8 * index, 8)]);
    }
    fixture.kick.signal();
    for expected in 1..3u16 {
        // Not before the requests have been tried without success.
        fixture.await_counter(crate::counters::queue::IN_FLIGHT, u64::from(4 - expected));
        source.signal();
        fixture.await_used(expected);
    }
    assert_eq!(fixture.read::<8>(0x8000), 1u64.to_le_bytes());
    let position = fixture.stop();
    assert_eq!((position.available, position.used, fixture.unfinished_heads()), (3, 2, vec![2]));
    start(&mut fixture);
    source.signal();
    fixture.await_used(3);
    assert_eq!(fixture.driver.used(2), (2, 8));
}
