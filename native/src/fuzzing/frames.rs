//! A guest's frames: the offloads that it requests, and IPv4 fragments.

use super::input::Input;
use crate::net::{FilterConfig, Header, ReceiveFilter, complete_checksum, segment};
use std::time::Duration;

// Shared with the program for user-mode networks.
#[path = "../net_user/fragments.rs"]
mod reassembly;

/// A driver's header, with all features, and a frame.
pub fn offloads(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let config = FilterConfig { flags: input.u8().into(), ..FilterConfig::default() };
    let filter = ReceiveFilter::new(&config, &[]).expect("no addresses");
    let Some((header, frame)) = input.rest().split_first_chunk() else { return };
    filter.passes(frame);
    let Some(header) = Header::parse(header).checked(u64::MAX, frame.len()) else { return };
    let mut complete = frame.to_vec();
    if header.needs_checksum() {
        complete_checksum(&header, &mut complete);
    }
    assert_eq!(complete.len(), frame.len());
    let (mut payload, mut sent) = (0, 0);
    let divided = segment(&header, frame, |part| {
        assert!(part.len() <= frame.len());
        sent += 1;
        payload += part.len();
        true
    });
    assert!(divided || sent == 0);
    assert!(payload <= frame.len() + sent * 512, "segments repeat more than their headers");
}

/// Frames, each preceded by its length and the seconds since the previous one.
pub fn fragments(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut fragments = reassembly::Fragments::default();
    let mut now = Duration::from_secs(1);
    let mut total = 0;
    while !input.is_empty() {
        now += Duration::from_secs(u64::from(input.u8() % 16));
        let len = usize::from(input.u16());
        let frame = input.take(len);
        total += frame.len();
        if let reassembly::Passed::Whole(packet) = fragments.pass(frame, now) {
            assert!(packet.len() <= 14 + 65_535);
            assert!(packet.len() <= total, "a packet has bytes that no frame had");
            let passed = fragments.pass(&packet, now);
            assert!(matches!(passed, reassembly::Passed::AsItIs), "what is whole is no fragment");
        }
    }
}
