import type { BusRange } from '../../devices/bus.ts';
import type { Cancel } from '../../devices/device.ts';
import type { OwnMemory, WriteWatch } from '../../devices/device-memory.ts';
import { type HostBlock, PAGE } from '../../devices/host-block.ts';
import * as libc from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import type { MachineMemory } from './machine-memory.ts';
import { PRIORITY } from './memory-range.ts';
import { sealedMemfd } from './sealed-memfd.ts';

/** A new block with its own memfd. @param size a multiple of a page */
export function allocateBlock(owner: ResourceOwner, name: string, size: number): HostBlock {
  if (!Number.isSafeInteger(size) || size <= 0 || size % PAGE !== 0) {
    throw new RangeError(`${name} of ${size} bytes is not a multiple of ${PAGE}`);
  }
  const fd = owner.ownFd(sealedMemfd(name, size));
  const host = libc.mmap(size, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED | libc.MAP_NORESERVE, fd);
  owner.ownMap(host, size);
  libc.madvise(host, size, libc.MADV_DONTDUMP);
  return { name, size, host, fd, offset: 0, buffer: libc.viewOf(host, size) };
}

/** Returns a block's memory to the host. Its addresses in this process stay reserved until the owner unmaps them. */
export function freeBlock(owner: ResourceOwner, { fd, size }: HostBlock): void {
  libc.fallocate(fd!, libc.FALLOC_FL_PUNCH_HOLE | libc.FALLOC_FL_KEEP_SIZE, 0, size);
  owner.closeFd(fd!);
}

/** A block as the memory of a device, on a machine's address space. */
export class DeviceBlock implements OwnMemory {
  readonly block: HostBlock;
  readonly bytes: Uint8Array;
  readonly #kind: 'device' | 'rom';
  readonly #memory: Pick<MachineMemory, 'space' | 'dirtyLog'>;
  readonly #free: () => void;
  readonly #shown = new Set<BusRange>();
  #watches = 0;

  /** @param free called when it is released */
  constructor(
    block: HostBlock,
    kind: 'device' | 'rom',
    memory: Pick<MachineMemory, 'space' | 'dirtyLog'>,
    free: () => void,
  ) {
    this.block = block;
    this.bytes = new Uint8Array(block.buffer);
    this.#kind = kind;
    this.#memory = memory;
    this.#free = free;
  }

  get size(): number {
    return this.block.size;
  }

  writable(offset: number, length: number): Uint8Array {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new RangeError(`${this.block.name} has ${this.size} bytes, not ${length} at ${offset}`);
    }
    this.#memory.space.memory.writeLog?.wrote(this.block, offset, length);
    return this.bytes.subarray(offset, offset + length);
  }

  show(device: string, start: number): BusRange {
    const { block } = this;
    const place = { name: device, start, size: block.size, priority: PRIORITY.pci };
    const range = this.#memory.space.add({ kind: this.#kind, block, ...place });
    this.#shown.add(range);
    return range;
  }

  showPart(device: string, start: number, offset: number, size: number): Cancel {
    const { block } = this;
    const content = { kind: this.#kind, block, offset } as const;
    const range = this.#memory.space.add({
      ...content,
      name: device,
      start,
      size,
      priority: PRIORITY.window,
    });
    this.#shown.add(range);
    return () => {
      this.#shown.delete(range);
      range.remove();
    };
  }

  clear(): void {
    const { block } = this;
    if (block.fd === null) this.bytes.fill(0);
    else libc.fallocate(block.fd, libc.FALLOC_FL_PUNCH_HOLE | libc.FALLOC_FL_KEEP_SIZE, 0, block.size);
    this.#memory.space.memory.writeLog?.wrote(block, 0, block.size);
  }

  watch(): WriteWatch {
    const { block } = this;
    const { dirtyLog } = this.#memory;
    const user = `watch ${++this.#watches} of ${block.name}`;
    dirtyLog.start(user, [block]);
    return {
      collect: () => {
        const runs = dirtyLog.collect(user).get(block)!.runs();
        return [...runs].map(({ first, end }) => ({ start: first * PAGE, end: end * PAGE }));
      },
      stop: () => dirtyLog.stop(user),
    };
  }

  release(): void {
    this.#memory.space.batch(() => {
      for (const range of this.#shown) range.remove();
    });
    this.#shown.clear();
    this.#free();
  }
}
