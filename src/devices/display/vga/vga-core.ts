import type { AccessSize, DeviceState, IoHandler } from '../../device.ts';
import type { OwnMemory } from '../../device-memory.ts';
import type { MemoryRange, PortRange } from '../../device-type.ts';
import { byteWide } from '../../legacy/byte-wide.ts';
import type { MachineServices } from '../../machine-services.ts';
import type { PciFunction } from '../../pci/pci-function.ts';
import { COMMAND, REG } from '../../pci/registers.ts';
import { bytesOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type { Statistic } from '../../statistic.ts';
import { edid } from '../edid.ts';
import type { ScreenControl } from '../screen-frame.ts';
import { DISPI_PORTS, Dispi, type DispiMode } from './dispi.ts';
import { LegacyWindow, TEXT_BYTES } from './legacy-window.ts';
import { PlaneMemory, WINDOW } from './plane-memory.ts';
import { CRTC, GFX, GFX_MODE, MEMORY_MODE, PORTS, SCAN, SEQ } from './registers.ts';
import { Scanout } from './scanout.ts';
import { biosFont, FONT_HEIGHT } from './vga-bios.ts';
import { VgaRegisters } from './vga-registers.ts';

/** The first page of the BAR with registers. */
const MMIO = {
  edid: { start: 0, size: 0x400 },
  /** The ports from 0x3c0 on. */
  ports: { start: 0x400, size: 0x20, first: 0x3c0 },
  dispi: { start: 0x500, size: 0x16 },
  /** The size of these registers, and the byte order of the frame buffer, which is always little endian. */
  extended: { start: 0x600, size: 8, littleEndian: 0x1e1e_1e1e },
} as const;

export type VgaOptions = {
  readonly name: string;
  readonly memoryBytes: number;
  /** The mode that its monitor prefers; null if it has no monitor. */
  readonly monitor: { readonly width: number; readonly height: number } | null;
};

/**
 * What QEMU's display adapters with a VGA have in common: a VGA with the Bochs display interface and a linear frame
 * buffer, which is BAR 0 of their function.
 */
export class VgaCore {
  /** Draws the screen. */
  readonly painter: Scanout;
  readonly #function: PciFunction;
  readonly #memory: OwnMemory;
  readonly #text: OwnMemory;
  readonly #registers: VgaRegisters;
  readonly #dispi: Dispi;
  readonly #planes: PlaneMemory;
  readonly #window: LegacyWindow;
  readonly #edid: Uint8Array;
  readonly #pages: Statistic;
  /** The font with which a kernel that boots without firmware finds a text mode. */
  readonly #textFont: Uint8Array | null;
  readonly #startsInText: boolean;

  constructor({ name, memoryBytes, monitor }: VgaOptions, fn: PciFunction, services: MachineServices) {
    this.#function = fn;
    this.#memory = services.allocateMemory(`${name} memory`, memoryBytes, 'device');
    this.#text = services.allocateMemory(`${name} text`, TEXT_BYTES, 'device');
    this.#registers = new VgaRegisters(() => this.#window?.update());
    this.#dispi = new Dispi(memoryBytes, {
      changed: () => this.#registers.change(() => {}),
      enabled: mode => setUpFor(mode, this.#registers),
      clear: bytes => this.#memory.writable(0, Math.min(bytes, memoryBytes)).fill(0),
    });
    const bankOffset = () => this.#dispi.bankOffset;
    this.#planes = new PlaneMemory(this.#memory, this.#registers, bankOffset);
    this.#window = new LegacyWindow({
      ...{
        device: name,
        memory: this.#memory,
        text: this.#text,
        registers: this.#registers,
        planes: this.#planes,
      },
      ...{ bankOffset, decodes: () => this.#decodes(COMMAND.memory) },
    });
    this.#edid = monitor === null ? new Uint8Array() : edid(monitor.width, monitor.height, 'vring screen');
    fn.addBar(0, { kind: 'memory32', size: memoryBytes, prefetchable: true, memory: this.#memory });
    const command = { start: REG.command, end: REG.command + 2 };
    fn.addHook({ ...command, afterWrite: () => this.#window.update() });
    this.#pages = services.statistic({ device: name, name: 'dirty pages' });
    this.painter = new Scanout({
      ...{ memory: this.#memory, registers: this.#registers, dispi: this.#dispi, window: this.#window },
      countPages: count => this.#pages.add(count),
    });
    this.#startsInText = services.firmware === null;
    this.#textFont = this.#startsInText ? biosFont(services) : null;
    this.#powerOn();
  }

  /** The mode that a kernel finds if it boots without firmware. */
  get textMode(): ScreenControl['textMode'] {
    return this.#startsInText ? { columns: 80, rows: 25, fontHeight: FONT_HEIGHT } : undefined;
  }

  /** The ports of a VGA, and those of the Bochs display interface. */
  get ports(): readonly PortRange[] {
    const registers = byteWide({
      readByte: offset => this.#registers.readByte(PORTS.start + offset),
      writeByte: (offset, value) => this.#registers.writeByte(PORTS.start + offset, value),
    });
    const dispi: IoHandler = {
      read: (offset, size) => {
        const value = offset === 0 ? this.#dispi.index : this.#dispi.read(this.#dispi.index);
        return size === 4 ? 0xffff_ffff : size === 2 ? value : value & 0xff;
      },
      write: (offset, size, value) => {
        if (size !== 2) return;
        if (offset === 0) this.#dispi.index = value;
        else this.#dispi.write(this.#dispi.index, value);
      },
    };
    return [
      { ...PORTS, handler: this.#whileDecoding(registers) },
      { ...DISPI_PORTS, handler: this.#whileDecoding(dispi) },
    ];
  }

  /** The legacy window. */
  get window(): MemoryRange {
    return { ...WINDOW, handler: this.#window.handler };
  }

  /** What the guest reaches through the window without an exit. */
  get shown(): 'linear' | 'text' | null {
    return this.#window.shown;
  }

  /** Called when its function has been reset. */
  reset(): void {
    this.#memory.clear();
    this.#powerOn();
  }

  save(): DeviceState {
    this.#window.sync();
    return {
      registers: this.#registers.save(),
      dispi: this.#dispi.save(),
      latch: this.#planes.latch >>> 0,
      memory: withoutEmptyEnd(this.#memory.bytes),
    };
  }

  /** @param loadFunction loads the state of its function, while the window is unmapped. @throws DeviceStateError */
  load(state: DeviceState, loadFunction: () => void): void {
    const memory = bytesOf(state, 'memory');
    if (memory.length > this.#memory.size)
      throw new DeviceStateError('memory', `frame buffer of at most ${this.#memory.size} bytes`);
    this.#window.hide();
    loadFunction();
    this.#dispi.load(stateOf(state, 'dispi'));
    this.#registers.load(stateOf(state, 'registers'));
    this.#planes.latch = numberOf(state, 'latch', 0xffff_ffff);
    this.#memory.clear();
    this.#memory.writable(0, memory.length).set(memory);
  }

  /** @param closeFunction releases its function, which unmaps memory */
  close(closeFunction: () => void): void {
    this.#window.hide();
    closeFunction();
    this.#pages.release();
    this.#text.release();
    this.#memory.release();
  }

  #powerOn(): void {
    this.#window.hide();
    this.#planes.latch = 0;
    this.#dispi.reset();
    this.#registers.reset();
    if (!this.#startsInText) return;
    this.#registers.setTextMode();
    const words = this.#memory.writable(0, 4 * 256 * 32);
    for (let at = 0; at < 4 * 80 * 25; at += 4) words.set([0x20, 0x07], at);
    const font = this.#textFont;
    if (font === null) return;
    for (let character = 0; character < 256; character++) {
      for (let line = 0; line < FONT_HEIGHT; line++)
        words[4 * (32 * character + line) + 2] = font[FONT_HEIGHT * character + line]!;
    }
  }

  /** The handler of the first page of the BAR with registers. */
  get mmio(): IoHandler {
    const { edid, ports, dispi, extended } = MMIO;
    const bytes = byteWide({
      readByte: offset => {
        if (offset < edid.size) return this.#edid[offset] ?? 0;
        if (offset >= ports.start && offset < ports.start + ports.size)
          return this.#registers.readByte(ports.first + offset - ports.start);
        if (offset >= extended.start && offset < extended.start + extended.size) {
          const value = offset < extended.start + 4 ? extended.size : extended.littleEndian;
          return (value >>> (8 * (offset & 3))) & 0xff;
        }
        return 0xff;
      },
      writeByte: (offset, value) => {
        if (offset >= ports.start && offset < ports.start + ports.size)
          this.#registers.writeByte(ports.first + offset - ports.start, value);
      },
    });
    const isDispi = (offset: number, size: AccessSize) =>
      size === 2 && offset % 2 === 0 && offset >= dispi.start && offset < dispi.start + dispi.size;
    return {
      read: (offset, size) =>
        isDispi(offset, size) ? this.#dispi.read((offset - dispi.start) / 2) : bytes.read(offset, size),
      write: (offset, size, value) => {
        if (isDispi(offset, size)) this.#dispi.write((offset - dispi.start) / 2, value);
        else bytes.write(offset, size, value);
      },
    };
  }

  #decodes(bit: number): boolean {
    return this.#function.bus !== null && (this.#function.config.u16(REG.command) & bit) !== 0;
  }

  #whileDecoding(handler: IoHandler): IoHandler {
    return {
      read: (offset, size) => (this.#decodes(COMMAND.io) ? handler.read(offset, size) : 0xffff_ffff),
      write: (offset, size, value) => {
        if (this.#decodes(COMMAND.io)) handler.write(offset, size, value);
      },
    };
  }
}

/** Sets the VGA's registers to match a mode of the display interface, as Bochs and QEMU do. */
function setUpFor({ width, height, bitsPerPixel, lineBytes }: DispiMode, registers: VgaRegisters): void {
  registers.change(() => {
    const { graphics, sequencer, crtc } = registers;
    const isPlanar = bitsPerPixel === 4;
    // Graphics, at 0xa0000 for 64 KiB.
    graphics[GFX.misc] = (graphics[GFX.misc]! & ~0x0c) | 0x05;
    graphics[GFX.mode] = (graphics[GFX.mode]! & ~GFX_MODE.shift) | (isPlanar ? 0 : 0x40);
    crtc[CRTC.mode]! |= 3;
    crtc[CRTC.offset] = lineBytes >> 3;
    crtc[CRTC.horizontalDisplayEnd] = (width >> 3) - 1;
    const last = height - 1;
    crtc[CRTC.verticalDisplayEnd] = last;
    crtc[CRTC.overflow] = (crtc[CRTC.overflow]! & ~0x42) | 0x10 | ((last >> 7) & 0x02) | ((last >> 3) & 0x40);
    crtc[CRTC.lineCompare] = 0xff;
    crtc[CRTC.maximumScanLine] =
      (crtc[CRTC.maximumScanLine]! & ~(SCAN.doubled | SCAN.lines)) | SCAN.lineCompare9;
    if (isPlanar) {
      sequencer[SEQ.clocking]! &= ~8;
      sequencer[SEQ.memoryMode]! &= ~MEMORY_MODE.chain4;
    } else {
      sequencer[SEQ.memoryMode]! |= MEMORY_MODE.chain4;
    }
    sequencer[SEQ.mapMask] = 0xf;
  });
}

/** Omits zeros at the end: memory is mostly empty. */
function withoutEmptyEnd(bytes: Uint8Array): Uint8Array {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  let end = words.length;
  while (end > 0 && words[end - 1] === 0) end--;
  return bytes.slice(0, 4 * end);
}
