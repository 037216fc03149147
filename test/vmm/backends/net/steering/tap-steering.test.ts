import { existsSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RSS_HASH, RSS_HASHES } from '../../../../../src/devices/backends/net.ts';
import { openWire } from '../../../../../src/engine/networks/open-wire.ts';
import { BpfCode } from '../../../../../src/vmm/backends/net/steering/bpf-code.ts';
import {
  HASH_BYTES,
  STEERING_TABLE,
  writeSteering,
} from '../../../../../src/vmm/backends/net/steering/steering-table.ts';
import { TapSteering } from '../../../../../src/vmm/backends/net/steering/tap-steering.ts';
import { type Wire, wireFds } from '../../../../../src/vmm/backends/net/wire.ts';
import * as libc from '../../../../../src/vmm/native/libc.ts';
import { enterOwnNetwork, ip } from '../../../../support/own-network.ts';

/** Microsoft's "Verifying the RSS Hash Calculation": its key, and hashes of addresses, and of addresses and ports. */
const KEY = Uint8Array.from(
  Buffer.from('6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa', 'hex'),
);
const IPV4 = [
  { from: '66.9.149.187', to: '161.142.100.80', ports: [2794, 1766], addresses: 0x323e8fc2, all: 0x51ccc178 },
  { from: '199.92.111.2', to: '65.69.140.83', ports: [14230, 4739], addresses: 0xd718262a, all: 0xc626b0ea },
  {
    from: '24.19.198.95',
    to: '12.22.207.184',
    ports: [12898, 38024],
    addresses: 0xd2d0a5de,
    all: 0x5c2b394a,
  },
  { from: '38.27.205.30', to: '209.142.163.6', ports: [48228, 2217], addresses: 0x82989176, all: 0xafc7327f },
  {
    from: '153.39.163.191',
    to: '202.188.127.2',
    ports: [44251, 1303],
    addresses: 0x5d1809c5,
    all: 0x10e828a2,
  },
] as const;
const IPV6 = [
  {
    ...{ from: [0x3ffe, 0x2501, 0x200, 0x1fff, 0, 0, 0, 7], to: [0x3ffe, 0x2501, 0x200, 3, 0, 0, 0, 1] },
    ...{ ports: [2794, 1766], addresses: 0x2cc18cd5, all: 0x40207d3d },
  },
  {
    ...{ from: [0x3ffe, 0x501, 8, 0, 0x260, 0x97ff, 0xfe40, 0xefab], to: [0xff02, 0, 0, 0, 0, 0, 0, 1] },
    ...{ ports: [14230, 4739], addresses: 0x0f0c461c, all: 0xdde51bbf },
  },
  {
    ...{
      from: [0x3ffe, 0x1900, 0x4545, 3, 0x200, 0xf8ff, 0xfe21, 0x67cf],
      to: [0xfe80, 0, 0, 0, 0x200, 0xf8ff, 0xfe21, 0x67cf],
    },
    ...{ ports: [44251, 38024], addresses: 0x4b61e985, all: 0x02d1feef },
  },
] as const;

const SENDER = [2, 0, 0, 0, 0, 9];
const HEADER_BYTES = 12;
const TCP = 6;
const UDP = 17;
const ICMP = 1;

const be16 = (value: number) => [value >> 8, value & 0xff];

function frame(type: number, payload: readonly number[], tags: readonly number[] = []): Uint8Array {
  const tagged = tags.flatMap(tag => [...be16(tag), ...be16(5)]);
  return Uint8Array.from([...Array(6).fill(0xff), ...SENDER, ...tagged, ...be16(type), ...payload]);
}

type Four = { readonly from: string; readonly to: string; readonly ports: readonly number[] };

function ipv4({ from, to, ports }: Four, protocol: number, { fragment = 0, options = 0 } = {}): number[] {
  const address = (text: string) => text.split('.').map(Number);
  const head = [0x45 + options, 0, ...be16(28 + 4 * options), 0, 1, ...be16(fragment), 64, protocol, 0, 0];
  return [
    ...head,
    ...address(from),
    ...address(to),
    ...Array(4 * options).fill(1),
    ...ports.flatMap(be16),
    0,
    0,
    0,
    0,
  ];
}

type Six = {
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly ports: readonly number[];
};

function ipv6(
  { from, to, ports }: Six,
  protocol: number,
  extensions: readonly (readonly number[])[] = [],
): number[] {
  const types = [...extensions.map(([type]) => type!), protocol];
  const chain = extensions.flatMap(([, length = 0], index) => [
    types[index + 1]!,
    length,
    ...Array(6 + 8 * length).fill(0),
  ]);
  const payload = [...chain, ...ports.flatMap(be16), 0, 0, 0, 0];
  return [
    0x60,
    0,
    0,
    0,
    ...be16(payload.length),
    types[0]!,
    64,
    ...from.flatMap(be16),
    ...to.flatMap(be16),
    ...payload,
  ];
}

describe('a steering table', () => {
  test('has the contribution of each byte to a Toeplitz hash', () => {
    const table = new ArrayBuffer(STEERING_TABLE.bytes);
    writeSteering(table, { hashTypes: RSS_HASHES, key: KEY, queues: [0], unclassified: 0 });
    const view = new DataView(table);
    const hash = (bytes: readonly number[]) =>
      bytes.reduce(
        (sum, byte, at) =>
          (sum ^ view.getUint32(STEERING_TABLE.hashes + at * HASH_BYTES + 4 * byte, true)) >>> 0,
        0,
      );
    for (const flow of IPV4) {
      const input = [...flow.from.split('.').map(Number), ...flow.to.split('.').map(Number)];
      expect(hash(input)).toBe(flow.addresses);
      expect(hash([...input, ...flow.ports.flatMap(be16)])).toBe(flow.all);
    }
    for (const flow of IPV6) {
      const input = [...flow.from, ...flow.to].flatMap(be16);
      expect(hash(input)).toBe(flow.addresses);
      expect(hash([...input, ...flow.ports.flatMap(be16)])).toBe(flow.all);
    }
  });
});

test('a program with an invalid jump is rejected', () => {
  const code = new BpfCode();
  code.jump('nowhere');
  expect(() => code.bytes()).toThrow('no label "nowhere"');
});

describe('a TAP interface with several queues', () => {
  const QUEUES = 4;
  const UNCLASSIFIED = 3;
  let card: Wire;
  let sender: Wire;
  let steering: TapSteering;

  beforeAll(async () => {
    enterOwnNetwork();
    // It would drop frames that are cut short, and those without checksums.
    for (const call of ['iptables', 'ip6tables']) {
      const setting = `/proc/sys/net/bridge/bridge-nf-call-${call}`;
      if (existsSync(setting)) writeFileSync(setting, '0');
    }
    ip('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
    ip('link', 'set', 'br0', 'up');
    const user = { vm: 'web', device: 'net0', mac: null, header: true, vhost: false, strictly: false };
    card = await openWire({ type: 'tap', br: 'br0' }, { ...user, queuePairs: QUEUES });
    sender = await openWire({ type: 'tap', br: 'br0' }, { ...user, queuePairs: 1 });
    steering = new TapSteering(card.fds[0]!, card.steering!);
  });

  afterAll(() => {
    steering.close();
    for (const fd of [card, sender].flatMap(wireFds)) libc.close(fd);
  });

  /** Sends a frame through the bridge. @returns the queue that it came out of */
  function queueOf(sent: Uint8Array): number {
    libc.tryWrite(sender.fds[0]!, Uint8Array.from([...Array(HEADER_BYTES).fill(0), ...sent]));
    const buffer = new Uint8Array(2048);
    const found = card.fds.flatMap((fd, queue) => {
      const lengths: number[] = [];
      for (let length = libc.tryRead(fd, buffer); length > 0; length = libc.tryRead(fd, buffer)) {
        const isOurs = SENDER.every((byte, at) => buffer[HEADER_BYTES + 6 + at] === byte);
        if (isOurs) lengths.push(length);
      }
      return lengths.map(() => queue);
    });
    expect(found).toHaveLength(1);
    return found[0]!;
  }

  /** The low 7 bits of a frame's hash, one after the other; null: it has none. */
  function hashOf(sent: Uint8Array, hashTypes = RSS_HASHES): number | null {
    let hash = 0;
    for (let bit = 0; bit < 7; bit++) {
      const queues = Array.from({ length: 128 }, (_, low) => 1 + ((low >> bit) & 1));
      expect(steering.set({ hashTypes, key: KEY, queues, unclassified: UNCLASSIFIED })).toBe(true);
      const queue = queueOf(sent);
      if (queue === UNCLASSIFIED) return null;
      hash |= (queue - 1) << bit;
    }
    return hash;
  }

  const low = (hash: number) => hash & 0x7f;

  test.each(IPV4)('spreads IPv4 from $from by addresses and ports', flow => {
    expect(hashOf(frame(0x0800, ipv4(flow, TCP)))).toBe(low(flow.all));
    expect(hashOf(frame(0x0800, ipv4(flow, UDP)))).toBe(low(flow.all));
    expect(hashOf(frame(0x0800, ipv4(flow, ICMP)))).toBe(low(flow.addresses));
    expect(hashOf(frame(0x0800, ipv4(flow, TCP)), RSS_HASH.ipv4)).toBe(low(flow.addresses));
    expect(hashOf(frame(0x0800, ipv4(flow, UDP)), RSS_HASH.ipv4 | RSS_HASH.tcp4)).toBe(low(flow.addresses));
    expect(hashOf(frame(0x0800, ipv4(flow, UDP)), RSS_HASH.tcp4 | RSS_HASH.ipv6)).toBeNull();
  });

  test.each(IPV6)('spreads IPv6 from $from by addresses and ports', flow => {
    expect(hashOf(frame(0x86dd, ipv6(flow, TCP)))).toBe(low(flow.all));
    expect(hashOf(frame(0x86dd, ipv6(flow, UDP)))).toBe(low(flow.all));
    expect(hashOf(frame(0x86dd, ipv6(flow, ICMP)))).toBe(low(flow.addresses));
    expect(hashOf(frame(0x86dd, ipv6(flow, TCP)), RSS_HASH.ipv6 | RSS_HASH.udp6)).toBe(low(flow.addresses));
    expect(hashOf(frame(0x86dd, ipv6(flow, UDP)), RSS_HASH.tcp6 | RSS_HASH.ipv4)).toBeNull();
  });

  test('finds ports after options, extension headers and VLAN tags, and ignores those of fragments', () => {
    const [four] = IPV4;
    const [six] = IPV6;
    expect(hashOf(frame(0x0800, ipv4(four, TCP, { options: 10 })))).toBe(low(four.all));
    expect(hashOf(frame(0x0800, ipv4(four, TCP), [0x8100]))).toBe(low(four.all));
    expect(hashOf(frame(0x86dd, ipv6(six, UDP), [0x88a8, 0x8100]))).toBe(low(six.all));
    expect(hashOf(frame(0x86dd, ipv6(six, TCP, [[0], [43, 2], [60]])))).toBe(low(six.all));
    // Don't fragment, which is no fragment; the first of several; the last.
    expect(hashOf(frame(0x0800, ipv4(four, UDP, { fragment: 0x4000 })))).toBe(low(four.all));
    expect(hashOf(frame(0x0800, ipv4(four, UDP, { fragment: 0x2000 })))).toBe(low(four.addresses));
    expect(hashOf(frame(0x0800, ipv4(four, UDP, { fragment: 185 })))).toBe(low(four.addresses));
    expect(hashOf(frame(0x86dd, ipv6(six, TCP, [[44]])))).toBe(low(six.addresses));
  });

  test('has a queue for frames without a hash, and truncated ones', () => {
    const [four] = IPV4;
    const [six] = IPV6;
    expect(hashOf(frame(0x0806, Array(46).fill(0)))).toBeNull();
    expect(hashOf(frame(0x86dd, ipv6(six, TCP).slice(0, 39)))).toBeNull();
    expect(hashOf(frame(0x0800, ipv4(four, TCP).slice(0, 22)))).toBe(low(four.addresses));
    expect(hashOf(frame(0x86dd, ipv6(six, TCP, [[0, 255]]).slice(0, 60)))).toBe(low(six.addresses));
  });

  test('is spread by the kernel again when the driver turns RSS off', () => {
    const flow = frame(0x0800, ipv4(IPV4[0], TCP));
    steering.set({ hashTypes: 0, key: KEY, queues: [0], unclassified: 2 });
    expect(queueOf(flow)).toBe(2);
    steering.set(null);
    // One flow after the other: the kernel does not send them all to queue 2.
    const queues = IPV4.map(each => queueOf(frame(0x0800, ipv4(each, TCP))));
    expect(queues.some(queue => queue !== 2)).toBe(true);
  });
});
