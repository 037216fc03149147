import { ADDRESS_BYTES, HEADER_BYTES, VLAN_BYTES, VLAN_TYPE } from './ethernet.ts';
import { read16, read32, write16, write32 } from './network-order.ts';

/** IP offloads that cards do for their guests: checksums (RFC 1071) and TCP segmentation. */

const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd } as const;
export const PROTOCOL = { tcp: 6, udp: 17 } as const;

/** Offsets in the headers of IPv4 (RFC 791 §3.1), IPv6 (RFC 8200 §3), TCP and UDP (RFC 9293 §3.1, RFC 768). */
const IPV4 = {
  totalLength: 2,
  id: 4,
  fragment: 6,
  protocol: 9,
  checksum: 10,
  addresses: 12,
  least: 20,
} as const;
const IPV4_FRAGMENT = 0x3fff;
const IPV6 = { payloadLength: 4, nextHeader: 6, addresses: 8, length: 40 } as const;
const TCP = { sequence: 4, dataOffset: 12, flags: 13, checksum: 16, least: 20 } as const;
const UDP = { checksum: 6, least: 8 } as const;
/** Flags that only the last segment has. */
const TCP_FIN_PSH = 0x09;

/** Less than any TCP announces (RFC 9293 §3.7.1 has 536 as the default); limits the number of segments of a packet. */
const LEAST_SEGMENT = 48;

/** The offsets of a packet's parts in its frame. */
export type IpPacket = {
  readonly version: 4 | 6;
  /** Offsets of the IP header, of what follows it, and of the packet's end, which padding may follow. */
  readonly ip: number;
  readonly transport: number;
  readonly end: number;
  /** The transport protocol; null for a fragment, or for an unsupported protocol. */
  readonly protocol: number | null;
};

/**
 * The IP packet in a frame; null if there is none, or if its header is damaged. IPv6 extension headers are not skipped.
 */
export function findIp(frame: Uint8Array): IpPacket | null {
  let ip = HEADER_BYTES;
  if (frame.length < ip) return null;
  let type = read16(frame, 2 * ADDRESS_BYTES);
  if (type === VLAN_TYPE) {
    ip += VLAN_BYTES;
    if (frame.length < ip) return null;
    type = read16(frame, ip - 2);
  }
  if (type === ETHERTYPE.ipv4) return findIpv4(frame, ip);
  return type === ETHERTYPE.ipv6 ? findIpv6(frame, ip) : null;
}

function findIpv4(frame: Uint8Array, ip: number): IpPacket | null {
  if (frame.length < ip + IPV4.least || frame[ip]! >> 4 !== 4) return null;
  const transport = ip + 4 * (frame[ip]! & 0xf);
  const end = ip + read16(frame, ip + IPV4.totalLength);
  if (transport < ip + IPV4.least || end < transport || end > frame.length) return null;
  const isFragment = (read16(frame, ip + IPV4.fragment) & IPV4_FRAGMENT) !== 0;
  return { version: 4, ip, transport, end, protocol: isFragment ? null : frame[ip + IPV4.protocol]! };
}

function findIpv6(frame: Uint8Array, ip: number): IpPacket | null {
  const transport = ip + IPV6.length;
  if (frame.length < transport || frame[ip]! >> 4 !== 6) return null;
  const end = transport + read16(frame, ip + IPV6.payloadLength);
  if (end > frame.length) return null;
  return { version: 6, ip, transport, end, protocol: frame[ip + IPV6.nextHeader]! };
}

/** The sum of the 16-bit words of [start, end), where a final odd byte is a high half. Not folded: see `folded`. */
export function sumOf(bytes: Uint8Array, start: number, end: number, initial = 0): number {
  let sum = initial;
  let at = start;
  for (; at + 1 < end; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!;
  return at < end ? sum + (bytes[at]! << 8) : sum;
}

/** Folds a sum to 16 bits in one's complement. @param sum less than 2^48 */
export function folded(sum: number): number {
  let value = sum;
  while (value > 0xffff) value = Math.floor(value / 0x1_0000) + (value % 0x1_0000);
  return value;
}

/** Fills in the checksum of an IPv4 header. */
export function setHeaderChecksum(frame: Uint8Array, { version, ip, transport }: IpPacket): void {
  if (version !== 4) return;
  write16(frame, ip + IPV4.checksum, 0);
  write16(frame, ip + IPV4.checksum, ~folded(sumOf(frame, ip, transport)) & 0xffff);
}

/** Fills in the checksum of TCP or UDP. @returns false if the packet has none */
export function setTransportChecksum(frame: Uint8Array, packet: IpPacket): boolean {
  const at = checksumAt(packet);
  if (at === null) return false;
  write16(frame, at, 0);
  const checksum = ~transportSum(frame, packet) & 0xffff;
  // In UDP, zero means that there is no checksum.
  write16(frame, at, checksum === 0 && packet.protocol === PROTOCOL.udp ? 0xffff : checksum);
  return true;
}

/** Whether the checksum of an IPv4 header is valid. */
export function isHeaderRight(frame: Uint8Array, { version, ip, transport }: IpPacket): boolean {
  return version !== 4 || folded(sumOf(frame, ip, transport)) === 0xffff;
}

/** Whether the checksum of TCP or UDP is valid, or absent, as UDP allows. */
export function isTransportRight(frame: Uint8Array, packet: IpPacket): boolean {
  const at = checksumAt(packet);
  if (at === null) return false;
  if (packet.protocol === PROTOCOL.udp && packet.version === 4 && read16(frame, at) === 0) return true;
  return transportSum(frame, packet) === 0xffff;
}

/**
 * Divides a frame with a TCP segment into frames with at most `mss` bytes of data each, and computes their checksums.
 * What `emit` gets is valid during the call. @param scratch room for one of them @returns false if the frame has no TCP
 * segment that can be divided like this
 */
export function divideTcp(
  frame: Uint8Array,
  mss: number,
  scratch: Uint8Array,
  emit: (frame: Uint8Array) => void,
): boolean {
  const packet = findTcp(frame);
  if (packet === null || mss < LEAST_SEGMENT) return false;
  const { version, ip, transport, data } = packet;
  if (data + mss > scratch.length) return false;
  const sequence = read32(frame, transport + TCP.sequence);
  const id = read16(frame, ip + IPV4.id);
  const flags = frame[transport + TCP.flags]!;
  scratch.set(frame.subarray(0, data));
  for (let at = data, number = 0; number === 0 || at < frame.length; at += mss, number++) {
    const part = frame.subarray(at, at + mss);
    const end = data + part.length;
    scratch.set(part, data);
    if (version === 4) {
      write16(scratch, ip + IPV4.totalLength, end - ip);
      write16(scratch, ip + IPV4.id, (id + number) & 0xffff);
    } else write16(scratch, ip + IPV6.payloadLength, end - transport);
    write32(scratch, transport + TCP.sequence, (sequence + at - data) >>> 0);
    const isLast = at + mss >= frame.length;
    scratch[transport + TCP.flags] = isLast ? flags : flags & ~TCP_FIN_PSH;
    const segment: IpPacket = { version, ip, transport, end, protocol: PROTOCOL.tcp };
    setHeaderChecksum(scratch, segment);
    setTransportChecksum(scratch, segment);
    emit(scratch.subarray(0, end));
  }
  return true;
}

/** As `findIp`, but with any IP length: that of a segment to be divided need not fit in 16 bits. */
function findTcp(frame: Uint8Array) {
  let ip = HEADER_BYTES;
  if (frame.length < ip + VLAN_BYTES) return null;
  if (read16(frame, ip - 2) === VLAN_TYPE) ip += VLAN_BYTES;
  const type = read16(frame, ip - 2);
  if (frame.length < ip + IPV4.least) return null;
  const isIpv6 = type === ETHERTYPE.ipv6;
  if (!isIpv6 && type !== ETHERTYPE.ipv4) return null;
  const version = isIpv6 ? 6 : 4;
  const protocol = frame[ip + (isIpv6 ? IPV6.nextHeader : IPV4.protocol)];
  const headerBytes = isIpv6 ? IPV6.length : 4 * (frame[ip]! & 0xf);
  const transport = ip + headerBytes;
  if (frame[ip]! >> 4 !== version || headerBytes < IPV4.least || protocol !== PROTOCOL.tcp) return null;
  if (frame.length < transport + TCP.least) return null;
  const data = transport + 4 * (frame[transport + TCP.dataOffset]! >> 4);
  if (data < transport + TCP.least || data > frame.length) return null;
  return { version, ip, transport, data } as const;
}

function checksumAt({ protocol, transport, end }: IpPacket): number | null {
  if (protocol === PROTOCOL.tcp && end >= transport + TCP.least) return transport + TCP.checksum;
  if (protocol === PROTOCOL.udp && end >= transport + UDP.least) return transport + UDP.checksum;
  return null;
}

/** Includes the pseudo header. */
function transportSum(frame: Uint8Array, { version, ip, transport, end, protocol }: IpPacket): number {
  const [addresses, addressBytes] = version === 4 ? [IPV4.addresses, 8] : [IPV6.addresses, 32];
  const pseudo = sumOf(frame, ip + addresses, ip + addresses + addressBytes, protocol! + (end - transport));
  return folded(sumOf(frame, transport, end, pseudo));
}
