import { folded, sumOf } from '../ip-offload.ts';
import { read16, read32, write16, write32 } from '../network-order.ts';

/**
 * The contents of a context descriptor, which apply to the packets that follow (§3.3.5): the offsets of their headers,
 * in bytes from the frame's start.
 */
export type Context = {
  /** IP checksum: start, offset of the field, and the last byte, 0 for the end of the packet. */
  readonly ipcss: number;
  readonly ipcso: number;
  readonly ipcse: number;
  /** The same for TCP or UDP. */
  readonly tucss: number;
  readonly tucso: number;
  readonly tucse: number;
  readonly paylen: number;
  readonly hdrlen: number;
  readonly mss: number;
  /** TUCMD: TCP rather than UDP; IPv4 rather than IPv6. */
  readonly tcp: boolean;
  readonly ip4: boolean;
};

/** TUCMD of a context. */
const TUCMD = { TCP: 1 << 24, IP: 1 << 25 } as const;
export const NO_CONTEXT: Context = {
  ...{ ipcss: 0, ipcso: 0, ipcse: 0, tucss: 0, tucso: 0, tucse: 0 },
  ...{ paylen: 0, hdrlen: 0, mss: 0, tcp: false, ip4: false },
};

/** The contents of a context descriptor. @param words its four words */
export function contextOf([ip, transport, command, last]: Uint32Array): Context {
  return {
    ipcss: ip! & 0xff,
    ipcso: (ip! >>> 8) & 0xff,
    ipcse: ip! >>> 16,
    tucss: transport! & 0xff,
    tucso: (transport! >>> 8) & 0xff,
    tucse: transport! >>> 16,
    paylen: command! & 0xf_ffff,
    hdrlen: (last! >>> 8) & 0xff,
    mss: last! >>> 16,
    tcp: (command! & TUCMD.TCP) !== 0,
    ip4: (command! & TUCMD.IP) !== 0,
  };
}

/** Which checksums are filled in. */
export type Checksums = { readonly ip: boolean; readonly transport: boolean };

const IPV4 = { totalLength: 2, identification: 4 } as const;
const IPV6 = { payloadLength: 4, headerBytes: 40 } as const;
const TCP = { sequence: 4, flags: 13 } as const;
const UDP_LENGTH = 4;
const FIN_PSH = 0x09;
/** A hostile segment size of a few bytes would split a packet into thousands of frames. */
const LEAST_SEGMENT = 64;

/** Fills in the checksums that a packet's descriptors ask for, except those outside the frame. */
export function fillChecksums(frame: Uint8Array, context: Context, { ip, transport }: Checksums): void {
  if (transport) fillChecksum(frame, context.tucss, context.tucso, context.tucse);
  if (ip) fillChecksum(frame, context.ipcss, context.ipcso, context.ipcse);
}

/** The checksum of [start, end]. The field holds what software has left there: a pseudo header's sum, or zero. */
export function fillChecksum(frame: Uint8Array, start: number, offset: number, last: number): void {
  const end = last === 0 || last >= frame.length ? frame.length : last + 1;
  if (offset + 2 > frame.length || start >= end) return;
  const sum = ~folded(sumOf(frame, start, end)) & 0xffff;
  // For UDP, zero would mean that there is no checksum.
  write16(frame, offset, sum === 0 ? 0xffff : sum);
}

/**
 * Segments a packet (§3.5): each segment has the updated headers, and `mss` bytes of data. What `emit` gets is valid
 * during the call.
 * @param segment room for one @returns false if the packet cannot be segmented like this
 */
export function divide(
  packet: Uint8Array,
  context: Context,
  checksums: Checksums,
  segment: Uint8Array,
  emit: (frame: Uint8Array, isLast: boolean) => void,
): boolean {
  const { hdrlen, mss, ipcss, tucss, tucso, tcp, ip4 } = context;
  if (mss < LEAST_SEGMENT || hdrlen + mss > segment.length || hdrlen > packet.length) return false;
  const transportEnd = tucss + (tcp ? TCP.flags + 1 : UDP_LENGTH + 2);
  const networkEnd = ipcss + (ip4 ? IPV4.identification : IPV6.payloadLength) + 2;
  if (Math.max(transportEnd, networkEnd, tucso + 2) > hdrlen) return false;
  segment.set(packet.subarray(0, hdrlen));
  const identification = read16(packet, ipcss + IPV4.identification);
  const sequence = read32(packet, tucss + TCP.sequence);
  const flags = packet[tucss + TCP.flags]!;
  for (let at = hdrlen, number = 0; number === 0 || at < packet.length; at += mss, number++) {
    const data = packet.subarray(at, at + mss);
    const isLast = at + mss >= packet.length;
    const length = hdrlen + data.length;
    // The headers again, since the previous segment has filled in its checksums.
    if (number > 0) segment.set(packet.subarray(0, hdrlen));
    segment.set(data, hdrlen);
    if (ip4) {
      write16(segment, ipcss + IPV4.totalLength, length - ipcss);
      write16(segment, ipcss + IPV4.identification, (identification + number) & 0xffff);
    } else write16(segment, ipcss + IPV6.payloadLength, Math.max(0, length - ipcss - IPV6.headerBytes));
    if (tcp) {
      write32(segment, tucss + TCP.sequence, (sequence + at - hdrlen) >>> 0);
      segment[tucss + TCP.flags] = isLast ? flags : flags & ~FIN_PSH;
    } else write16(segment, tucss + UDP_LENGTH, length - tucss);
    const frame = segment.subarray(0, length);
    if (checksums.transport) {
      // The pseudo header's sum excludes the length, which differs between segments.
      write16(frame, tucso, folded(read16(frame, tucso) + length - tucss));
    }
    fillChecksums(frame, context, checksums);
    emit(frame, isLast);
  }
  return true;
}
