import type { GuestMemory } from '../../devices/guest-memory.ts';
import { ECAM, KERNEL_START, KVM_IDENTITY_MAP, LOW_MEMORY } from '../memory/layout.ts';

/** One range of the memory map passed to a kernel, in the form that all three protocols share (ACPI 6.5 §15, E820). */
export type MapEntry = { readonly address: number; readonly size: number; readonly type: MapType };
export type MapType = typeof RAM | typeof RESERVED;

export const RAM = 1;
const RESERVED = 2;

/** KVM's identity map and TSS, up to the firmware of a PC: 4 pages. */
export const KVM_PAGES_SIZE = 0x4000;

/** The guest's physical memory map: ascending, not overlapping. */
export function memoryMap(memory: GuestMemory): MapEntry[] {
  const map: MapEntry[] = [];
  for (const { address, size } of memory.regions) {
    if (address > 0) {
      map.push({ address, size, type: RAM });
      continue;
    }
    map.push(
      { address: 0, size: LOW_MEMORY.end, type: RAM },
      { address: LOW_MEMORY.end, size: KERNEL_START - LOW_MEMORY.end, type: RESERVED },
      { address: KERNEL_START, size: size - KERNEL_START, type: RAM },
    );
  }
  map.push(
    { address: ECAM.start, size: ECAM.size, type: RESERVED },
    { address: KVM_IDENTITY_MAP, size: KVM_PAGES_SIZE, type: RESERVED },
  );
  return map.sort((a, b) => a.address - b.address);
}

/** The end of the RAM that starts at address 0. */
export function lowRamEnd(memory: GuestMemory): number {
  return memory.regions.find(region => region.address === 0)?.size ?? 0;
}
