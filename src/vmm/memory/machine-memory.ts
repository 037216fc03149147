import type { BusOptions } from '../../devices/bus.ts';
import type { HostBlock } from '../../devices/host-block.ts';
import type { VhostMemory } from '../vhost/vhost-memory.ts';
import { AddressSpace } from './address-space.ts';
import { DirtyLog } from './dirty-log.ts';
import type { GuestRam } from './guest-ram.ts';
import type { KvmSlots } from './kvm-slots.ts';
import { SHADOW, VGA_WINDOW } from './layout.ts';
import type { QueueMemory } from './queue-memory.ts';
import { Shadow, type ShadowMode } from './shadow.ts';

/** The memory of a machine. */
export type MachineMemory = {
  readonly ram: GuestRam;
  readonly space: AddressSpace;
  readonly shadow: Shadow;
  readonly dirtyLog: DirtyLog;
};

export type MachineMemoryOptions = {
  readonly ram: GuestRam;
  readonly slots: KvmSlots;
  /** Absent without queue threads. */
  readonly queues?: QueueMemory;
  /** Absent if the kernel serves no queues. */
  readonly vhost?: VhostMemory;
  /** What is mapped from 768 KiB to 1 MiB at power-on. */
  readonly shadow: ShadowMode;
  readonly bus: BusOptions;
};

/** A machine's address space with its RAM mapped, except in the window of a VGA adapter. */
export function machineMemory({
  ram,
  slots,
  queues,
  vhost,
  shadow,
  bus,
}: MachineMemoryOptions): MachineMemory {
  const space = new AddressSpace({ ...bus, ram: ram.blocks });
  const followers = [slots, queues, vhost].filter(each => each !== undefined);
  for (const follower of followers) space.listen(follower);
  return space.batch(() => {
    const [low, ...others] = ram.blocks;
    addRam(space, low!, 0, VGA_WINDOW.start);
    addRam(space, low!, SHADOW.start + SHADOW.size, low!.size);
    for (const block of others) addRam(space, block, 0, block.size);
    const dirtyLog = new DirtyLog(followers, [space.memory, ram]);
    return { ram, space, shadow: new Shadow(space, low!, shadow), dirtyLog };
  });
}

/** Maps [from, to) of a block at its address. */
function addRam(
  space: AddressSpace,
  block: HostBlock & { readonly address: number },
  from: number,
  to: number,
): void {
  if (from >= to) return;
  const { name, address } = block;
  space.add({ kind: 'ram', name, start: address + from, size: to - from, block, offset: from });
}
