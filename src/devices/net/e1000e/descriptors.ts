import type { BusMaster } from '../../pci/bus-master.ts';
import {
  bufferSize,
  copyToBuffer,
  type DescriptorFormat,
  LegacyFormat,
  type ReceivedFrame,
  statusOf,
} from '../gigabit/descriptors.ts';
import { findIp, type IpPacket, PROTOCOL } from '../ip-offload.ts';
import { RCTL, REG, RFCTL, RXCSUM } from './registers.ts';

/** Where extended and packet split descriptors have what the card writes (§7.1.4, §7.1.5). */
const WRITTEN = { multiqueue: 0, hash: 4, status: 8, length: 12, header: 16 } as const;
/** Of a packet split descriptor. */
const BUFFERS = 4;
const POINTER_BYTES = 8;
/** Header status: the header has been split off; its length is in the low bits. */
const HDRSP = 1 << 15;
const HEADER_LENGTH = 0x3ff;

/** Buffer sizes in PSRCTL: the shift of each field, its bits, and its unit. */
const SPLIT_SIZES = [
  [0, 0x7f, 128],
  [8, 0x3f, 1024],
  [16, 0x3f, 1024],
  [24, 0x3f, 1024],
] as const;

const UDP_HEADER = 8;
const TCP_DATA_OFFSET = 12;

/** The formats of receive descriptors; the registers select one (§7.1.3-5). */
export function receiveFormats(words: Uint32Array): () => DescriptorFormat {
  const legacy = new LegacyFormat(() => flexibleSize(words[REG.RCTL]!));
  const extended = new ExtendedFormat(words);
  const split = new PacketSplitFormat(words);
  return () => {
    if ((words[REG.RFCTL]! & RFCTL.EXSTEN) === 0) return legacy;
    return (words[REG.RCTL]! & RCTL.DTYP_SPLIT) === 0 ? extended : split;
  };
}

/** The buffer size of FLXBUF, in KiB, or else of BSIZE and BSEX. */
function flexibleSize(control: number): number {
  const flexible = (control >>> RCTL.flexShift) & 0xf;
  return flexible > 0 ? 1024 * flexible : bufferSize(control);
}

/** Extended descriptors (§7.1.4). */
class ExtendedFormat implements DescriptorFormat {
  readonly units = 1;
  readonly #words: Uint32Array;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  room(): number {
    return flexibleSize(this.#words[REG.RCTL]!);
  }

  write(memory: BusMaster, descriptor: number, frame: ReceivedFrame, at: number, length: number): boolean {
    const isReached = copyToBuffer(memory, descriptor, frame.bytes.subarray(at, at + length));
    writeBack(memory, descriptor, frame, length, at + length, this.#words);
    return isReached;
  }
}

/**
 * Packet split descriptors (§7.1.5): the headers of a packet go to the first buffer, and the rest to the others. If
 * that cannot be, it fills them in order.
 */
class PacketSplitFormat implements DescriptorFormat {
  readonly units = 2;
  readonly #words: Uint32Array;
  readonly #sizes = new Uint32Array(BUFFERS);
  /** The frame that the following are for. */
  #frame: ReceivedFrame | null = null;
  #headers = 0;
  #splits = false;

  constructor(words: Uint32Array) {
    this.#words = words;
  }

  room(frame: ReceivedFrame, at: number): number {
    this.#look(frame);
    const [first, second, third, fourth] = this.#sizes as unknown as [number, number, number, number];
    const others = second + third + fourth;
    if (!this.#splits) return first + others;
    return at === 0 ? this.#headers + others : others;
  }

  write(memory: BusMaster, descriptor: number, frame: ReceivedFrame, at: number, length: number): boolean {
    this.#look(frame);
    const lengths = [0, 0, 0, 0];
    const end = at + length;
    let isReached = true;
    let from = at;
    for (let buffer = 0; buffer < BUFFERS; buffer++) {
      const part = Math.min(end - from, this.#sizeOf(buffer, at));
      const bytes = frame.bytes.subarray(from, from + part);
      if (!copyToBuffer(memory, descriptor + POINTER_BYTES * buffer, bytes)) isReached = false;
      lengths[buffer] = part;
      from += part;
    }
    const [first, second, third, fourth] = lengths as [number, number, number, number];
    const header = (this.#splits ? HDRSP : 0) | Math.min(this.#headers, HEADER_LENGTH);
    memory.writeU32(descriptor + WRITTEN.header, ((second << 16) | header) >>> 0);
    memory.writeU32(descriptor + WRITTEN.header + 4, ((fourth << 16) | third) >>> 0);
    writeBack(memory, descriptor, frame, first, end, this.#words);
    return isReached;
  }

  /** The bytes that a buffer takes in the descriptor that starts at offset `at` of the frame. */
  #sizeOf(buffer: number, at: number): number {
    if (buffer > 0 || !this.#splits) return this.#sizes[buffer]!;
    return at === 0 ? this.#headers : 0;
  }

  #look(frame: ReceivedFrame): void {
    if (frame === this.#frame) return;
    this.#frame = frame;
    const control = this.#words[REG.PSRCTL]!;
    for (const [buffer, [shift, mask, unit]] of SPLIT_SIZES.entries())
      this.#sizes[buffer] = unit * ((control >>> shift) & mask);
    const { bytes } = frame;
    const packet = findIp(bytes);
    this.#headers = packet === null ? 0 : headersOf(bytes, packet);
    this.#splits = this.#headers > 0 && this.#headers <= this.#sizes[0]! && this.#headers < bytes.length;
  }
}

/** The length of a packet's headers, up to that of TCP or UDP. */
function headersOf(bytes: Uint8Array, { transport, end, protocol }: IpPacket): number {
  if (protocol === PROTOCOL.udp && transport + UDP_HEADER <= end) return transport + UDP_HEADER;
  if (protocol !== PROTOCOL.tcp || transport + TCP_DATA_OFFSET >= end) return transport;
  const headers = transport + 4 * (bytes[transport + TCP_DATA_OFFSET]! >> 4);
  return headers <= end ? headers : transport;
}

/** Marks a descriptor as done. @param end the offset in the frame behind its bytes */
function writeBack(
  memory: BusMaster,
  descriptor: number,
  frame: ReceivedFrame,
  length: number,
  end: number,
  words: Uint32Array,
): void {
  const { hashType, hash, queue, tag } = frame;
  const withHash = (words[REG.RXCSUM]! & RXCSUM.PCSD) !== 0;
  memory.writeU32(descriptor + WRITTEN.multiqueue, withHash ? hashType | (queue << 8) : 0);
  // Without PCSD, these are an IP identification and a checksum; its status says that both are invalid.
  memory.writeU32(descriptor + WRITTEN.hash, withHash ? hash : 0);
  memory.writeU32(descriptor + WRITTEN.length, ((tag << 16) | length) >>> 0);
  memory.writeU32(descriptor + WRITTEN.status, statusOf(frame, end));
}
