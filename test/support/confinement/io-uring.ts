import * as libc from '../../../src/vmm/native/libc.ts';
import { addressOf, readBack, syscall } from './raw-syscall.ts';

/** Opcodes and offsets of linux/io_uring.h. */
const OP = { connect: 16, openat: 18, read: 22, socket: 45 } as const;
const OFFSET = { rings: 0, entries: 0x1000_0000 } as const;
const GETEVENTS = 1;
const PARAMS = 120;
const ENTRY = 64;
const CREDIT = { size: 4096 };

type Entry = {
  readonly fd?: number;
  readonly offset?: bigint;
  readonly address?: bigint;
  readonly length?: number;
};

/** A ring for one request at a time, using raw system calls. */
export class TinyRing {
  readonly #fd: number;
  readonly #rings: DataView;
  readonly #entries: DataView;
  readonly #sq: { readonly tail: number; readonly array: number };
  readonly #cq: { readonly head: number; readonly cqes: number };

  constructor() {
    const params = addressOf(new Uint8Array(PARAMS));
    this.#fd = syscall('io_uring_setup', 1, params);
    if (this.#fd < 0) throw new libc.SystemError('io_uring_setup', -this.#fd);
    const answer = readBack(params, PARAMS);
    // struct io_sqring_offsets at 40, io_cqring_offsets at 80.
    this.#sq = { tail: answer.readUInt32LE(44), array: answer.readUInt32LE(64) };
    this.#cq = { head: answer.readUInt32LE(80), cqes: answer.readUInt32LE(100) };
    const map = (offset: number) => {
      const protection = libc.PROT_READ | libc.PROT_WRITE;
      return new DataView(
        libc.viewOf(libc.mmap(CREDIT.size, protection, libc.MAP_SHARED, this.#fd, offset), CREDIT.size),
      );
    };
    this.#rings = map(OFFSET.rings);
    this.#entries = map(OFFSET.entries);
  }

  openat(path: string): number {
    return this.#request(OP.openat, { fd: -100, address: addressOf(path) });
  }

  read(fd: number, length: number): number {
    return this.#request(OP.read, { fd, address: addressOf(new Uint8Array(length)), length });
  }

  socket(domain: number, type: number): number {
    return this.#request(OP.socket, { fd: domain, offset: BigInt(type) });
  }

  connect(fd: number, address: Uint8Array): number {
    return this.#request(OP.connect, { fd, address: addressOf(address), offset: BigInt(address.length) });
  }

  #request(opcode: number, { fd = 0, offset = 0n, address = 0n, length = 0 }: Entry): number {
    for (let at = 0; at < ENTRY; at += 8) this.#entries.setBigUint64(at, 0n);
    this.#entries.setUint8(0, opcode);
    this.#entries.setInt32(4, fd, true);
    this.#entries.setBigUint64(8, offset, true);
    this.#entries.setBigUint64(16, address, true);
    this.#entries.setUint32(24, length, true);
    this.#rings.setUint32(this.#sq.array, 0, true);
    this.#rings.setUint32(this.#sq.tail, this.#rings.getUint32(this.#sq.tail, true) + 1, true);
    const submitted = syscall('io_uring_enter', this.#fd, 1, 1, GETEVENTS, 0, 0);
    if (submitted < 0) return submitted;
    const head = this.#rings.getUint32(this.#cq.head, true);
    const result = this.#rings.getInt32(this.#cq.cqes + (head % 2) * 16 + 8, true);
    this.#rings.setUint32(this.#cq.head, head + 1, true);
    return result;
  }
}
