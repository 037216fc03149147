import * as libc from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { RING_BYTES } from './port-ring.ts';

/** Memory that a port shares with the thread of its queue. */
export type OwnMemory = { readonly host: bigint; readonly size: number; readonly buffer: ArrayBuffer };

const PAGE = 4096;

/** The memory of a machine's disk ports, which takes space as it is used. What a port gives back, the next one gets. */
export class PortMemory {
  readonly #owner: ResourceOwner;
  readonly #free: OwnMemory[] = [];

  constructor(owner: ResourceOwner) {
    this.#owner = owner;
  }

  take(): OwnMemory {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const size = Math.ceil(RING_BYTES / PAGE) * PAGE;
    const flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_NORESERVE;
    const host = libc.mmap(size, libc.PROT_READ | libc.PROT_WRITE, flags, -1);
    this.#owner.ownMap(host, size);
    return { host, size, buffer: libc.viewOf(host, size) };
  }

  giveBack(memory: OwnMemory): void {
    this.#free.push(memory);
  }
}
