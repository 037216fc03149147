import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BusRange } from '../../src/devices/bus.ts';
import type { Cancel } from '../../src/devices/device.ts';
import type { DeviceMemory } from '../../src/devices/device-memory.ts';
import type { HostBlock } from '../../src/devices/host-block.ts';
import {
  type HostDevice,
  HostDeviceError,
  type HostDevices,
  type HostIrq,
  type HostRegion,
  IRQ,
  REGION,
} from '../../src/devices/vfio/host-device.ts';
import type { AddressSpace } from '../../src/vmm/memory/address-space.ts';
import { PRIORITY } from '../../src/vmm/memory/memory-range.ts';
import { fakeBlock } from './fake-block.ts';

/** A PCI function as read on a host: its config space as VFIO exposes it, and the sizes of its BARs. */
export type RecordedDevice = {
  readonly address: string;
  readonly resetMethods: readonly string[];
  /** In bytes; 0 if there is none, or it is the upper half of a 64-bit BAR. */
  readonly bars: readonly number[];
  /** Size of the expansion ROM, in bytes. */
  readonly rom: number;
  /** Whether the host passes through the registers of a VGA adapter. */
  readonly vga?: boolean;
  /** Number of vectors of each kind. */
  readonly interrupts: { readonly intx: number; readonly msi: number; readonly msix: number };
  /** Lines of 32 bytes, by offset; missing lines are zero. All in hexadecimal. */
  readonly config: Readonly<Record<string, string>>;
};

export const RECORDED = ['igb-vf', 'igb', 'e1000e', 'nvme'] as const;
export type RecordedName = (typeof RECORDED)[number];

export function recordedDevice(name: RecordedName): RecordedDevice {
  const path = join(import.meta.dirname, 'recorded-devices', `${name}.json`);
  return JSON.parse(readFileSync(path, 'utf8')) as RecordedDevice;
}

/** All 4096 bytes, or 256 for a conventional PCI function. */
export function configOf({ config }: RecordedDevice): Uint8Array {
  const bytes = new Uint8Array(4096);
  for (const [offset, line] of Object.entries(config)) {
    bytes.set(Buffer.from(line, 'hex'), Number.parseInt(offset, 16));
  }
  return bytes;
}

const PAGE = 4096;
/** VFIO_PCI_VGA_REGION_INDEX: up to the end of the VGA adapter's memory. */
const VGA_BYTES = 0xc_0000;
/** Bytes of a BAR that is not fully allocated. */
const LARGE = 2 ** 28;
const COMMAND = 0x04;
const BARS = 0x10;
const ROM = 0x30;
const INTERRUPT_LINE = 0x3c;
const HEADER = 0x40;
/** Memory, I/O, bus master, parity, SERR and INTx disable. */
const COMMAND_WRITABLE = 0x0547;

export type FakeOptions = {
  /** The address space that its memory is mapped into. */
  readonly space: AddressSpace;
  readonly signal: (fd: number) => void;
};

/** An in-memory host device. It records what its model does, for inspection. */
export class FakeHostDevice implements HostDevice {
  readonly address: string;
  api: 'group' | 'iommufd' = 'group';
  resetMethods: readonly string[];
  /** The device's current config space. */
  readonly config: Uint8Array;
  /**
   * The contents of the BARs; of the ROM at 6, and of the VGA registers at 8. Large ones only have their first page.
   */
  readonly contents: readonly Uint8Array[];
  /** The connected eventfds of each interrupt; empty if it is disabled. */
  readonly triggers: (number | null)[][] = [[], [], [], [], []];
  /** Whether vectors cannot be added to MSI-X while it is enabled, as before Linux 6.5. */
  noresize = false;
  /** Whether it is gone, so that the kernel fails every access. */
  fails = false;
  unmaskFd: number | null = null;
  intxMasked = false;
  resets = 0;
  closed = false;
  /** Current mappings. */
  readonly mapped: { readonly region: number; readonly offset: number; readonly size: number }[] = [];
  /** All requests to the kernel, in order: `msix 0 [100,101]`. */
  readonly calls: string[] = [];
  readonly mappings = { bytes: 0, count: 0 };
  readonly #recorded: RecordedDevice;
  readonly #options: FakeOptions;
  readonly #sizes: readonly number[];
  readonly #blocks: readonly HostBlock[];

  constructor(recorded: RecordedDevice, options: FakeOptions) {
    this.#recorded = recorded;
    this.#options = options;
    this.address = recorded.address;
    this.resetMethods = recorded.resetMethods;
    this.config = configOf(recorded);
    const sizes = [...recorded.bars, recorded.rom, 0, recorded.vga === true ? VGA_BYTES : 0];
    this.#sizes = sizes;
    this.#blocks = sizes.map((size, index) => {
      const pages = Math.ceil(size / PAGE) * PAGE;
      const block = fakeBlock(`${recorded.address} region ${index}`, pages > LARGE ? PAGE : pages);
      return { ...block, size: pages };
    });
    this.contents = this.#blocks.map(
      ({ buffer }, index) => new Uint8Array(buffer, 0, Math.min(sizes[index]!, buffer.byteLength)),
    );
  }

  region(index: number): HostRegion {
    if (index === REGION.config) return this.#configRegion();
    const bytes = this.contents[index] ?? new Uint8Array();
    const size = this.#sizes[index] ?? 0;
    const isRom = index === REGION.rom;
    const check = (offset: number, { length }: Uint8Array) => {
      if (this.fails) throw new HostDeviceError(`${this.address} does not answer`, 'EIO');
      if (offset < 0 || offset + length > bytes.length) {
        throw new HostDeviceError(`${this.address} has no ${length} bytes at ${offset}`, 'EINVAL');
      }
    };
    const isMemory = index < REGION.rom && size > 0 && (this.#recordedBar(index) & 1) === 0;
    return {
      size,
      readable: size > 0,
      writable: size > 0 && !isRom,
      mappable: isMemory ? [{ offset: 0, size: Math.ceil(size / PAGE) * PAGE }] : [],
      read: (offset, into) => {
        check(offset, into);
        into.set(bytes.subarray(offset, offset + into.length));
      },
      write: (offset, from) => {
        check(offset, from);
        if (!isRom) bytes.set(from, offset);
      },
      map: (offset, size) => this.#map(index, offset, size),
    };
  }

  irq(index: number): HostIrq {
    const { intx, msi, msix } = this.#recorded.interrupts;
    const count = [intx, msi, msix, 1, 1][index] ?? 0;
    const isIntx = index === IRQ.intx;
    const noresize = index === IRQ.msi || (index === IRQ.msix && this.noresize);
    return { count, eventfd: count > 0, maskable: isIntx, automasked: isIntx, noresize };
  }

  setTriggers(index: number, start: number, fds: readonly (number | null)[]): void {
    const name = Object.keys(IRQ)[index]!;
    this.calls.push(`${name} ${start} ${JSON.stringify(fds)}`);
    const { count, noresize } = this.irq(index);
    const now = this.triggers[index]!;
    const end = start + fds.length;
    if (fds.length === 0 || end > count || (now.length > 0 && noresize && end > now.length)) {
      throw new HostDeviceError(`${this.address}: ${name} ${start}-${end} of ${count}`, 'EINVAL');
    }
    const others = [IRQ.intx, IRQ.msi, IRQ.msix].filter(other => other !== index);
    if (index <= IRQ.msix && others.some(other => this.triggers[other]!.length > 0)) {
      throw new HostDeviceError(`${this.address}: another interrupt than ${name} is enabled`, 'EINVAL');
    }
    while (now.length < end) now.push(null);
    now.splice(start, fds.length, ...fds);
  }

  disable(index: number): void {
    this.calls.push(`${Object.keys(IRQ)[index]} off`);
    this.triggers[index] = [];
    if (index === IRQ.intx) this.unmaskFd = null;
  }

  setUnmask(fd: number | null): void {
    this.calls.push(`unmask ${fd}`);
    this.unmaskFd = fd;
  }

  maskIntx(masked: boolean): void {
    this.calls.push(masked ? 'mask' : 'unmask');
    this.intxMasked = masked;
  }

  reset(): boolean {
    if (this.resetMethods.length === 0) return false;
    this.calls.push('reset');
    this.resets++;
    this.config.set(configOf(this.#recorded));
    for (const registers of this.contents.slice(0, REGION.rom)) registers.fill(0);
    return true;
  }

  /** They stay as they are. */
  onMappings(): Cancel {
    return () => {};
  }

  close(): void {
    if (this.closed) throw new Error(`${this.address} has been closed already`);
    this.calls.push('close');
    this.closed = true;
  }

  /** Raises an interrupt of the device. */
  interrupt(index: number, vector = 0): void {
    const fd = this.triggers[index]?.[vector] ?? null;
    if (fd === null || (index === IRQ.intx && this.intxMasked)) return;
    if (index === IRQ.intx) this.intxMasked = true;
    this.#options.signal(fd);
  }

  /** The config space as VFIO presents it: the header is virtual, except for a few bits. */
  #configRegion(): HostRegion {
    const { config } = this;
    return {
      size: config.length,
      readable: true,
      writable: true,
      mappable: [],
      read: (offset, into) => {
        if (this.fails) throw new HostDeviceError(`${this.address} does not answer`, 'EIO');
        into.set(config.subarray(offset, offset + into.length));
      },
      write: (offset, from) => {
        this.calls.push(`config 0x${offset.toString(16)} ${Buffer.from(from).toString('hex')}`);
        for (const [index, byte] of from.entries()) this.#writeConfig(offset + index, byte);
      },
      map: () => {
        throw new HostDeviceError(`${this.address}: the config space cannot be mapped`, 'EINVAL');
      },
    };
  }

  #writeConfig(at: number, byte: number): void {
    const { config } = this;
    if (at >= HEADER || at === INTERRUPT_LINE) config[at] = byte;
    else if (at >= COMMAND && at < COMMAND + 2) {
      config[at] = byte & (COMMAND_WRITABLE >> (8 * (at - COMMAND))) & 0xff;
    } else if ((at >= BARS && at < BARS + 24) || (at >= ROM && at < ROM + 4)) {
      config[at] = this.#barByte(at, byte);
    }
  }

  #barByte(at: number, byte: number): number {
    const isRom = at >= ROM;
    let index = isRom ? REGION.rom : (at - BARS) >> 2;
    let shift = 8 * (at & 3);
    const isUpper = !isRom && index > 0 && (this.#recordedBar(index - 1) & 7) === 4;
    if (isUpper) {
      index--;
      shift += 32;
    }
    const size = this.#sizes[index]!;
    if (size === 0) return 0;
    const flags = isRom ? 1 : 0;
    const mask = Number((BigInt.asUintN(64, -BigInt(size)) >> BigInt(shift)) & 0xffn);
    const kept = shift === 0 && !isRom ? this.#recordedBar(index) & 0xf & ~mask : 0;
    return (byte & mask) | kept | (shift === 0 ? byte & flags : 0);
  }

  #recordedBar(index: number): number {
    return configOf(this.#recorded)[BARS + 4 * index] ?? 0;
  }

  #map(region: number, offset: number, size: number): DeviceMemory {
    const { mappable } = this.region(region);
    const inside = mappable.some(part => offset >= part.offset && offset + size <= part.offset + part.size);
    if (!inside || offset % PAGE !== 0 || size % PAGE !== 0 || size <= 0) {
      throw new HostDeviceError(`${this.address}: ${size} bytes at ${offset} cannot be mapped`, 'EINVAL');
    }
    const block = this.#blocks[region]!;
    const entry = { region, offset, size };
    this.mapped.push(entry);
    const shown = new Set<BusRange>();
    const bytes =
      block.buffer.byteLength < block.size ? new Uint8Array() : new Uint8Array(block.buffer, offset, size);
    return {
      size,
      bytes,
      writable: (at, length) => bytes.subarray(at, at + length),
      show: (name, start) => {
        const isPartial = offset + size > this.#sizes[region]!;
        const place = { name, start, size, priority: isPartial ? PRIORITY.page : PRIORITY.pci };
        const range = this.#options.space.add({ kind: 'device', block, offset, ...place });
        shown.add(range);
        return range;
      },
      watch: () => {
        throw new Error('nobody watches the registers of a device');
      },
      release: () => {
        for (const range of shown) range.remove();
        this.mapped.splice(this.mapped.indexOf(entry), 1);
      },
    };
  }
}

/**
 * The host devices of a machine: all recorded ones, at their addresses. Those that have been
 * opened can be looked up here.
 */
export class FakeHostDevices implements HostDevices {
  readonly opened = new Map<string, FakeHostDevice>();
  /** Additional, handmade devices. */
  readonly added: RecordedDevice[] = [];
  /** Changes to a device before its machine gets it, by address. */
  readonly prepare = new Map<string, (device: FakeHostDevice) => void>();
  readonly #options: FakeOptions;

  constructor(options: FakeOptions) {
    this.#options = options;
  }

  open(address: string): FakeHostDevice {
    const before = this.opened.get(address);
    if (before !== undefined && !before.closed) throw new Error(`${address} is open already`);
    const known = [...this.added, ...RECORDED.map(recordedDevice)];
    const recorded = known.find(device => device.address === address);
    if (recorded === undefined) throw new Error(`the machine was not given the host device ${address}`);
    const device = new FakeHostDevice(recorded, this.#options);
    this.prepare.get(address)?.(device);
    this.opened.set(address, device);
    return device;
  }
}
