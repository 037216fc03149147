import type { PortBus } from '../../devices/bus.ts';
import type { AccessSize } from '../../devices/device.ts';
import { EXIT } from '../kvm/constants.ts';
import type { RunPage } from '../kvm/run-page.ts';
import type { AddressSpace } from '../memory/address-space.ts';

export type Buses = { readonly ports: PortBus; readonly memory: AddressSpace };

/**
 * Answers an access to a port or to memory, in the page where KVM described it. Every exit for a device model takes
 * this path.
 * @returns false for any other exit.
 */
export function answerAccess(run: RunPage, buses: Buses): boolean {
  switch (run.exitReason) {
    case EXIT.IO:
      answerPorts(run, buses.ports);
      return true;
    case EXIT.MMIO:
      answerMemory(run, buses.memory);
      return true;
    default:
      return false;
  }
}

/** A string instruction accesses the same port repeatedly; the items are contiguous. */
function answerPorts(run: RunPage, ports: PortBus): void {
  const { ioSize, ioPort: port, ioCount: count, ioIsWrite: isWrite, data, ioDataOffset: at } = run;
  const size = ioSize as AccessSize;
  if (isWrite) ports.writeStringFrom(port, size, count, data, at);
  else ports.readStringTo(port, size, count, data, at);
}

function answerMemory(run: RunPage, memory: AddressSpace): void {
  if (run.mmioIsWrite) memory.writeFrom(run.mmioAddress, run.mmioLength, run.data, run.mmioDataOffset);
  else memory.readTo(run.mmioAddress, run.mmioLength, run.data, run.mmioDataOffset);
}
