import type { Cancel, IoHandler } from '../../device.ts';
import type { OwnMemory } from '../../device-memory.ts';
import { byteWide } from '../../legacy/byte-wide.ts';
import { type PlaneMemory, WINDOW } from './plane-memory.ts';
import { GFX, GFX_MISC, GFX_MODE, MEMORY_MODE, MISC, SEQ } from './registers.ts';
import type { VgaRegisters } from './vga-registers.ts';

/** Bytes of text memory: characters and attributes alternate. */
export const TEXT_BYTES = 0x8000;
/** After this many exits in the same mode, mapping memory pays off: a switch costs as much as a few dozen exits. */
const EXITS_BEFORE_SHOWN = 24;

/** Memory that the guest reaches through the window without an exit. */
type Direct = {
  readonly kind: 'linear' | 'text';
  readonly start: number;
  readonly offset: number;
  readonly size: number;
};

export type LegacyWindowParts = {
  readonly device: string;
  readonly memory: OwnMemory;
  /** A copy of the text mode data in planes 0 and 1, as the CPU sees it. */
  readonly text: OwnMemory;
  readonly registers: VgaRegisters;
  readonly planes: PlaneMemory;
  readonly bankOffset: () => number;
  /** Whether the device decodes memory. */
  readonly decodes: () => boolean;
};

/**
 * The window through which a PC reaches the memory of its VGA. Modes that store each byte as the CPU writes it have
 * memory mapped there: those with chained planes, which are linear, and text modes. In all other modes the guest exits.
 */
export class LegacyWindow {
  readonly #parts: LegacyWindowParts;
  #shown: Direct | null = null;
  #hide: Cancel = () => {};
  #exits = 0;

  constructor(parts: LegacyWindowParts) {
    this.#parts = parts;
  }

  /** What is mapped now, for tests and statistics. */
  get shown(): 'linear' | 'text' | null {
    return this.#shown?.kind ?? null;
  }

  /** Handles the guest's accesses that exit. Offsets are from the window's start. */
  readonly handler: IoHandler = {
    read: (offset, size) => {
      if (!this.#parts.decodes()) return 0xffff_ffff;
      const value = this.#bytes.read(offset, size);
      this.#exited();
      return value;
    },
    write: (offset, size, value) => {
      if (!this.#parts.decodes()) return;
      this.#bytes.write(offset, size, value);
      this.#exited();
    },
  };

  readonly #bytes = byteWide({
    readByte: offset => {
      const at = this.#inText(offset);
      return at === null ? this.#parts.planes.readByte(offset) : this.#parts.text.bytes[at]!;
    },
    writeByte: (offset, value) => {
      const at = this.#inText(offset);
      if (at === null) this.#parts.planes.writeByte(offset, value);
      else this.#parts.text.writable(at, 1)[0] = value;
    },
  });

  /** Another vCPU may have exited just before text memory was mapped. */
  #inText(offset: number): number | null {
    if (this.#shown?.kind !== 'text') return null;
    const at = WINDOW.start + offset - this.#shown.start;
    return at >= 0 && at < TEXT_BYTES ? at : null;
  }

  /** Called when registers that affect how the CPU reaches memory have changed. */
  update(): void {
    this.#exits = 0;
    if (this.#shown === null) return;
    const possible = this.#possible();
    if (possible === null || !isSame(possible, this.#shown)) this.hide();
  }

  /** Unmaps memory: the guest exits from now on. */
  hide(): void {
    if (this.#shown === null) return;
    this.sync();
    this.#shown = null;
    this.#hide();
  }

  /** Copies what the guest has written directly to the planes. */
  sync(): void {
    if (this.#shown?.kind !== 'text') return;
    const { memory, text } = this.#parts;
    const into = memory.writable(0, 2 * TEXT_BYTES);
    const from = text.bytes;
    for (let at = 0; at < TEXT_BYTES; at += 2) {
      into[2 * at] = from[at]!;
      into[2 * at + 1] = from[at + 1]!;
    }
  }

  #exited(): void {
    if (this.#shown !== null || ++this.#exits < EXITS_BEFORE_SHOWN) return;
    this.#exits = 0;
    const direct = this.#possible();
    if (direct !== null) this.#show(direct);
  }

  #show(direct: Direct): void {
    const { device, memory, text } = this.#parts;
    const { kind, start, offset, size } = direct;
    if (kind === 'text') {
      const from = memory.bytes;
      const into = text.writable(0, TEXT_BYTES);
      for (let at = 0; at < TEXT_BYTES; at += 2) {
        into[at] = from[2 * at]!;
        into[at + 1] = from[2 * at + 1]!;
      }
    }
    this.#hide = (kind === 'text' ? text : memory).showPart(device, start, offset, size);
    this.#shown = direct;
  }

  #possible(): Direct | null {
    const { registers, memory, planes, bankOffset, decodes } = this.#parts;
    const { sequencer, graphics, misc } = registers;
    const isPlain =
      graphics[GFX.enableSetReset] === 0 &&
      graphics[GFX.dataRotate] === 0 &&
      graphics[GFX.bitMask] === 0xff &&
      (graphics[GFX.mode]! & (GFX_MODE.write | GFX_MODE.readCompare)) === 0;
    if (!isPlain || (misc & MISC.ram) === 0 || !decodes()) return null;
    const { offset, size } = planes.map;
    const start = WINDOW.start + offset;
    if ((sequencer[SEQ.memoryMode]! & MEMORY_MODE.chain4) !== 0) {
      const isThere = bankOffset() + size <= memory.size;
      return sequencer[SEQ.mapMask] === 0xf && isThere
        ? { kind: 'linear', start, offset: bankOffset(), size }
        : null;
    }
    const isText =
      (graphics[GFX.mode]! & GFX_MODE.oddEven) !== 0 &&
      (graphics[GFX.misc]! & GFX_MISC.graphics) === 0 &&
      sequencer[SEQ.mapMask] === 0x3 &&
      graphics[GFX.readMap] === 0 &&
      size === TEXT_BYTES &&
      bankOffset() === 0;
    return isText ? { kind: 'text', start, offset: 0, size } : null;
  }
}

function isSame(a: Direct, b: Direct): boolean {
  return a.kind === b.kind && a.start === b.start && a.offset === b.offset && a.size === b.size;
}
