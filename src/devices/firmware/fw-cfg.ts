import type { AccessSize, Device, DeviceState, IoHandler } from '../device.ts';
import { type GuestMemory, GuestMemoryError } from '../guest-memory.ts';
import { PAGE } from '../host-block.ts';
import { numberOf } from '../state.ts';
import type { FwCfgContent, FwCfgItems } from './fw-cfg-items.ts';

/**
 * Offsets of the ports from 0x510 on: selector (16 bits), data (8 bits), and the address of a DMA request (big endian).
 */
const REG = { selector: 0, data: 1, dmaHigh: 4, dmaLow: 8, size: 12 } as const;
/** The value of the address register: "QEMU CFG". */
const DMA_SIGNATURE = [0x51454d55, 0x20434647] as const;

/** A DMA request: control, length, address. */
const REQUEST_SIZE = 16;
const CONTROL = { error: 1, read: 2, skip: 4, select: 8, write: 16 } as const;

/** The most zeros beyond the end of an item that one request may ask for. */
const MAX_PADDING = 2 ** 20;

const NOTHING: FwCfgContent = { size: 0, read: () => {} };

export type FwCfgOptions = {
  readonly items: FwCfgItems;
  readonly memory: GuestMemory;
};

/**
 * QEMU's firmware configuration device (QEMU, docs/specs/fw_cfg.rst), from which firmware reads what it needs to know
 * about its machine.
 */
export class FwCfg implements Device, IoHandler {
  static readonly size = REG.size;
  readonly name = 'fw-cfg';
  readonly #items: FwCfgItems;
  readonly #memory: GuestMemory;
  #key = 0;
  #offset = 0;
  #content: FwCfgContent = NOTHING;
  #dmaHigh = 0;

  constructor({ items, memory }: FwCfgOptions) {
    this.#items = items;
    this.#memory = memory;
    this.#select(0);
  }

  read(offset: number, size: AccessSize): number {
    if (offset === REG.data && size === 1) return this.#readByte();
    if (offset < REG.dmaHigh) return 0;
    let value = 0;
    for (let i = 0; i < size; i++) value |= signatureByte(offset + i - REG.dmaHigh) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset === REG.selector && size === 2) this.#select(value);
    if (size !== 4) return;
    if (offset === REG.dmaHigh) this.#dmaHigh = swapped(value);
    if (offset === REG.dmaLow) this.#transfer(this.#dmaHigh * 2 ** 32 + swapped(value));
  }

  reset(): void {
    this.#items.reset();
    this.#select(0);
    this.#dmaHigh = 0;
  }

  save(): DeviceState {
    return { key: this.#key, offset: this.#offset, dmaHigh: this.#dmaHigh };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#select(numberOf(state, 'key', 0xffff));
    this.#offset = numberOf(state, 'offset', 2 ** 40);
    this.#dmaHigh = numberOf(state, 'dmaHigh', 0xffff_ffff);
  }

  #select(key: number): void {
    this.#key = key;
    this.#offset = 0;
    // Bit 14 asks for a write, which no item takes.
    this.#content = this.#items.at(key) ?? NOTHING;
    this.#content.select?.();
  }

  #readByte(): number {
    const byte = Uint8Array.of(0);
    if (this.#offset < this.#content.size) this.#content.read(this.#offset, byte);
    this.#advance(1);
    return byte[0]!;
  }

  #advance(length: number): void {
    this.#offset = Math.min(this.#offset + length, 2 ** 40);
  }

  #transfer(address: number): void {
    this.#dmaHigh = 0;
    if (!this.#memory.contains(address, REQUEST_SIZE, 'write')) return;
    const request = Buffer.from(this.#memory.readable(address, REQUEST_SIZE));
    const isDone = this.#carryOut(request);
    this.#memory.writeU32(address, isDone ? 0 : swapped(CONTROL.error));
  }

  /** @returns whether it has been carried out */
  #carryOut(request: Buffer): boolean {
    const control = request.readUInt32BE(0);
    const length = request.readUInt32BE(4);
    const target = Number(request.readBigUInt64BE(8));
    if (control & CONTROL.select) this.#select(control >>> 16);
    if (control & CONTROL.read) return this.#copyTo(target, length);
    if (control & CONTROL.write) return length === 0;
    if (control & CONTROL.skip) this.#advance(length);
    return true;
  }

  #copyTo(address: number, length: number): boolean {
    const available = Math.max(0, Math.min(length, this.#content.size - this.#offset));
    if (length - available > MAX_PADDING) return false;
    for (let done = 0; done < length; ) {
      const isPadding = done >= available;
      const target = this.#target(address + done, (isPadding ? length : available) - done);
      if (target === null) return false;
      if (isPadding) target.fill(0);
      else this.#content.read(this.#offset + done, target);
      done += target.length;
    }
    this.#advance(length);
    return true;
  }

  /**
   * The part of [address, address + length) that is contiguous memory, at least to the end of the page; null if it is
   * not memory.
   */
  #target(address: number, length: number): Uint8Array | null {
    const toPageEnd = Math.min(length, PAGE - (address % PAGE));
    const size = this.#memory.contains(address, length, 'write') ? length : toPageEnd;
    try {
      return this.#memory.writable(address, size);
    } catch (error) {
      if (error instanceof GuestMemoryError) return null;
      throw error;
    }
  }
}

function signatureByte(index: number): number {
  return ((DMA_SIGNATURE[index >>> 2] ?? 0) >>> (8 * (3 - (index & 3)))) & 0xff;
}

function swapped(value: number): number {
  return Buffer.from(Uint32Array.of(value).buffer).readUInt32BE();
}
