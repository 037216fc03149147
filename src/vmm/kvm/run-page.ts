import { EXIT_IO, INTERNAL_ERROR, INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES } from './constants.ts';
import {
  kvmRun,
  kvmRunEmulationFailure,
  kvmRunFailEntry,
  kvmRunHw,
  kvmRunInternal,
  kvmRunIo,
  kvmRunMmio,
  kvmRunSystemEvent,
} from './structs.ts';

/** Index of the word with the reason. */
const EXIT_REASON = kvmRun.offset('exit_reason') / 4;
const IMMEDIATE_EXIT = kvmRun.offset('immediate_exit');
/** The union with the details of each exit reason. */
const UNION = kvmRun.offset('exit');

/** Indices of words; the first has the direction in its low byte, above it the size, and the port in its upper half. */
const IO = (UNION + kvmRunIo.offset('direction')) / 4;
const IO_COUNT = (UNION + kvmRunIo.offset('count')) / 4;
const IO_DATA_OFFSET = (UNION + kvmRunIo.offset('data_offset')) / 4;

const MMIO_ADDRESS = (UNION + kvmRunMmio.offset('phys_addr')) / 4;
const MMIO_DATA = UNION + kvmRunMmio.offset('data');
const MMIO_LENGTH = (UNION + kvmRunMmio.offset('len')) / 4;
/** Index of a byte. */
const MMIO_IS_WRITE = UNION + kvmRunMmio.offset('is_write');

/** KVM_EXIT_INTERNAL_ERROR: KVM could not continue. */
export type InternalError = {
  /** An INTERNAL_ERROR value. */
  readonly suberror: number;
  readonly data: readonly bigint[];
  /** The instruction that could not be emulated, if KVM reports it. */
  readonly instruction: Uint8Array | null;
};

/**
 * The pages that KVM shares with user space for one vCPU: why KVM_RUN returned, and room for the answer. Read and write
 * it only while the vCPU is not inside KVM_RUN. The accessors used for every exit allocate nothing.
 */
export class RunPage {
  readonly address: bigint;
  readonly size: number;
  /** The whole mapping; port data is at `ioDataOffset`. */
  readonly data: DataView;
  /** The same. The elements of typed arrays are read faster than those of a DataView by code that has run little. */
  readonly #words: Uint32Array;

  constructor(address: bigint, pages: ArrayBuffer) {
    this.address = address;
    this.size = pages.byteLength;
    this.data = new DataView(pages);
    this.#words = new Uint32Array(pages);
  }

  /** An EXIT value. */
  get exitReason(): number {
    return this.#words[EXIT_REASON]!;
  }

  /** Makes KVM_RUN return EINTR before it enters the guest, after it has completed a pending IO or MMIO answer. */
  set immediateExit(on: boolean) {
    this.data.setUint8(IMMEDIATE_EXIT, on ? 1 : 0);
  }

  // KVM_EXIT_IO: `ioCount` accesses of `ioSize` bytes each to one port (a string instruction has many).

  get ioIsWrite(): boolean {
    return (this.#words[IO]! & 0xff) === EXIT_IO.OUT;
  }

  /** 1, 2 or 4. */
  get ioSize(): number {
    return (this.#words[IO]! >>> 8) & 0xff;
  }

  get ioPort(): number {
    return this.#words[IO]! >>> 16;
  }

  get ioCount(): number {
    return this.#words[IO_COUNT]!;
  }

  /** Offset in `data` of the first item; the others follow. For a read, the answers go there. */
  get ioDataOffset(): number {
    return this.#words[IO_DATA_OFFSET]!;
  }

  // KVM_EXIT_MMIO: one access of 1 to 8 bytes.

  get mmioIsWrite(): boolean {
    return this.data.getUint8(MMIO_IS_WRITE) !== 0;
  }

  /** Guest-physical; exact up to 2^53. */
  get mmioAddress(): number {
    return this.#words[MMIO_ADDRESS]! + this.#words[MMIO_ADDRESS + 1]! * 2 ** 32;
  }

  /** 1 to 8. */
  get mmioLength(): number {
    return this.#words[MMIO_LENGTH]!;
  }

  /** Offset in `data` of the 8 bytes of MMIO data. For a read, the answer goes there. */
  get mmioDataOffset(): number {
    return MMIO_DATA;
  }

  /** After KVM_EXIT_INTERNAL_ERROR. */
  get internalError(): InternalError {
    const { suberror, ndata, data } = kvmRunInternal.read(this.#bytes, UNION);
    const words = data.slice(0, Math.min(ndata, data.length));
    return { suberror, data: words, instruction: this.#failedInstruction(suberror, ndata) };
  }

  /** After KVM_EXIT_SYSTEM_EVENT; `type` is a SYSTEM_EVENT value. */
  get systemEvent(): { readonly type: number; readonly data: readonly bigint[] } {
    const { type, ndata, data } = kvmRunSystemEvent.read(this.#bytes, UNION);
    return { type, data: data.slice(0, Math.min(ndata, data.length)) };
  }

  /** After KVM_EXIT_FAIL_ENTRY: the hardware refused to run the guest. */
  get failEntry(): { readonly reason: bigint; readonly cpu: number } {
    const { hardware_entry_failure_reason: reason, cpu } = kvmRunFailEntry.read(this.#bytes, UNION);
    return { reason, cpu };
  }

  /** After KVM_EXIT_UNKNOWN: the hardware's own exit reason. */
  get hardwareExitReason(): bigint {
    return kvmRunHw.read(this.#bytes, UNION).hardware_exit_reason;
  }

  get #bytes(): Uint8Array {
    return new Uint8Array(this.data.buffer, 0, this.size);
  }

  #failedInstruction(suberror: number, ndata: number): Uint8Array | null {
    if (suberror !== INTERNAL_ERROR.EMULATION || ndata < 1) return null;
    const failure = kvmRunEmulationFailure.read(this.#bytes, UNION);
    if ((failure.flags & INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) === 0n) return null;
    return failure.insn_bytes.slice(0, Math.min(failure.insn_size, failure.insn_bytes.length));
  }
}
