import { CONFIG_SIZE, EXTENDED_CONFIG_SIZE, REG, STATUS } from '../pci/registers.ts';
import type { HostRegion } from './host-device.ts';

/** A capability of a device: its offset, and the bytes up to the next one. */
export type FoundCapability = {
  readonly id: number;
  readonly at: number;
  /** At least 4: up to the next capability, or the end of the space. */
  readonly room: number;
  /** The version of an extended capability. */
  readonly version: number;
};

const DWORD = 4;

/** The configuration space of a host's device, as of when the machine is built. */
export class HostConfig {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  /** @param bytes 256, or 4,096 with the extended part */
  constructor(bytes: Uint8Array) {
    this.bytes = new Uint8Array(EXTENDED_CONFIG_SIZE);
    this.bytes.set(bytes.subarray(0, EXTENDED_CONFIG_SIZE));
    this.#view = new DataView(this.bytes.buffer);
  }

  /** @throws HostDeviceError */
  static read(region: Pick<HostRegion, 'size' | 'read'>): HostConfig {
    const size = Math.min(region.size, EXTENDED_CONFIG_SIZE) & ~(DWORD - 1);
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += DWORD) region.read(at, bytes.subarray(at, at + DWORD));
    return new HostConfig(bytes);
  }

  u8(at: number): number {
    return this.#view.getUint8(at);
  }

  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** The capabilities in the order of their offsets (PCI Local Bus 3.0 §6.7). A damaged list ends at the damage. */
  get capabilities(): FoundCapability[] {
    if ((this.u16(REG.status) & STATUS.capabilities) === 0) return [];
    const found = new Map<number, number>();
    for (let at = this.u8(REG.capabilities) & ~3; at >= REG.firstCapability; at = this.u8(at + 1) & ~3) {
      if (found.has(at)) break;
      found.set(at, this.u8(at));
    }
    return withRoom(
      [...found].map(([at, id]) => ({ id, at, version: 0 })),
      CONFIG_SIZE,
    );
  }

  /** The extended capabilities in the order of their offsets (PCI Express Base 4.0 §7.6.3). */
  get extendedCapabilities(): FoundCapability[] {
    const found = new Map<number, { id: number; version: number }>();
    for (let at: number = CONFIG_SIZE; at >= CONFIG_SIZE && at <= EXTENDED_CONFIG_SIZE - DWORD; ) {
      const header = this.u32(at);
      if (header === 0 || header === 0xffff_ffff || found.has(at)) break;
      found.set(at, { id: header & 0xffff, version: (header >>> 16) & 0xf });
      at = (header >>> 20) & ~3;
    }
    return withRoom(
      [...found].map(([at, header]) => ({ ...header, at })),
      EXTENDED_CONFIG_SIZE,
    );
  }
}

function withRoom(found: readonly Omit<FoundCapability, 'room'>[], end: number): FoundCapability[] {
  const sorted = [...found].sort((a, b) => a.at - b.at);
  return sorted.map((each, index) => ({ ...each, room: (sorted[index + 1]?.at ?? end) - each.at }));
}
