import type { BusRange } from '../../devices/bus.ts';
import type { IoHandler } from '../../devices/device.ts';
import type { DeviceMemory, WriteWatch } from '../../devices/device-memory.ts';
import type { HostBlock } from '../../devices/host-block.ts';
import type { HostRegion } from '../../devices/vfio/host-device.ts';
import { RegionAccess } from '../../devices/vfio/region-access.ts';
import type { AddressSpace } from '../memory/address-space.ts';
import { PRIORITY } from '../memory/memory-range.ts';
import * as libc from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';

export type RegisterMemoryOptions = {
  /** Name of the block: `0000:01:10.0 BAR 0`. */
  readonly name: string;
  readonly owner: ResourceOwner;
  readonly space: AddressSpace;
  /** The device's file, and the offset of the part in it. */
  readonly fd: number;
  readonly fileOffset: number;
  readonly size: number;
  /** The region to which it belongs, from `offset` on. */
  readonly region: Pick<HostRegion, 'size' | 'readable' | 'writable' | 'read' | 'write'>;
  readonly offset: number;
  readonly released: (memory: RegisterMemory) => void;
};

/**
 * A mapped part of a host device's region. The guest accesses it without an exit; an access that exits after all, such
 * as one in a page shared with a device model, goes through the device's file.
 */
export class RegisterMemory implements DeviceMemory {
  readonly size: number;
  readonly #block: HostBlock;
  readonly #space: AddressSpace;
  readonly #handler: IoHandler;
  /** Whether the region ends before it does. */
  readonly #isPartial: boolean;
  readonly #onRelease: (memory: RegisterMemory) => void;
  readonly #shown = new Set<BusRange>();
  #released = false;

  /** @throws SystemError */
  constructor(options: RegisterMemoryOptions) {
    const { name, owner, space, fd, fileOffset, size, region, offset } = options;
    const protection = (region.readable ? libc.PROT_READ : 0) | (region.writable ? libc.PROT_WRITE : 0);
    const host = libc.mmap(size, protection, libc.MAP_SHARED, fd, fileOffset);
    owner.ownMap(host, size);
    this.size = size;
    this.#isPartial = offset + size > region.size;
    this.#space = space;
    this.#onRelease = options.released;
    this.#block = { name, size, host, fd: null, offset: 0, buffer: libc.viewOf(host, size), registers: true };
    // If the device is gone, its model warns the user.
    this.#handler = new RegionAccess(region, () => {}, offset);
  }

  get bytes(): Uint8Array {
    if (this.#released) throw new Error(`${this.#block.name} has been released`);
    return new Uint8Array(this.#block.buffer);
  }

  writable(offset: number, length: number): Uint8Array {
    return this.bytes.subarray(offset, offset + length);
  }

  show(device: string, start: number): BusRange {
    const range = this.#space.add({
      kind: 'device',
      block: this.#block,
      name: device,
      start,
      size: this.size,
      priority: this.#isPartial ? PRIORITY.page : PRIORITY.pci,
      handler: this.#handler,
    });
    this.#shown.add(range);
    return range;
  }

  /** A device's writes to its own registers are unknown. */
  watch(): WriteWatch {
    throw new Error(`writes to ${this.#block.name} cannot be watched`);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#space.batch(() => {
      for (const range of this.#shown) range.remove();
    });
    this.#shown.clear();
    // The mapping keeps the device open. Its addresses stay reserved until the owner unmaps them.
    const flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_NORESERVE;
    libc.mmapOver(this.#block.host, this.size, libc.PROT_NONE, flags);
    this.#onRelease(this);
  }
}
