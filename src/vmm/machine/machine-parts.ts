import type { DeviceTable } from '../../devices/device-table.ts';
import type { MachineServices } from '../../devices/machine-services.ts';
import type { MachineChars } from '../backends/char/machine-chars.ts';
import type { BootEntry } from '../boot/boot-entry.ts';
import type { Chipset } from '../chipset/chipset.ts';
import type { MachineVcpus } from '../cpu/machine-vcpus.ts';
import type { Interrupts } from '../interrupts/interrupts.ts';
import type { Kvm } from '../kvm/kvm.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import type { GuestRam } from '../memory/guest-ram.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';
import type { NativeVm } from '../native/native-vm.ts';
import type { QueueThreads } from '../native/queue-threads.ts';
import type { HostDevicesWhenNeeded } from '../vfio/host-devices-when-needed.ts';
import type { Buses } from './answer-exit.ts';
import type { MachineClock } from './machine-clock.ts';

/** The parts of a machine. All of them last as long as the machine, across resets by the guest. */
export type MachineParts = {
  readonly native: NativeVm;
  readonly kvm: Kvm;
  readonly vm: VmFd;
  readonly vcpus: MachineVcpus;
  readonly ram: GuestRam;
  readonly memory: MachineMemory;
  readonly interrupts: Interrupts;
  readonly clock: MachineClock;
  readonly buses: Buses;
  readonly chipset: Chipset;
  readonly queues: QueueThreads;
  readonly chars: MachineChars;
  /** The device models that it may have, including those of its device modules. */
  readonly table: DeviceTable;
  readonly hostDevices: HostDevicesWhenNeeded;
  /** The services with which hot-plugged devices are created. */
  readonly services: MachineServices;
  /**
   * Loads the kernel, if there is one, into empty RAM, as at the first start.
   * @returns where the first vCPU starts. @throws BootError
   */
  readonly boot: () => BootEntry | 'firmware';
};
