//! The header in front of each frame (virtio 1.3 §5.1.6), and what a driver may request in it.

use super::feature;

pub const HEADER_BYTES: usize = 12;
/// Offset of `num_buffers`, the number of buffers that hold a received frame.
pub const NUM_BUFFERS: usize = 10;

/// Bytes of the Ethernet header, and the largest frame: an IP packet of 65,535 bytes with a VLAN tag.
pub const ETHERNET_BYTES: usize = 14;
pub const MAX_FRAME: usize = 65_535 + ETHERNET_BYTES + 4;

/// Bits of `flags`.
const NEEDS_CSUM: u8 = 1;
/// Values of `gso_type`, and its bit for explicit congestion notification.
pub const GSO_NONE: u8 = 0;
pub const GSO_TCPV4: u8 = 1;
const GSO_UDP: u8 = 3;
pub const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// {u8 flags, u8 gso_type, le16 hdr_len, le16 gso_size, le16 csum_start, le16 csum_offset, le16 num_buffers}
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub flags: u8,
    pub gso_type: u8,
    pub hdr_len: u16,
    pub gso_size: u16,
    pub csum_start: u16,
    pub csum_offset: u16,
}

impl Header {
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Header {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Header {
            flags: bytes[0],
            gso_type: bytes[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    /// The header as sent on the wire, without fields that a driver does not set.
    pub fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        for (at, word) in [(2, self.hdr_len), (4, self.gso_size), (6, self.csum_start), (8, self.csum_offset)]
        {
            bytes[at..at + 2].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Validates the header that a driver with these features sent for a frame of `len` bytes, and clears the fields
    /// that do not apply. None if it requests something that was not negotiated or that does not fit the frame
    /// (§5.1.6.2.1).
    pub fn checked(self, features: u64, len: usize) -> Option<Header> {
        let mut header = Header { flags: self.flags & NEEDS_CSUM, ..self };
        if header.needs_checksum() {
            let end = usize::from(header.csum_start) + usize::from(header.csum_offset) + 2;
            if features & feature::CSUM == 0 || end > len {
                return None;
            }
        } else {
            (header.csum_start, header.csum_offset) = (0, 0);
        }
        if header.gso() == GSO_NONE {
            return Some(Header { gso_type: GSO_NONE, gso_size: 0, hdr_len: 0, ..header });
        }
        let wanted = match header.gso() {
            GSO_TCPV4 => feature::HOST_TSO4,
            GSO_TCPV6 => feature::HOST_TSO6,
            GSO_UDP => feature::HOST_UFO,
            GSO_UDP_L4 => feature::HOST_USO,
            _ => return None,
        };
        let ecn = header.gso_type & GSO_ECN == 0 || features & feature::HOST_ECN != 0;
        let checksum = header.needs_checksum() || header.gso() == GSO_UDP;
        let allowed = features & wanted != 0 && ecn && checksum && header.gso_size > 0;
        allowed.then_some(header)
    }

    pub fn needs_checksum(&self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }

    pub fn gso(&self) -> u8 {
        self.gso_type & !GSO_ECN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = feature::CSUM | feature::HOST_TSO4 | feature::HOST_TSO6 | feature::HOST_ECN;

    #[test]
    fn a_header_is_passed_on_as_far_as_it_is_valid() {
        let header = Header::parse(&[0xff, 0, 9, 9, 9, 9, 34, 0, 6, 0, 7, 7]);
        let checked = header.checked(ALL, 60).unwrap();
        assert_eq!(checked.bytes(), [1, 0, 0, 0, 0, 0, 34, 0, 6, 0, 0, 0]);
        let plain = Header { flags: 0xfe, csum_start: 999, gso_size: 5, ..Header::default() };
        assert_eq!(plain.checked(ALL, 60).unwrap(), Header::default());
    }

    #[test]
    fn rejects_what_was_not_negotiated_or_does_not_fit() {
        let checksum = Header { flags: NEEDS_CSUM, csum_start: 34, csum_offset: 16, ..Header::default() };
        assert!(checksum.checked(ALL, 52).is_some());
        assert!(checksum.checked(ALL, 51).is_none());
        assert!(checksum.checked(0, 52).is_none());
        let most = Header { csum_start: u16::MAX, csum_offset: u16::MAX, ..checksum };
        assert!(most.checked(ALL, 65_550).is_none());

        let segments = Header { gso_type: GSO_TCPV4, gso_size: 1448, ..checksum };
        assert!(segments.checked(ALL, 9000).is_some());
        assert!(segments.checked(ALL & !feature::HOST_TSO4, 9000).is_none());
        assert!(Header { gso_size: 0, ..segments }.checked(ALL, 9000).is_none());
        assert!(Header { flags: 0, ..segments }.checked(ALL, 9000).is_none());
        for other in [2, GSO_UDP, GSO_UDP_L4, 6, 0x7f] {
            assert!(Header { gso_type: other, ..segments }.checked(ALL, 9000).is_none());
        }
        let marked = Header { gso_type: GSO_TCPV6 | GSO_ECN, ..segments };
        assert!(marked.checked(ALL, 9000).is_some());
        assert!(marked.checked(ALL & !feature::HOST_ECN, 9000).is_none());
    }
}
