import { describe, expect, it } from 'vitest';
import {
  divideTcp,
  findIp,
  folded,
  isHeaderRight,
  isTransportRight,
  setHeaderChecksum,
  setTransportChecksum,
  sumOf,
} from '../../../src/devices/net/ip-offload.ts';
import { frameTo, ipFrame, ipSums, MAC_BYTES } from '../../support/nic-rig.ts';
import { Random } from '../../support/random.ts';

/** A TCP segment by IPv6 without a checksum. */
function ipv6Frame(payload: number): Uint8Array {
  const frame = new Uint8Array(14 + 40 + 20 + payload);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x86dd);
  view.setUint8(14, 0x60);
  view.setUint16(18, 20 + payload);
  view.setUint8(20, 6);
  for (let at = 22; at < 54; at++) frame[at] = at;
  view.setUint8(66, 0x50);
  frame.fill(0xa5, 74);
  return frame;
}

describe('checksums', () => {
  it('match the example of RFC 1071', () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(folded(sumOf(bytes, 0, 8))).toBe(0xddf2);
    expect(folded(sumOf(bytes, 0, 7))).toBe(0xddf2 - 0xf7);
  });

  it.each([
    ['tcp', 100],
    ['tcp', 33],
    ['udp', 0],
    ['udp', 1471],
  ] as const)('of %s with %i bytes are set, and verified', (protocol, payload) => {
    const frame = ipFrame(protocol, payload);
    const packet = findIp(frame)!;
    expect(isHeaderRight(frame, packet)).toBe(false);
    setHeaderChecksum(frame, packet);
    expect(setTransportChecksum(frame, packet)).toBe(true);
    expect(ipSums(frame)).toEqual({ header: 0xffff, transport: 0xffff });
    expect([isHeaderRight(frame, packet), isTransportRight(frame, packet)]).toEqual([true, true]);
    frame[frame.length - 1]! ^= 1;
    expect(isTransportRight(frame, packet)).toBe(false);
  });

  it('cover packets with a VLAN tag, and IPv6', () => {
    const plain = ipFrame('tcp', 10);
    const tagged = Uint8Array.of(...plain.subarray(0, 12), 0x81, 0, 0, 5, ...plain.subarray(12));
    expect(findIp(tagged)).toEqual({ version: 4, ip: 18, transport: 38, end: 68, protocol: 6 });
    const frame = ipv6Frame(11);
    const packet = findIp(frame)!;
    expect(packet).toEqual({ version: 6, ip: 14, transport: 54, end: 85, protocol: 6 });
    setTransportChecksum(frame, packet);
    expect(isTransportRight(frame, packet)).toBe(true);
  });
});

describe('an invalid packet', () => {
  it('is left alone', () => {
    const short = ipFrame('tcp', 0).subarray(0, 30);
    const long = ipFrame('udp', 4);
    long[17] = 0xff;
    const header = ipFrame('udp', 4);
    header[14] = 0x41;
    for (const frame of [frameTo(MAC_BYTES), short, long, header]) expect(findIp(frame)).toBe(null);
    const fragment = ipFrame('tcp', 8);
    fragment[21] = 1;
    const packet = findIp(fragment)!;
    expect([packet.protocol, setTransportChecksum(fragment, packet)]).toEqual([null, false]);
  });

  it('is parsed from garbage without harm', () => {
    const random = new Random(1);
    const scratch = new Uint8Array(2000);
    let found = 0;
    for (let round = 0; round < 20_000; round++) {
      const frame = ipFrame(random.pick(['tcp', 'udp']), random.below(100)).subarray(0, random.below(160));
      for (let changes = random.below(4); changes > 0; changes--)
        if (frame.length > 0) frame[random.below(frame.length)] = random.below(256);
      const packet = findIp(frame);
      if (packet !== null) {
        setHeaderChecksum(frame, packet);
        if (setTransportChecksum(frame, packet)) found++;
        isTransportRight(frame, packet);
      }
      divideTcp(frame, random.below(1500), scratch, each => expect(each.length).toBeLessThan(2000));
    }
    expect(found).toBeGreaterThan(1000);
  });
});

describe('segmentation', () => {
  it('of an IPv6 packet keeps the headers and all data', () => {
    const frame = ipv6Frame(3000);
    const parts: Uint8Array[] = [];
    expect(divideTcp(frame, 1000, new Uint8Array(2000), each => parts.push(each.slice()))).toBe(true);
    expect(parts.map(({ length }) => length)).toEqual([1074, 1074, 1074]);
    for (const part of parts) expect(isTransportRight(part, findIp(part)!)).toBe(true);
    expect(parts.map(part => new DataView(part.buffer).getUint32(58))).toEqual([0, 1000, 2000]);
    expect(parts[2]!.subarray(74)).toEqual(frame.subarray(2074));
  });

  it('rejects tiny segments, and packets that are too large', () => {
    const frame = ipFrame('tcp', 3000);
    const none = () => expect.unreachable();
    expect(divideTcp(frame, 47, new Uint8Array(2000), none)).toBe(false);
    expect(divideTcp(frame, 1460, new Uint8Array(1500), none)).toBe(false);
    expect(divideTcp(ipFrame('udp', 3000), 1460, new Uint8Array(2000), none)).toBe(false);
  });
});
