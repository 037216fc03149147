use super::super::testing::{Buffer, Driver, in_, out, ram};
use super::*;
use vm_memory::GuestAddress;

const SIZE: u32 = 8;

/// A chain to give back.
fn returned(id: u16) -> Chain<'static> {
    Chain { id, ..Chain::default() }
}

fn queue<'m>(driver: &Driver<'m>, features: u64) -> SplitQueue<'m> {
    SplitQueue::new(driver.ram, &QueueLayout { features, ..driver.layout }).unwrap()
}

/// The error of taking the only chain.
fn broken<T>(features: u64, offer: impl FnOnce(&mut Driver) -> T) -> String {
    let ram = ram();
    let mut driver = Driver::new(&ram, SIZE);
    offer(&mut driver);
    queue(&driver, features).take(&mut Chain::default()).unwrap_err().0
}

#[test]
fn chains_are_taken_in_order_and_returned() {
    let ram = ram();
    let mut driver = Driver::new(&ram, SIZE);
    driver.offer(&[out(0x8000, 16), in_(0x9000, 512), in_(0xa000, 1)]);
    driver.offer(&[out(0x8000, 3)]);
    let mut queue = queue(&driver, 0);
    let mut chain = Chain::default();
    assert!(queue.take(&mut chain).unwrap());
    assert_eq!((chain.id, chain.readable.len(), chain.writable.len()), (0, 16, 513));
    assert!(queue.take(&mut chain).unwrap());
    assert_eq!((chain.id, chain.readable.len(), chain.writable.len()), (3, 3, 0));
    assert!(!queue.take(&mut chain).unwrap());

    queue.give_back(&returned(3), 7);
    assert_eq!(driver.used_index(), 0);
    assert!(queue.publish());
    assert_eq!((driver.used_index(), driver.used(0)), (1, (3, 7)));
    assert!(!queue.publish());
    assert_eq!(queue.position(), Position { available: 2, used: 1 });
}

#[test]
fn indices_wrap() {
    let ram = ram();
    let mut driver = Driver::new(&ram, SIZE);
    driver.start_at(Position { available: 65535, used: 65534 });
    let mut queue = queue(&driver, 0);
    for round in 0..4 {
        let head = driver.offer(&[in_(0x8000, 1)]);
        assert!(queue.take(&mut Chain::default()).unwrap());
        queue.give_back(&returned(head), round);
        queue.publish();
    }
    assert_eq!(queue.position(), Position { available: 3, used: 2 });
    assert_eq!((driver.used_index(), driver.used(65535).1, driver.used(1).1), (2, 1, 3));
}

#[test]
fn an_indirect_table_is_followed_at_the_end_of_a_chain() {
    let ram = ram();
    let mut driver = Driver::new(&ram, SIZE);
    driver.write_table(0x4000, &[out(0x8000, 8), in_(0x9000, 100)]);
    driver.offer(&[out(0x7000, 8), Buffer::indirect(0x4000, 32)]);
    let mut chain = Chain::default();
    assert!(queue(&driver, feature::INDIRECT_DESC).take(&mut chain).unwrap());
    assert_eq!((chain.readable.len(), chain.writable.len()), (16, 100));
}

#[test]
fn a_buffer_may_cross_from_one_region_of_ram_into_the_next_but_not_leave_it() {
    let border = super::super::testing::REGION_BORDER;
    let ram = ram();
    let mut driver = Driver::new(&ram, SIZE);
    driver.offer(&[out(border - 8, 16)]);
    let mut chain = Chain::default();
    assert!(queue(&driver, 0).take(&mut chain).unwrap());
    assert_eq!((chain.readable.len(), chain.readable.from(0).count()), (16, 2));
}

#[test]
fn rings_outside_ram_or_misaligned_are_rejected() {
    let ram = ram();
    let good = Driver::new(&ram, SIZE).layout;
    let refused = |layout: QueueLayout| SplitQueue::new(&ram, &layout).err().expect("refused").0;
    assert!(refused(QueueLayout { size: 0, ..good }).contains("size of 0"));
    assert!(refused(QueueLayout { size: 12, ..good }).contains("size of 12"));
    assert!(refused(QueueLayout { size: 65536, ..good }).contains("size of 65536"));
    assert!(refused(QueueLayout { descriptors: 8, ..good }).contains("descriptor table at 0x8"));
    assert!(refused(QueueLayout { available: 1, ..good }).contains("available ring at 0x1"));
    assert!(refused(QueueLayout { used: 2, ..good }).contains("used ring at 0x2"));
    assert!(refused(QueueLayout { used: u64::MAX - 3, ..good }).contains("not all RAM"));
    assert!(refused(QueueLayout { descriptors: 1 << 40, ..good }).contains("not all RAM"));
}

#[test]
fn errors_of_a_hostile_driver_are_named() {
    let none = 0;
    let indirect = feature::INDIRECT_DESC;
    assert_eq!(broken(none, |driver| driver.set_available_index(9)), "offered 9 chains in a queue of 8");
    assert_eq!(broken(none, |driver| driver.offer_head(8)), "offered descriptor 8 of 8");
    let text = broken(none, |driver| driver.offer(&[in_(0xffff_ffff_ffff_fff0, 0x20)]));
    assert!(text.contains("0xfffffffffffffff0, which is not all RAM"), "{text}");
    let text = broken(none, |driver| driver.offer(&[out(0x8000, 1), in_(1 << 40, 1)]));
    assert!(text.contains("not all RAM"), "{text}");
    let text = broken(none, |driver| driver.offer(&[in_(0x8000, 1), out(0x9000, 1)]));
    assert_eq!(text, "put a readable descriptor after a writable one");
    let text = broken(none, |driver| {
        driver.write_descriptor(0, out(0x8000, 1), Some(8));
        driver.offer_head(0);
    });
    assert_eq!(text, "linked to descriptor 8 of 8");
    let text = broken(none, |driver| {
        driver.write_descriptor(2, out(0x8000, 1), Some(5));
        driver.write_descriptor(5, out(0x8000, 1), Some(2));
        driver.offer_head(2);
    });
    assert_eq!(text, "made a loop of descriptors, starting at 2");
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
    let text = broken(indirect, |driver| {
        driver.write_descriptor(0, Buffer::indirect(0x4000, 16), Some(1));
        driver.offer_head(0);
    });
    assert_eq!(text, "linked an indirect descriptor to another one");
}

#[test]
fn a_chain_of_4_gib_is_rejected() {
    let ram = GuestRam::from_ranges(&[(GuestAddress(0), 8 << 20)]).unwrap();
    let mut driver = Driver::new(&ram, SIZE);
    driver.write_table(0x4000, &[in_(0, 8 << 20); 512]);
    driver.offer(&[Buffer::indirect(0x4000, 512 * 16)]);
    let mut queue = queue(&driver, feature::INDIRECT_DESC);
    assert_eq!(queue.take(&mut Chain::default()).unwrap_err().0, "made a chain of 4 GiB or more");
}

#[test]
fn without_event_idx_flags_suppress_interrupts_and_kicks() {
    let ram = ram();
    let mut driver = Driver::new(&ram, SIZE);
    let mut queue = queue(&driver, 0);
    queue.give_back(&returned(0), 0);
    queue.publish();
    assert!(queue.wants_interrupt());
    driver.set_available_flags(NO_INTERRUPT);
    assert!(!queue.wants_interrupt());
    queue.disable_kicks();
    assert_eq!(driver.used_flags(), NO_NOTIFY);
    assert!(!queue.enable_kicks());
    assert_eq!(driver.used_flags(), 0);
    driver.offer(&[in_(0x8000, 1)]);
    assert!(queue.enable_kicks());
}

#[test]
fn kicks_are_requested_until_chains_are_taken_or_kicks_are_disabled() {
    for features in [0, feature::EVENT_IDX] {
        let ram = ram();
        let mut driver = Driver::new(&ram, SIZE);
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
        // An index that has not been passed still requests a kick.
        assert_eq!(queue.forget_kick(), features == feature::EVENT_IDX);
    }
}

#[test]
fn with_event_idx_indices_suppress_them() {
    let ram = ram();
    let mut driver = Driver::new(&ram, SIZE);
    driver.start_at(Position { available: 65534, used: 65534 });
    let mut queue = queue(&driver, feature::EVENT_IDX);
    let give_back = |queue: &mut SplitQueue, count| {
        for _ in 0..count {
            queue.give_back(&returned(0), 0);
        }
        queue.publish();
        queue.wants_interrupt()
    };
    assert!(give_back(&mut queue, 1), "the first time it isn't known what the driver has seen");
    driver.set_used_event(1);
    assert!(!give_back(&mut queue, 1), "65535");
    assert!(!give_back(&mut queue, 1), "0: event 1 asks for index 2");
    assert!(give_back(&mut queue, 2), "2 passes it");
    assert!(!give_back(&mut queue, 1), "3 is behind it");

    driver.set_available_flags(NO_INTERRUPT);
    driver.set_used_event(4);
    assert!(give_back(&mut queue, 3), "the flag has no meaning with EVENT_IDX");
    assert!(!queue.enable_kicks());
    assert_eq!(driver.available_event(), 65534);
}

#[test]
fn a_kick_can_be_requested_when_more_than_one_chain_is_available() {
    let ram = ram();
    let mut driver = Driver::new(&ram, SIZE);
    driver.start_at(Position { available: 65534, used: 65534 });
    let mut with_index = queue(&driver, feature::EVENT_IDX);
    assert!(!with_index.enable_kicks_after(3));
    assert_eq!(driver.available_event(), 0, "65534 and two more");
    driver.offer(&[out(0x8000, 1)]);
    driver.offer(&[out(0x8000, 1)]);
    assert!(!with_index.enable_kicks_after(3) && with_index.has_available());
    driver.offer(&[out(0x8000, 1)]);
    assert!(with_index.enable_kicks_after(3));
    // Flags can't express a number.
    let mut with_flags = queue(&driver, 0);
    assert!(with_flags.enable_kicks_after(16));
}
