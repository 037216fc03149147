use super::super::testing::packed::{PackedDriver, START};
use super::super::testing::{Buffer, REGION_BORDER, in_, out, ram};
use super::*;
use vm_memory::GuestAddress;

const SIZE: u32 = 6;

fn queue<'m>(driver: &PackedDriver<'m>, features: u64) -> PackedQueue<'m> {
    PackedQueue::new(driver.ram, &QueueLayout { features, ..driver.layout }).unwrap()
}

/// The error of taking the only chain.
fn broken<T>(features: u64, offer: impl FnOnce(&mut PackedDriver) -> T) -> String {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    offer(&mut driver);
    queue(&driver, features).take(&mut Chain::default()).unwrap_err().0
}

/// Takes a chain and gives it back.
fn serve<'m>(queue: &mut PackedQueue<'m>, len: u32) {
    let mut chain = Chain::default();
    assert!(queue.take(&mut chain).unwrap());
    queue.give_back(&chain, len);
    assert!(queue.publish());
}

#[test]
fn chains_are_taken_in_order_and_returned_in_any_order() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    driver.offer(&[out(0x8000, 16), in_(0x9000, 512), in_(0xa000, 1)]);
    driver.offer(&[out(0x8000, 3)]);
    let mut queue = queue(&driver, 0);
    let (mut first, mut second) = (Chain::default(), Chain::default());
    assert!(queue.take(&mut first).unwrap());
    assert_eq!((first.id, first.readable.len(), first.writable.len(), first.descriptors), (0, 16, 513, 3));
    assert!(queue.take(&mut second).unwrap());
    assert_eq!((second.id, second.readable.len(), second.writable.len()), (1, 3, 0));
    assert!(!queue.take(&mut Chain::default()).unwrap());
    assert_eq!(queue.position(), Position { available: 0x8004, used: 0x8000 });

    assert!(!queue.publish());
    queue.give_back(&second, 0);
    queue.give_back(&first, 7);
    assert_eq!(driver.take_used(), None);
    assert!(queue.publish() && !queue.publish());
    assert_eq!(
        [driver.take_used(), driver.take_used(), driver.take_used()],
        [Some((1, 0)), Some((0, 7)), None]
    );
    assert_eq!(queue.position(), Position { available: 0x8004, used: 0x8004 });
}

#[test]
fn chains_of_any_length_wrap_around_the_ring() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    let mut queue = queue(&driver, 0);
    for round in 0..100u32 {
        let count = 1 + round % SIZE;
        let buffers: Vec<_> = (0..count).map(|at| in_(0x8000 + u64::from(at), 1)).collect();
        driver.offer(&buffers);
        assert!(queue.has_available());
        serve(&mut queue, round);
        assert!(!queue.has_available(), "what has been used is not available, in any round");
        assert_eq!(driver.take_used(), Some((0, round)));
        assert_eq!(driver.take_used(), None);
        assert_eq!(queue.position().available, queue.position().used);
    }
}

#[test]
fn takes_a_full_ring_and_nothing_more() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    let mut queue = queue(&driver, 0);
    for _ in 0..3 {
        let mut chains: Vec<Chain> = (0..SIZE).map(|_| Chain::default()).collect();
        for chain in &mut chains {
            driver.offer(&[in_(0x8000, 1)]);
            assert!(queue.take(chain).unwrap());
        }
        assert!(!queue.has_available());
        chains.iter().rev().for_each(|chain| queue.give_back(chain, 1));
        queue.publish();
        for id in (0..SIZE as u16).rev() {
            assert_eq!(driver.take_used(), Some((id, 1)));
        }
    }
}

#[test]
fn an_indirect_table_has_its_buffers_in_order_and_uses_one_descriptor() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    // Links are meaningless in the table.
    driver.write_table(0x4000, &[out(0x8000, 8), in_(0x9000, 100), in_(0xa000, 1)]);
    driver.offer(&[Buffer::indirect(0x4000, 48)]);
    let mut queue = queue(&driver, feature::INDIRECT_DESC);
    let mut chain = Chain::default();
    assert!(queue.take(&mut chain).unwrap());
    assert_eq!((chain.readable.len(), chain.writable.len(), chain.ring.len()), (8, 101, 1));
    queue.give_back(&chain, 101);
    queue.publish();
    assert_eq!(driver.take_used(), Some((0, 101)));
    assert_eq!(queue.position().used, 0x8001);
}

#[test]
fn a_buffer_may_cross_from_one_region_of_ram_into_the_next() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    driver.offer(&[out(REGION_BORDER - 8, 16)]);
    let mut chain = Chain::default();
    assert!(queue(&driver, 0).take(&mut chain).unwrap());
    assert_eq!((chain.readable.len(), chain.readable.from(0).count()), (16, 2));
}

#[test]
fn unfinished_chains_can_be_resumed_after_the_ring_was_overwritten() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    let mut queue = queue(&driver, feature::INDIRECT_DESC);
    driver.write_table(0x4000, &[out(0x8000, 8), in_(0x9000, 5)]);
    let long = driver.offer(&[out(0x8000, 16), in_(0x9000, 512), in_(0xa000, 1)]);
    let indirect = driver.offer(&[Buffer::indirect(0x4000, 32)]);
    driver.offer(&[in_(0xb000, 4)]);
    let mut chains = [Chain::default(), Chain::default(), Chain::default()];
    for chain in &mut chains {
        assert!(queue.take(chain).unwrap());
    }
    // Overwrites the first descriptor of the first chain.
    queue.give_back(&chains[2], 4);
    queue.publish();
    let mut saved = Vec::new();
    chains[..2].iter().for_each(|chain| queue.save(chain, &mut saved));
    assert_eq!(saved.len(), 4 * DESCRIPTOR_BYTES);
    let layout =
        QueueLayout { features: feature::INDIRECT_DESC, position: queue.position(), ..driver.layout };

    let mut queue = PackedQueue::new(&ram, &layout).unwrap();
    assert!(queue.can_retake(&saved) && queue.can_retake(&[]));
    let mut rest = saved.as_slice();
    let [first, second, _] = &mut chains;
    queue.retake(&mut rest, first).unwrap();
    assert_eq!((first.id, first.readable.len(), first.writable.len()), (long, 16, 513));
    queue.retake(&mut rest, second).unwrap();
    assert_eq!((second.id, second.readable.len(), second.writable.len()), (indirect, 8, 5));
    assert!(rest.is_empty() && !queue.has_available());
    queue.give_back(second, 5);
    queue.give_back(first, 513);
    queue.publish();
    assert_eq!(
        [driver.take_used(), driver.take_used(), driver.take_used()],
        [Some((2, 4)), Some((1, 5)), Some((0, 513))]
    );
}

#[test]
fn only_chains_that_were_taken_can_be_restored() {
    let ram = ram();
    let driver = PackedDriver::new(&ram, SIZE);
    let at = |available, used| {
        let position = Position { available, used };
        PackedQueue::new(&ram, &QueueLayout { position, ..driver.layout })
    };
    let descriptor = |flags: u16| {
        let mut raw = [0; DESCRIPTOR_BYTES];
        raw[FLAGS..].copy_from_slice(&flags.to_le_bytes());
        raw
    };
    let three = [descriptor(NEXT), descriptor(0), descriptor(0)].concat();
    assert!(at(0x8003, 0x8000).unwrap().can_retake(&three));
    assert!(at(1, 0x8004).unwrap().can_retake(&three), "across the end of the ring");
    assert!(!at(0x8002, 0x8000).unwrap().can_retake(&three), "more than were taken");
    assert!(!at(0x8003, 0x8000).unwrap().can_retake(&three[..40]), "a part of a descriptor");
    assert!(!at(0x8003, 0x8000).unwrap().can_retake(&three[..16]), "a chain without an end");
    let mut queue = at(0x8003, 0x8000).unwrap();
    assert!(queue.retake(&mut &three[..16], &mut Chain::default()).is_err());
    let hostile = Buffer::indirect(1 << 40, 16);
    driver.write_raw(0, hostile, 0, 4);
    let raw = read_raw(&queue.ring, 0);
    assert!(
        queue.retake(&mut &raw[..], &mut Chain::default()).is_err(),
        "checked as if a driver had written it"
    );
}

#[test]
fn invalid_rings_and_positions_are_rejected() {
    let ram = ram();
    let good = PackedDriver::new(&ram, SIZE).layout;
    let refused = |layout: QueueLayout| PackedQueue::new(&ram, &layout).err().expect("refused").0;
    assert!(refused(QueueLayout { size: 0, ..good }).contains("size of 0"));
    assert!(refused(QueueLayout { size: 32769, ..good }).contains("size of 32769"));
    assert!(refused(QueueLayout { descriptors: 8, ..good }).contains("descriptor ring at 0x8"));
    assert!(refused(QueueLayout { available: 2, ..good }).contains("driver's event suppression at 0x2"));
    assert!(refused(QueueLayout { used: 2, ..good }).contains("device's event suppression at 0x2"));
    assert!(refused(QueueLayout { used: u64::MAX - 3, ..good }).contains("not all RAM"));
    assert!(refused(QueueLayout { descriptors: 1 << 40, ..good }).contains("not all RAM"));
    let at = |available, used| QueueLayout { position: Position { available, used }, ..good };
    for (available, used) in
        [(0x8006, 0x8000), (0x8000, 0x8006), (0x7fff, 0x8000), (0x8000, 0x8001), (1, 0x8000)]
    {
        assert!(refused(at(available, used)).contains("packed ring of 6"), "{available:#x} {used:#x}");
    }
    for (available, used) in [(0x8005, 0x8005), (0, 0), (0, 0x8000), (0x8002, 3)] {
        assert!(PackedQueue::new(&ram, &at(available, used)).is_ok(), "{available:#x} {used:#x}");
    }
}

#[test]
fn errors_of_a_hostile_driver_are_named() {
    let none = 0;
    let indirect = feature::INDIRECT_DESC;
    let text = broken(none, |driver| {
        (0..SIZE as u16).for_each(|index| driver.write_raw(index, out(0x8000, 1), 0, AVAIL | NEXT));
    });
    assert_eq!(text, "made a chain of more than the 6 descriptors left of 6");
    let text = broken(none, |driver| driver.offer(&[in_(0xffff_ffff_ffff_fff0, 0x20)]));
    assert!(text.contains("0xfffffffffffffff0, which is not all RAM"), "{text}");
    let text = broken(none, |driver| driver.offer(&[out(0x8000, 1), in_(1 << 40, 1)]));
    assert!(text.contains("not all RAM"), "{text}");
    let text = broken(none, |driver| driver.offer(&[in_(0x8000, 1), out(0x9000, 1)]));
    assert_eq!(text, "put a readable descriptor after a writable one");
    let text = broken(none, |driver| driver.offer(&[Buffer::indirect(0x4000, 16)]));
    assert!(text.contains("without having negotiated"), "{text}");
    for len in [0, 15, 16 * 1025] {
        let text = broken(indirect, |driver| driver.offer(&[Buffer::indirect(0x4000, len)]));
        assert_eq!(text, format!("gave an indirect table of {len} bytes"));
    }
    let text = broken(indirect, |driver| driver.offer(&[Buffer::indirect(1 << 40, 16)]));
    assert!(text.contains("an indirect table of 16 bytes at 0x10000000000"), "{text}");
    let text = broken(indirect, |driver| {
        driver.write_table(0x4000, &[Buffer::indirect(0x5000, 16)]);
        driver.offer(&[Buffer::indirect(0x4000, 16)]);
    });
    assert_eq!(text, "put an indirect descriptor into an indirect table");
    let text = broken(indirect, |driver| driver.offer(&[Buffer::indirect(0x4000, 16), out(0x8000, 1)]));
    assert_eq!(text, "linked an indirect descriptor to another one");
}

#[test]
fn a_chain_is_not_taken_twice_if_its_descriptors_are_offered_repeatedly() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    let mut queue = queue(&driver, 0);
    (0..SIZE).for_each(|_| _ = driver.offer(&[in_(0x8000, 1)]));
    let mut chain = Chain::default();
    (0..SIZE).for_each(|_| assert!(queue.take(&mut chain).unwrap()));
    // The driver makes them available again, as in the ring's next round, before any has been used.
    (0..SIZE as u16).for_each(|index| driver.write_raw(index, in_(0x8000, 1), 0, USED));
    assert_eq!(
        queue.take(&mut chain).unwrap_err().0,
        "made a chain of more than the 0 descriptors left of 6"
    );
}

#[test]
fn a_chain_of_4_gib_is_rejected() {
    let ram = GuestRam::from_ranges(&[(GuestAddress(0), 8 << 20)]).unwrap();
    let mut driver = PackedDriver::new(&ram, SIZE);
    driver.write_table(0x4000, &[in_(0, 8 << 20); 512]);
    driver.offer(&[Buffer::indirect(0x4000, 512 * 16)]);
    let mut queue = queue(&driver, feature::INDIRECT_DESC);
    assert_eq!(queue.take(&mut Chain::default()).unwrap_err().0, "made a chain of 4 GiB or more");
}

#[test]
fn without_event_idx_flags_suppress_interrupts_and_kicks() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    let mut queue = queue(&driver, 0);
    driver.offer(&[in_(0x8000, 1)]);
    serve(&mut queue, 0);
    assert!(queue.wants_interrupt());
    driver.set_events(DISABLE, 0);
    assert!(!queue.wants_interrupt());
    driver.set_events(AT_DESCRIPTOR, 0);
    assert!(queue.wants_interrupt(), "not negotiated, so it has no meaning");
    queue.disable_kicks();
    assert_eq!(driver.device_events().0, DISABLE);
    assert!(!queue.enable_kicks());
    assert_eq!(driver.device_events(), (ENABLE, 0));
    driver.offer(&[in_(0x8000, 1)]);
    assert!(queue.enable_kicks());
}

#[test]
fn kicks_are_requested_until_chains_are_taken_or_kicks_are_disabled() {
    for features in [0, feature::EVENT_IDX] {
        let ram = ram();
        let mut driver = PackedDriver::new(&ram, SIZE);
        let mut queue = queue(&driver, features);
        assert!(queue.forget_kick(), "a new ring asks for one");
        assert!(!queue.forget_kick());
        queue.enable_kicks();
        driver.offer(&[in_(0x8000, 1)]);
        queue.disable_kicks();
        assert!(queue.take(&mut Chain::default()).unwrap());
        assert!(queue.forget_kick(), "it was asked for when the chain came");
        queue.enable_kicks();
        queue.disable_kicks();
        assert!(!queue.forget_kick());
    }
}

#[test]
fn with_event_idx_kicks_are_requested_at_the_next_descriptor() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    let mut queue = queue(&driver, feature::EVENT_IDX);
    for count in [4, 4, 3] {
        let at = queue.position().available;
        assert!(!queue.enable_kicks());
        assert_eq!(driver.device_events(), (AT_DESCRIPTOR, at));
        driver.offer(&vec![in_(0x8000, 1); count]);
        serve(&mut queue, 1);
        driver.take_used();
    }
    assert_eq!(queue.position(), Position { available: 5, used: 5 });
}

#[test]
fn with_event_idx_interrupts_are_sent_when_a_descriptor_is_passed() {
    let ram = ram();
    let mut driver = PackedDriver::new(&ram, SIZE);
    let mut queue = queue(&driver, feature::EVENT_IDX);
    driver.set_events(AT_DESCRIPTOR, START.used);
    let mut use_chains = |driver: &mut PackedDriver, counts: &[usize]| {
        for count in counts {
            driver.offer(&vec![in_(0x8000, 1); *count]);
            let mut chain = Chain::default();
            queue.take(&mut chain).unwrap();
            queue.give_back(&chain, 1);
            queue.publish();
            driver.take_used();
        }
        queue.wants_interrupt()
    };
    assert!(use_chains(&mut driver, &[1]), "the first time it isn't known what the driver has seen");
    driver.set_events(AT_DESCRIPTOR, 0x8003);
    assert!(!use_chains(&mut driver, &[1]), "1");
    assert!(!use_chains(&mut driver, &[1]), "2: the event is at descriptor 3");
    assert!(use_chains(&mut driver, &[1]), "3");
    assert!(!use_chains(&mut driver, &[1]), "4 is behind it");
    // In the ring's next round.
    driver.set_events(AT_DESCRIPTOR, 1);
    assert!(!use_chains(&mut driver, &[1, 1]), "5, 0");
    assert!(use_chains(&mut driver, &[3]), "1 to 3");
    // The same index in the previous round has already been passed.
    driver.set_events(AT_DESCRIPTOR, 0x8005);
    assert!(!use_chains(&mut driver, &[1]), "4");
    assert!(!use_chains(&mut driver, &[1]), "5 of this round");
    driver.set_events(DISABLE, 0x8000);
    assert!(!use_chains(&mut driver, &[6]));
    driver.set_events(ENABLE, 0);
    assert!(use_chains(&mut driver, &[1]));
    // An index beyond the ring has no effect.
    driver.set_events(AT_DESCRIPTOR, 0x7fff);
    use_chains(&mut driver, &[1]);
}
