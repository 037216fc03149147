import type { RequestMachine } from '../../devices/device.ts';
import type { MachineServices, SleepStates } from '../../devices/machine-services.ts';
import type { HostDevices } from '../../devices/vfio/host-device.ts';
import type { MachineChars } from '../backends/char/machine-chars.ts';
import { openChar } from '../backends/char/open-chars.ts';
import { HostEntropy } from '../backends/host-entropy.ts';
import { HostScsiController } from '../backends/host-scsi.ts';
import { openImageDisk } from '../backends/image-disk.ts';
import { machineBackends } from '../backends/machine-backends.ts';
import { MachineHubs } from '../backends/net/machine-hubs.ts';
import { SEND_RING_BYTES } from '../backends/net/send-ring.ts';
import { WireBackend } from '../backends/net/wire-backend.ts';
import { RamDiscards } from '../backends/page-discards.ts';
import { PortMemory } from '../backends/port-memory.ts';
import { RING_BYTES } from '../backends/port-ring.ts';
import { openTpm } from '../backends/tpm/open-tpm.ts';
import type { CounterBlocks } from '../counters/counter-blocks.ts';
import type { Interrupts } from '../interrupts/interrupts.ts';
import type { IoEvent, VmFd } from '../kvm/vm-fd.ts';
import { allocateBlock, DeviceBlock, freeBlock } from '../memory/device-block.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';
import { eventfd, signalEventfd } from '../native/libc.ts';
import type { NativeVm } from '../native/native-vm.ts';
import type { QueueThreads } from '../native/queue-threads.ts';
import type { VhostMemory } from '../vhost/vhost-memory.ts';
import type { ConsolePorts } from './console-ports.ts';
import type { HostFiles } from './host-files.ts';
import type { MachineLoop } from './loop.ts';
import type { MachineClock } from './machine-clock.ts';

/** Callbacks for the guest's actions on its machine. */
export type MachineHost = {
  readonly request: RequestMachine;
  readonly reportBroken: (device: string, reason: string) => void;
  readonly reportDiskErrors: (device: string, text: string | null) => void;
  readonly pauseForDisk: (device: string, reason: string) => void;
  /** A device should be unplugged, at its host's request. */
  readonly requestUnplug: (device: string, reason: string) => void;
  /** Warns the user about something that does not stop the machine. */
  readonly warn: (text: string) => void;
  readonly consoles: ConsolePorts;
  readonly files: HostFiles;
};

type Base = MachineHost & {
  readonly native: NativeVm;
  readonly loop: MachineLoop;
  readonly counters: CounterBlocks;
};
type Parts = {
  readonly vm: VmFd;
  readonly memory: MachineMemory;
  readonly vhost: VhostMemory;
  readonly interrupts: Interrupts;
  readonly queues: QueueThreads;
  readonly clock: MachineClock;
  readonly chars: MachineChars;
  /** Default: 0. */
  readonly clockOffsetMs?: number;
  /** Default: all. */
  readonly sleepStates?: SleepStates;
  readonly hostDevices: HostDevices;
  readonly firmware: MachineServices['firmware'];
};

/** Those of a machine whose configuration disables none. */
export const ALL_SLEEP_STATES: SleepStates = { s3: true, s4: true };

/** The services that a machine offers its devices. */
export function machineServices(
  base: Base,
  {
    vm,
    memory,
    vhost,
    interrupts,
    queues,
    clock,
    chars,
    clockOffsetMs = 0,
    sleepStates = ALL_SLEEP_STATES,
    hostDevices,
    firmware,
  }: Parts,
): MachineServices {
  const { native, loop, counters, consoles, files } = base;
  const ports = { memory: memory.space.memory, events: loop, ownMemory: new PortMemory(native, RING_BYTES) };
  const networks = onceNeeded(() => ({
    sendMemory: new PortMemory(native, SEND_RING_BYTES),
    hubs: new MachineHubs(native.handle, name => counters.queue(name)),
  }));
  return {
    memory: memory.space.memory,
    allocateMemory: (name, size, kind) => {
      const block = allocateBlock(native, name, size);
      return new DeviceBlock(block, kind, memory, () => freeBlock(native, block));
    },
    clock,
    clockOffsetMs,
    sleepStates,
    events: loop,
    request: base.request,
    reportBroken: base.reportBroken,
    warn: base.warn,
    reportDiskErrors: base.reportDiskErrors,
    pauseForDisk: base.pauseForDisk,
    requestUnplug: base.requestUnplug,
    eventFds: {
      create: () => native.ownFd(eventfd()),
      signal: signalEventfd,
      close: fd => native.closeFd(fd),
    },
    attachDoorbell: (address, fd) => {
      const event: IoEvent = { fd, space: 'memory', address, length: 0 };
      vm.assignIoEvent(event);
      return () => vm.deassignIoEvent(event);
    },
    allocateMsi: () => interrupts.allocateMsi(),
    interruptLine: gsi => interrupts.line(gsi),
    replacePit: isReplaced => vm.replacePit(isReplaced),
    allocateQueueCounters: label => counters.queue(label),
    statistic: name => counters.statistic(name),
    entropy: new HostEntropy(native, queues),
    scsi: { createController: () => new HostScsiController({ native, queues, events: loop }) },
    discards: new RamDiscards({ ram: memory.ram, native, queues }),
    readFile: (path, limit) => files.readFile(path, limit),
    firmware,
    hostDevices,
    backends: machineBackends({
      disk: options => {
        const { disk, owner } = files.openDisk(options);
        return openImageDisk(disk, options, { queues, native, owner, ports });
      },
      net: ({ device }) => {
        const { wire, owner } = files.openWire(device);
        const forKernel = { memory: vhost, guest: memory.space.memory };
        return new WireBackend(device, wire, {
          queues,
          native,
          owner,
          ...networks(),
          events: loop,
          clock,
          vhost: forKernel,
        });
      },
      char: request =>
        openChar(request, {
          console: name => consoles.open(name),
          agent: name => consoles.open(name, true),
          opened: device => files.openWire(device),
          loop,
          chars,
          warn: base.warn,
        }),
      tpm: request => openTpm(request, { opened: device => files.openWire(device), loop, warn: base.warn }),
    }),
  };
}

/** Something created on first use, which most machines do not need. */
function onceNeeded<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
