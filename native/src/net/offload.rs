//! Offloads that a driver leaves to the device, for a wire that cannot do them: completing checksums, and segmenting
//! what is larger than a frame (RFC 1071, RFC 791, RFC 8200, RFC 9293).

use super::header::{ETHERNET_BYTES, GSO_TCPV4, GSO_TCPV6, Header};

const VLAN_BYTES: usize = 4;
const VLAN: [u16; 2] = [0x8100, 0x88a8];
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const TCP_BYTES: usize = 20;
const TCP_PROTOCOL: u8 = 6;
/// The longest headers, which are repeated in each segment. Real drivers use a fraction of this; without a limit, a
/// guest could make the host copy 1 GiB for one frame.
const MAX_HEADERS: usize = 512;
/// TCP flags, in byte 13 of its header.
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Adds bytes to `sum`, the RFC 1071 sum of an even number of bytes before them.
fn add(mut sum: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    for word in &mut words {
        sum += u64::from(u16::from_be_bytes([word[0], word[1]]));
    }
    if let [last] = words.remainder() {
        sum += u64::from(*last) << 8;
    }
    sum
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Completes the checksum that a checked header requests: its field holds the sum of the pseudo-header.
pub fn complete_checksum(header: &Header, frame: &mut [u8]) {
    let (start, at) =
        (usize::from(header.csum_start), usize::from(header.csum_start) + usize::from(header.csum_offset));
    let Some(covered) = frame.get(start..) else { return };
    let sum = !fold(add(0, covered));
    // In UDP, zero means that there is no checksum; elsewhere it equals its complement.
    let sum = if sum == 0 { 0xffff } else { sum };
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Offsets of a TCP segment's headers in a frame.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    ip: usize,
    is_v6: bool,
    tcp: usize,
    payload: usize,
}

fn layout(header: &Header, frame: &[u8]) -> Option<Layout> {
    let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    let mut ip = ETHERNET_BYTES;
    let mut kind = word(ip - 2)?;
    while VLAN.contains(&kind) && ip < ETHERNET_BYTES + 2 * VLAN_BYTES {
        ip += VLAN_BYTES;
        kind = word(ip - 2)?;
    }
    let is_v6 = match (header.gso(), kind) {
        (GSO_TCPV4, IPV4) => false,
        (GSO_TCPV6, IPV6) => true,
        _ => return None,
    };
    let first = *frame.get(ip)?;
    // Extension headers may come between the IPv6 and TCP headers; the driver gave TCP's offset.
    let tcp = usize::from(header.csum_start);
    let matches = match is_v6 {
        false => {
            first >> 4 == 4
                && first & 15 >= 5
                && tcp == ip + usize::from(first & 15) * 4
                && frame.get(ip + 9) == Some(&TCP_PROTOCOL)
        }
        true => first >> 4 == 6 && tcp >= ip + IPV6_BYTES,
    };
    let payload = tcp + usize::from(*frame.get(tcp + 12)? >> 4) * 4;
    let fits = payload >= tcp + TCP_BYTES && payload < frame.len().min(MAX_HEADERS + 1);
    let matches = matches && header.csum_offset == 16;
    (matches && fits).then_some(Layout { ip, is_v6, tcp, payload })
}

/// Splits a TCP segment that is larger than a frame: calls `send` with each complete frame, until it returns false.
/// Returns false, with nothing sent, if the segment cannot be split.
pub fn segment(header: &Header, frame: &[u8], mut send: impl FnMut(&[u8]) -> bool) -> bool {
    let Some(Layout { ip, is_v6, tcp, payload }) = layout(header, frame) else { return false };
    let (headers, data) = frame.split_at(payload);
    let first_number = u32::from_be_bytes(*headers[tcp + 4..].first_chunk().expect("a TCP header"));
    let first_id = u16::from_be_bytes(*headers[ip + 4..].first_chunk().expect("an IP header"));
    let count = data.len().div_ceil(usize::from(header.gso_size));
    let mut out = Vec::with_capacity(payload + usize::from(header.gso_size));
    for (index, part) in data.chunks(header.gso_size.into()).enumerate() {
        out.clear();
        out.extend_from_slice(headers);
        out.extend_from_slice(part);
        let (is_first, is_last) = (index == 0, index + 1 == count);
        let after_ip = out.len() - ip;
        if is_v6 {
            let length = (after_ip - IPV6_BYTES) as u16;
            out[ip + 4..ip + 6].copy_from_slice(&length.to_be_bytes());
        } else {
            out[ip + 2..ip + 4].copy_from_slice(&(after_ip as u16).to_be_bytes());
            let id = first_id.wrapping_add(index as u16);
            out[ip + 4..ip + 6].copy_from_slice(&id.to_be_bytes());
            out[ip + 10..ip + 12].fill(0);
            let sum = !fold(add(0, &out[ip..tcp]));
            out[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        }
        let number = first_number.wrapping_add((index * usize::from(header.gso_size)) as u32);
        out[tcp + 4..tcp + 8].copy_from_slice(&number.to_be_bytes());
        if !is_last {
            out[tcp + 13] &= !(FIN | PSH);
        }
        if !is_first {
            out[tcp + 13] &= !CWR;
        }
        let pseudo = pseudo_header(&out, ip, is_v6, (out.len() - tcp) as u32);
        out[tcp + 16..tcp + 18].copy_from_slice(&pseudo.to_be_bytes());
        complete_checksum(header, &mut out);
        if !send(&out) {
            break;
        }
    }
    true
}

/// The sum over the addresses, protocol and length of a TCP segment.
fn pseudo_header(frame: &[u8], ip: usize, is_v6: bool, length: u32) -> u16 {
    let addresses = if is_v6 { &frame[ip + 8..ip + IPV6_BYTES] } else { &frame[ip + 12..ip + IPV4_BYTES] };
    let sum = add(u64::from(TCP_PROTOCOL), addresses);
    fold(add(sum, &length.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKSUM: u8 = 1;

    fn tcp_v4(payload: usize) -> (Header, Vec<u8>) {
        let mut frame = vec![2; 12];
        frame.extend(IPV4.to_be_bytes());
        frame.extend([0x45, 0, 0, 0, 0xff, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x30, 0x39, 0, 80, 0xff, 0xff, 0xff, 0, 0, 0, 0, 9, 0x50, 0x99, 1, 0, 0, 0, 0, 0]);
        frame.extend((0..payload).map(|byte| byte as u8));
        let header = Header {
            flags: CHECKSUM,
            gso_type: GSO_TCPV4,
            gso_size: 1000,
            csum_start: 34,
            csum_offset: 16,
            ..Header::default()
        };
        (header, frame)
    }

    fn tcp_v6(payload: usize) -> (Header, Vec<u8>) {
        let mut frame = vec![2; 12];
        frame.extend(IPV6.to_be_bytes());
        frame.extend([0x60, 0, 0, 0, 0, 0, 6, 64]);
        frame.extend([0xfd; 31]);
        frame.push(9);
        frame.extend([0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 9, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
        frame.extend((0..payload).map(|byte| byte as u8));
        let header = Header {
            flags: CHECKSUM,
            gso_type: GSO_TCPV6,
            gso_size: 1000,
            csum_start: 54,
            csum_offset: 16,
            ..Header::default()
        };
        (header, frame)
    }

    fn segments(header: &Header, frame: &[u8]) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        assert!(segment(header, frame, |part| {
            sent.push(part.to_vec());
            true
        }));
        sent
    }

    /// The sum over a segment and its pseudo-header, which is all ones if the checksum is right.
    fn tcp_sum(frame: &[u8], ip: usize, is_v6: bool, tcp: usize) -> u16 {
        let pseudo = pseudo_header(frame, ip, is_v6, (frame.len() - tcp) as u32);
        fold(add(pseudo.into(), &frame[tcp..]))
    }

    #[test]
    fn an_ipv4_segment_is_split_into_complete_frames() {
        let (header, frame) = tcp_v4(2500);
        let sent = segments(&header, &frame);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [1054, 1054, 554]);
        let whole: Vec<u8> = sent.iter().flat_map(|part| part[54..].to_vec()).collect();
        assert_eq!(whole, frame[54..]);
        for (index, part) in sent.iter().enumerate() {
            assert_eq!(u16::from_be_bytes([part[16], part[17]]) as usize, part.len() - 14);
            assert_eq!(u16::from_be_bytes([part[18], part[19]]), 0xffffu16.wrapping_add(index as u16));
            assert_eq!(fold(add(0, &part[14..34])), 0xffff);
            assert_eq!(tcp_sum(part, 14, false, 34), 0xffff);
            let number = u32::from_be_bytes(*part[38..].first_chunk().unwrap());
            assert_eq!(number, 0xffff_ff00u32.wrapping_add(1000 * index as u32));
        }
        // FIN and PSH belong to the last segment, CWR to the first.
        assert_eq!(sent.iter().map(|part| part[47]).collect::<Vec<_>>(), [0x90, 0x10, 0x19]);
    }

    #[test]
    fn an_ipv6_segment_is_split_even_after_vlan_tags() {
        let (mut header, mut frame) = tcp_v6(1001);
        let sent = segments(&header, &frame);
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [1074, 75]);
        for part in &sent {
            assert_eq!(u16::from_be_bytes([part[18], part[19]]) as usize, part.len() - 54);
            assert_eq!(tcp_sum(part, 14, true, 54), 0xffff);
        }
        frame.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
        header.csum_start += 4;
        let tagged = segments(&header, &frame);
        assert_eq!(tagged.iter().map(Vec::len).collect::<Vec<_>>(), [1078, 79]);
        assert_eq!(tcp_sum(&tagged[1], 18, true, 58), 0xffff);
    }

    #[test]
    fn a_segment_that_does_not_match_its_type_is_not_split() {
        let (header, frame) = tcp_v4(2500);
        let refused = |header: Header, frame: &[u8]| assert!(!segment(&header, frame, |_| unreachable!()));
        for len in 0..=54 {
            refused(header, &frame[..len]);
        }
        refused(Header { gso_type: GSO_TCPV6, ..header }, &frame);
        refused(Header { csum_start: 38, ..header }, &frame);
        refused(Header { csum_offset: 6, ..header }, &frame);
        for (at, value) in [(12, 9), (14, 0x44), (14, 0x65), (14, 0x4f), (23, 17), (46, 0x40)] {
            let mut other = frame.clone();
            other[at] = value;
            refused(header, &other);
        }
        let (header, frame) = tcp_v6(2000);
        refused(Header { csum_start: 53, ..header }, &frame);
        refused(Header { csum_start: u16::MAX, ..header }, &frame);
    }

    #[test]
    fn sending_stops_when_the_wire_is_full() {
        let (header, frame) = tcp_v4(5000);
        let mut calls = 0;
        assert!(segment(&header, &frame, |_| {
            calls += 1;
            calls < 2
        }));
        assert_eq!(calls, 2);
    }

    #[test]
    fn oversized_headers_are_not_repeated() {
        let (header, frame) = tcp_v6(2000);
        let with_options = |bytes: usize| {
            let mut longer = frame.clone();
            longer.splice(54..54, std::iter::repeat_n(0, bytes));
            (Header { csum_start: 54 + bytes as u16, ..header }, longer)
        };
        // The Ethernet, IPv6 and TCP headers take 74 bytes.
        let (header, frame) = with_options(MAX_HEADERS - 74);
        assert_eq!(segments(&header, &frame).len(), 2);
        let (header, frame) = with_options(MAX_HEADERS - 73);
        assert!(!segment(&header, &frame, |_| panic!("sent")));
    }

    #[test]
    fn a_checksum_covers_the_payload_and_is_never_zero() {
        let header = Header { flags: CHECKSUM, csum_start: 2, csum_offset: 2, ..Header::default() };
        let mut frame = [9, 9, 0x12, 0x34, 0, 0, 0x56];
        complete_checksum(&header, &mut frame);
        assert_eq!(&frame[4..6], (!(0x1234u16 + 0x5600)).to_be_bytes());
        let mut zero = [9, 9, 0xff, 0xff, 0, 0];
        complete_checksum(&header, &mut zero);
        assert_eq!(&zero[4..6], [0xff, 0xff]);
        complete_checksum(&header, &mut [1, 2, 3]);
    }
}
