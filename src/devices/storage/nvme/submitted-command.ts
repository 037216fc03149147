import { SUBMISSION_BYTES } from './registers.ts';

/** FUSE and PSDT: a part of a fused operation, or data that SGLs describe. */
const FUSED_OR_SGL = 0xc300;

/** An entry of a submission queue (NVMe base 1.4 §4.2): a copy, since the driver may change its own. */
export class SubmittedCommand {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  /** @param bytes 64, which nothing else changes */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== SUBMISSION_BYTES) throw new RangeError(`${bytes.length} bytes are not a command`);
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, SUBMISSION_BYTES);
  }

  get opcode(): number {
    return this.bytes[0]!;
  }

  get id(): number {
    return this.#view.getUint16(2, true);
  }

  get namespace(): number {
    return this.dword(1);
  }

  /** Whether the command uses what the controller does not offer: fused operations, or SGLs. */
  get isFusedOrSgl(): boolean {
    return (this.dword(0) & FUSED_OR_SGL) !== 0;
  }

  /** PRP entries 1 and 2. */
  get prp1(): number {
    return this.#address(24);
  }

  get prp2(): number {
    return this.#address(32);
  }

  dword(index: number): number {
    return this.#view.getUint32(4 * index, true);
  }

  /** Two dwords, as a number if it is exact; else one that no disk reaches. */
  qword(index: number): number {
    return this.#address(4 * index);
  }

  #address(offset: number): number {
    return this.#view.getUint32(offset, true) + this.#view.getUint32(offset + 4, true) * 2 ** 32;
  }
}
