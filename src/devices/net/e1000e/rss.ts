import type { ReceivedFrame } from '../gigabit/descriptors.ts';
import { findIp, PROTOCOL } from '../ip-offload.ts';
import { MRQC, REG } from './registers.ts';

/** Types of hashes, as in descriptors (§7.1.4). */
const TYPE = { tcpIpv4: 1, ipv4: 2, tcpIpv6: 3, ipv6Ex: 4, ipv6: 5 } as const;

/** Addresses in the headers of IPv4 and IPv6. */
const ADDRESSES = { 4: { at: 12, bytes: 8 }, 6: { at: 8, bytes: 32 } } as const;
const PORT_BYTES = 4;
const KEY_BYTES = 40;
const TABLE_ENTRIES = 128;

/** Distributes received frames over the queues (§7.1.11): a hash of addresses and ports selects an entry of RETA. */
export class ReceiveSideScaling {
  readonly #words: Uint32Array;
  readonly #key: Uint8Array;
  readonly #table: Uint8Array;

  constructor(words: Uint32Array) {
    this.#words = words;
    this.#key = new Uint8Array(words.buffer, words.byteOffset + 4 * REG.RSSRK, KEY_BYTES);
    this.#table = new Uint8Array(words.buffer, words.byteOffset + 4 * REG.RETA, TABLE_ENTRIES);
  }

  /** Hashes a frame and sets its queue, if the driver has enabled that. */
  direct(frame: ReceivedFrame): void {
    const control = this.#words[REG.MRQC]!;
    if ((control & MRQC.enableMask) !== MRQC.RSS) return;
    const { bytes } = frame;
    const packet = findIp(bytes);
    if (packet === null) return;
    const { version, ip, transport, end, protocol } = packet;
    const isTcp = protocol === PROTOCOL.tcp && end >= transport + PORT_BYTES;
    const type = typeOf(version, isTcp, control);
    if (type === 0) return;
    const { at, bytes: count } = ADDRESSES[version];
    const input = new Uint8Array(count + (withPorts(type) ? PORT_BYTES : 0));
    input.set(bytes.subarray(ip + at, ip + at + count));
    if (withPorts(type)) input.set(bytes.subarray(transport, transport + PORT_BYTES), count);
    frame.hashType = type;
    frame.hash = toeplitz(this.#key, input);
    frame.queue = this.#table[frame.hash % TABLE_ENTRIES]! >> 7;
  }
}

function typeOf(version: 4 | 6, isTcp: boolean, control: number): number {
  const has = (bit: number) => (control & bit) !== 0;
  if (version === 4) return isTcp && has(MRQC.TCP_IPV4) ? TYPE.tcpIpv4 : has(MRQC.IPV4) ? TYPE.ipv4 : 0;
  if (isTcp && has(MRQC.TCP_IPV6)) return TYPE.tcpIpv6;
  if (has(MRQC.IPV6_EX)) return TYPE.ipv6Ex;
  return has(MRQC.IPV6) ? TYPE.ipv6 : 0;
}

function withPorts(type: number): boolean {
  return type === TYPE.tcpIpv4 || type === TYPE.tcpIpv6;
}

/** The Toeplitz hash. @param key four bytes longer than the input, at least */
export function toeplitz(key: Uint8Array, input: Uint8Array): number {
  let window = (key[0]! << 24) | (key[1]! << 16) | (key[2]! << 8) | key[3]!;
  let hash = 0;
  for (let at = 0; at < input.length; at++) {
    const [byte, next] = [input[at]!, key[at + 4]!];
    for (let bit = 7; bit >= 0; bit--) {
      if (((byte >> bit) & 1) !== 0) hash ^= window;
      window = (window << 1) | ((next >> bit) & 1);
    }
  }
  return hash >>> 0;
}
