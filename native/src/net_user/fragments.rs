//! Reassembles IPv4 fragments (RFC 791 §3.2) before libslirp sees them: its own reassembly can be made to write outside
//! its buffers. No honest sender's fragments overlap, so an overlap drops the whole packet, as in RFC 5722.

use std::time::Duration;

/// Packets being reassembled at a time; the oldest makes room for a new one.
const MAX_PACKETS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_PACKET: usize = 65_535;

const ETHERNET: usize = 14;
const HEADER: usize = 20;
const IPV4: [u8; 2] = [0x08, 0x00];
const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// Source, destination, protocol and identification.
type Key = [u8; 11];

struct Packet {
    key: Key,
    since: Duration,
    /// Ethernet and IP headers, from the first fragment.
    headers: Option<Vec<u8>>,
    data: Vec<u8>,
    /// Filled ranges of `data`, unordered.
    filled: Vec<(usize, usize)>,
    /// The packet's length, once the last fragment has arrived.
    length: Option<usize>,
}

#[derive(Default)]
pub struct Fragments(Vec<Packet>);

/// The outcome of passing in a frame.
#[derive(Debug, PartialEq)]
pub enum Passed {
    /// Not a fragment.
    AsItIs,
    /// It completes this packet.
    Whole(Vec<u8>),
    /// It waits for other fragments, or was invalid.
    Held,
}

struct Fragment<'a> {
    key: Key,
    headers: &'a [u8],
    data: &'a [u8],
    offset: usize,
    more: bool,
}

impl Fragments {
    /// `now`: a time that never goes backward.
    pub fn pass(&mut self, frame: &[u8], now: Duration) -> Passed {
        if !is_fragment(frame) {
            return Passed::AsItIs;
        }
        self.0.retain(|packet| now.saturating_sub(packet.since) < PATIENCE);
        let Some(fragment) = parse(frame) else { return Passed::Held };
        let index = self.0.iter().position(|packet| packet.key == fragment.key).unwrap_or_else(|| {
            if self.0.len() == MAX_PACKETS {
                self.0.remove(0);
            }
            self.0.push(Packet::new(fragment.key, now));
            self.0.len() - 1
        });
        let packet = &mut self.0[index];
        if !packet.add(&fragment) {
            self.0.remove(index);
            return Passed::Held;
        }
        if !packet.is_complete() {
            return Passed::Held;
        }
        self.0.remove(index).whole().map_or(Passed::Held, Passed::Whole)
    }
}

impl Packet {
    fn new(key: Key, since: Duration) -> Packet {
        Packet { key, since, headers: None, data: Vec::new(), filled: Vec::new(), length: None }
    }

    /// False if it contradicts the others.
    fn add(&mut self, fragment: &Fragment) -> bool {
        let (start, end) = (fragment.offset, fragment.offset + fragment.data.len());
        if self.filled.contains(&(start, end)) {
            return true;
        }
        let overlaps = self.filled.iter().any(|&(from, to)| start < to && from < end);
        let is_beyond = self.length.is_some_and(|length| end > length);
        let ends_early = !fragment.more && (self.length.is_some() || self.data.len() > end);
        if overlaps || is_beyond || ends_early {
            return false;
        }
        if !fragment.more {
            self.length = Some(end);
        }
        if start == 0 {
            self.headers = Some(fragment.headers.to_vec());
        }
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        self.data[start..end].copy_from_slice(fragment.data);
        self.filled.push((start, end));
        true
    }

    fn is_complete(&self) -> bool {
        let there: usize = self.filled.iter().map(|(from, to)| to - from).sum();
        self.length == Some(there)
    }

    /// None if it is longer than a packet can be.
    fn whole(self) -> Option<Vec<u8>> {
        let mut frame = self.headers?;
        let length = u16::try_from(frame.len() - ETHERNET + self.data.len()).ok()?;
        let header = &mut frame[ETHERNET..];
        header[2..4].copy_from_slice(&length.to_be_bytes());
        header[6..8].fill(0);
        header[10..12].fill(0);
        let sum = checksum(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend(self.data);
        Some(frame)
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn is_fragment(frame: &[u8]) -> bool {
    frame.len() >= ETHERNET + HEADER
        && frame[12..14] == IPV4
        && word(frame, ETHERNET + 6) & (MORE | OFFSET) != 0
}

/// None if it is malformed.
fn parse(frame: &[u8]) -> Option<Fragment<'_>> {
    let packet = &frame[ETHERNET..];
    let header = usize::from(packet[0] & 15) * 4;
    let length = usize::from(word(packet, 2));
    if packet[0] >> 4 != 4 || header < HEADER || length <= header || packet.len() < length {
        return None;
    }
    if checksum(&packet[..header]) != 0 {
        return None;
    }
    let more = word(packet, 6) & MORE != 0;
    let offset = usize::from(word(packet, 6) & OFFSET) * 8;
    let data = &packet[header..length];
    if more && data.len() % 8 != 0 || header + offset + data.len() > MAX_PACKET {
        return None;
    }
    let mut key = [0; 11];
    key[..8].copy_from_slice(&packet[12..20]);
    key[8] = packet[9];
    key[9..].copy_from_slice(&packet[4..6]);
    Some(Fragment { key, headers: &frame[..ETHERNET + header], data, offset, more })
}

/// RFC 1071, for an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(word(pair, 0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn fragment(id: u16, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET + HEADER];
        frame[12..14].copy_from_slice(&IPV4);
        let header = &mut frame[ETHERNET..];
        header[0] = 0x45;
        header[2..4].copy_from_slice(&((HEADER + data.len()) as u16).to_be_bytes());
        header[4..6].copy_from_slice(&id.to_be_bytes());
        let field = (offset / 8) as u16 | if more { MORE } else { 0 };
        header[6..8].copy_from_slice(&field.to_be_bytes());
        header[9] = 17;
        let sum = checksum(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend(data);
        frame
    }

    #[test]
    fn packets_are_reassembled_in_any_order() {
        let data: Vec<u8> = (0..40u8).collect();
        let parts = [
            fragment(1, 0, true, &data[..16]),
            fragment(1, 16, true, &data[16..32]),
            fragment(1, 32, false, &data[32..]),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
            let mut fragments = Fragments::default();
            assert_eq!(fragments.pass(&parts[order[0]], NOW), Passed::Held);
            assert_eq!(fragments.pass(&parts[order[0]], NOW), Passed::Held);
            assert_eq!(fragments.pass(&parts[order[1]], NOW), Passed::Held);
            assert_eq!(fragments.pass(&parts[order[2]], NOW), Passed::Whole(fragment(1, 0, false, &data)));
            assert!(fragments.0.is_empty());
        }
    }

    #[test]
    fn unfragmented_packets_pass_unchanged() {
        let mut fragments = Fragments::default();
        assert_eq!(fragments.pass(&fragment(1, 0, false, b"whole"), NOW), Passed::AsItIs);
        assert_eq!(fragments.pass(&[], NOW), Passed::AsItIs);
        assert_eq!(fragments.pass(&[0; 60], NOW), Passed::AsItIs);
    }

    #[test]
    fn an_overlap_drops_the_packet() {
        let mut fragments = Fragments::default();
        fragments.pass(&fragment(1, 0, true, &[1; 16]), NOW);
        assert_eq!(fragments.pass(&fragment(1, 8, true, &[2; 16]), NOW), Passed::Held);
        assert_eq!(fragments.pass(&fragment(1, 16, false, &[3; 8]), NOW), Passed::Held);
        // Two last fragments; the second ends before data that is already there.
        fragments.pass(&fragment(2, 32, false, &[1; 8]), NOW);
        assert_eq!(fragments.pass(&fragment(2, 16, false, &[1; 8]), NOW), Passed::Held);
        assert!(fragments.0.iter().all(|packet| packet.key[10] != 2));
    }

    #[test]
    fn malformed_fragments_and_old_ones_are_dropped() {
        let mut fragments = Fragments::default();
        let mut wrong = fragment(1, 0, true, &[1; 16]);
        wrong[ETHERNET + 10] ^= 1;
        fragments.pass(&wrong, NOW);
        fragments.pass(&fragment(1, 0, true, &[1; 15]), NOW);
        fragments.pass(&fragment(1, 65_528, false, &[1; 16]), NOW);
        assert!(fragments.0.is_empty());
        fragments.pass(&fragment(1, 0, true, &[1; 16]), NOW);
        assert_eq!(fragments.pass(&fragment(1, 16, false, &[1; 16]), NOW + PATIENCE), Passed::Held);
        for id in 0..100 {
            fragments.pass(&fragment(id, 8, true, &[1; 16]), NOW + PATIENCE);
        }
        assert_eq!(fragments.0.len(), MAX_PACKETS);
    }
}
