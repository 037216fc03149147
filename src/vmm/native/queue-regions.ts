import type { MemoryRegion } from '../../devices/guest-memory.ts';
import type { HostBlock } from '../../devices/host-block.ts';
import { regionStruct } from './abi.ts';
import { checked, nativeCalls } from './native-library.ts';

/** A part of guest memory for queue threads. */
export type QueueRegion = MemoryRegion & {
  /** Address of its block's log (queue-memory.ts); absent if it has none. */
  readonly log?: bigint;
  /** Its offset in its block. */
  readonly offset?: number;
  /** Whether they may not write it; default: false. */
  readonly readonly?: boolean;
  /** How its pages are returned to the host; null or absent: they are not. */
  readonly discard?: HostBlock['discard'] | null;
};

/** The advice for madvise(2). */
const DISCARDS = { remove: 9n, dontneed: 4n } as const;

/**
 * Sets the guest RAM that queue threads may access. Running threads switch soon, between two steps of their requests.
 */
export function setMemory(vm: number, regions: readonly QueueRegion[]): void {
  const bytes = new Uint8Array(regions.length * regionStruct.size);
  regions.forEach((region, index) => {
    const { address, size, host, log = 0n, offset = 0, readonly = false, discard = null } = region;
    const value = {
      gpa: BigInt(address),
      size: BigInt(size),
      host,
      log,
      offset: BigInt(offset),
      readonly: readonly ? 1n : 0n,
      discard: discard === null ? 0n : DISCARDS[discard],
    };
    regionStruct.write(bytes, value, index * regionStruct.size);
  });
  checked('vring_vm_set_memory', nativeCalls().vring_vm_set_memory(vm, bytes, regions.length));
}

/** Sets whether pages of guest RAM may be returned to the host. With false, none are being returned afterwards. */
export function allowDiscards(vm: number, allowed: boolean): void {
  checked('vring_vm_allow_discards', nativeCalls().vring_vm_allow_discards(vm, Number(allowed)));
}
