import * as libc from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';

/** Memory that a port shares with its queue's thread. */
export type OwnMemory = { readonly host: bigint; readonly size: number; readonly buffer: ArrayBuffer };

const PAGE = 4096;

/** Memory for a machine's ports of one kind, committed as it is used. The next port reuses what one has released. */
export class PortMemory {
  readonly #owner: ResourceOwner;
  readonly #bytes: number;
  readonly #free: OwnMemory[] = [];

  /** @param bytes per port */
  constructor(owner: ResourceOwner, bytes: number) {
    this.#owner = owner;
    this.#bytes = bytes;
  }

  take(): OwnMemory {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const size = Math.ceil(this.#bytes / PAGE) * PAGE;
    const flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_NORESERVE;
    const host = libc.mmap(size, libc.PROT_READ | libc.PROT_WRITE, flags, -1);
    this.#owner.ownMap(host, size);
    return { host, size, buffer: libc.viewOf(host, size) };
  }

  giveBack(memory: OwnMemory): void {
    this.#free.push(memory);
  }
}
