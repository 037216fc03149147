import type { GuestMemory } from '../../src/devices/guest-memory.ts';
import { PortMemory } from '../../src/vmm/backends/port-memory.ts';
import { RING_BYTES } from '../../src/vmm/backends/port-ring.ts';
import type { NativeVm } from '../../src/vmm/native/native-vm.ts';
import { QueueThreads } from '../../src/vmm/native/queue-threads.ts';
import { FakeMemory } from './fake-memory.ts';
import { NativeEvents } from './native-events.ts';

/** Opens the disks of a VM that a test has made. */
export function diskParts(
  native: NativeVm,
  {
    queues = new QueueThreads(native),
    memory = new FakeMemory(0),
  }: { queues?: QueueThreads; memory?: GuestMemory } = {},
) {
  const events = new NativeEvents(native, queues);
  const ports = { memory, events, ownMemory: new PortMemory(native, RING_BYTES) };
  return { queues, native, owner: native, ports };
}
