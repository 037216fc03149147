import type { BusOptions } from '../../devices/bus.ts';
import { AddressSpace } from './address-space.ts';
import type { GuestRam } from './guest-ram.ts';
import { SHADOW, VGA_WINDOW } from './layout.ts';
import { Shadow, type ShadowMode } from './shadow.ts';

/** The memory of a machine, and what of it is special. */
export type MachineMemory = { readonly space: AddressSpace; readonly shadow: Shadow };

/** The address space of a machine with its RAM in it: all but the window of a VGA adapter. */
export function machineMemory(ram: GuestRam, initial: ShadowMode, bus: BusOptions): MachineMemory {
  const space = new AddressSpace({ ...bus, ram: ram.blocks });
  return space.batch(() => {
    const [low] = ram.blocks;
    const shadowEnd = SHADOW.start + SHADOW.size;
    const add = (block: typeof low, start: number, end: number) => {
      if (start < end) {
        const offset = start - block!.address;
        space.add({ kind: 'ram', name: block!.name, start, size: end - start, block: block!, offset });
      }
    };
    for (const block of ram.blocks) {
      const end = block.address + block.size;
      if (block !== low) add(block, block.address, end);
      else {
        add(block, 0, VGA_WINDOW.start);
        add(block, shadowEnd, end);
      }
    }
    return { space, shadow: new Shadow(space, low!, initial) };
  });
}
