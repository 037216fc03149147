import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { PortBus } from '../../../src/devices/bus.ts';
import type { EventLoop } from '../../../src/devices/device.ts';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { MachineChars } from '../../../src/vmm/backends/char/machine-chars.ts';
import { Chipset } from '../../../src/vmm/chipset/chipset.ts';
import { CounterBlocks } from '../../../src/vmm/counters/counter-blocks.ts';
import { Interrupts } from '../../../src/vmm/interrupts/interrupts.ts';
import { Kvm } from '../../../src/vmm/kvm/kvm.ts';
import { ConsolePorts } from '../../../src/vmm/machine/console-ports.ts';
import { HostFiles } from '../../../src/vmm/machine/host-files.ts';
import type { MachineLoop } from '../../../src/vmm/machine/loop.ts';
import { MachineClock } from '../../../src/vmm/machine/machine-clock.ts';
import { machineServices } from '../../../src/vmm/machine/services.ts';
import { GuestRam } from '../../../src/vmm/memory/guest-ram.ts';
import { KvmSlots } from '../../../src/vmm/memory/kvm-slots.ts';
import { ECAM } from '../../../src/vmm/memory/layout.ts';
import { machineMemory } from '../../../src/vmm/memory/machine-memory.ts';
import { QueueMemory } from '../../../src/vmm/memory/queue-memory.ts';
import { SHADOW_RAM } from '../../../src/vmm/memory/shadow.ts';
import { EVENT } from '../../../src/vmm/native/abi.ts';
import { NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { QueueThreads } from '../../../src/vmm/native/queue-threads.ts';
import { nativeLogs } from '../../../src/vmm/vhost/native-log.ts';
import { VhostMemory } from '../../../src/vmm/vhost/vhost-memory.ts';
import { allocateCounters } from '../../support/counters.ts';
import { holdings } from '../../support/holdings.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;
const SHAPE = { vcpus: 1, queues: 8, regions: 40 };
const natives: NativeVm[] = [];
afterEach(() => {
  for (const native of natives.splice(0)) native.destroy();
});

/** Events of the native reactor, which a test takes by hand. */
class NativeLoop implements EventLoop {
  readonly watchers = new Map<number, (count: number) => void>();
  readonly #native: NativeVm;
  readonly #soon: (() => void)[] = [];
  #token = 1;

  constructor(native: NativeVm) {
    this.#native = native;
  }

  watch(fd: number, onSignal: (count: number) => void): () => void {
    const token = this.#token++;
    this.watchers.set(token, onSignal);
    this.#native.watchEventFd(fd, token);
    return () => {
      if (this.watchers.delete(token)) this.#native.unwatch(fd);
    };
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  turn(): void {
    for (const callback of this.#soon.splice(0)) callback();
    const count = this.#native.poll();
    for (let i = 0; i < count; i++) {
      if (this.#native.eventKind(i) !== EVENT.fd) continue;
      this.watchers.get(this.#native.eventToken(i))?.(this.#native.eventAux(i));
    }
  }

  now = () => process.hrtime.bigint();
  at = () => () => {};
  wallMs = () => Date.now();
}

/** A machine on KVM with a root port and without vCPUs: the test does to the registers what its guest would. */
function rig() {
  const counters = allocateCounters(SHAPE);
  const native = new NativeVm(counters, SHAPE);
  natives.push(native);
  const loop = new NativeLoop(native);
  const blocks = new CounterBlocks(counters, SHAPE);
  const kvm = Kvm.open(native);
  const vm = kvm.createVm();
  const ram = new GuestRam(native, { bytes: 4 * MiB });
  const bus = { counters: blocks.region.bind(blocks) };
  const slots = new KvmSlots(vm, kvm.capability('NR_MEMSLOTS'));
  const memory = machineMemory({ ram, slots, queues: new QueueMemory(native), shadow: SHADOW_RAM, bus });
  vm.createIrqchip();
  const interrupts = new Interrupts(vm, loop, native);
  const never = (what: unknown) => {
    throw new Error(`unexpected: ${JSON.stringify(what)}`);
  };
  const base = {
    native,
    loop: loop as unknown as MachineLoop,
    counters: blocks,
    request: never,
    reportBroken: never,
    reportDiskErrors: never,
    pauseForDisk: never,
    requestUnplug: never,
    warn: never,
    consoles: new ConsolePorts(never),
    files: new HostFiles(native),
  };
  const parts = {
    ...{ vm, memory, interrupts },
    vhost: new VhostMemory(nativeLogs(native)),
    queues: new QueueThreads(native),
    clock: new MachineClock(loop),
    chars: new MachineChars(),
    hostDevices: { open: never },
    firmware: null,
  };
  const services = machineServices(base, parts);
  const ports = new PortBus(bus);
  const chipset = new Chipset({ ports, memory: memory.space, services, ramEnd: 4 * MiB });
  const port = new RootPort('port0', { slot: 1, allocateMsi: services.allocateMsi });
  chipset.pci.root.plug(port, { slot: 2, function: 0 });
  chipset.pci.assign();
  const write = (address: number, size: 1 | 2 | 4, value: number) => memory.space.write(address, size, value);
  const read = (address: number, size: 1 | 2 | 4) => memory.space.read(address, size);
  return { native, loop, blocks, interrupts, services, port, memory, write, read };
}

type Rig = ReturnType<typeof rig>;

/** What a guest does with a new device: it powers the slot, places the BAR and starts a queue with MSI-X, or with INTx. */
function use({ write, read, loop, memory }: Rig, msix: boolean): void {
  const [port, device, bar] = [ECAM.start + 2 * 0x8000, ECAM.start + MiB, 0xc000_0000];
  const capability = (base: number, id: number) => {
    let at = read(base + 0x34, 1);
    while (at !== 0 && read(base + at, 1) !== id) at = read(base + at + 1, 1);
    return base + at;
  };
  write(capability(port, 0x10) + 24, 2, 0x1c0);
  expect(read(device, 2)).toBe(0x1af4);
  write(device + 0x10, 4, bar);
  write(device + 4, 2, 6);
  if (msix) {
    write(capability(device, 0x11) + 2, 2, 0x8000);
    for (const vector of [0, 1]) {
      write(bar + 0x4000 + 16 * vector, 4, 0xfee0_0000);
      write(bar + 0x4000 + 16 * vector + 8, 4, 0x41 + vector);
      write(bar + 0x4000 + 16 * vector + 12, 4, 0);
    }
  }
  for (const status of [1, 3]) write(bar + 0x14, 1, status);
  write(bar + 8, 4, 1);
  write(bar + 12, 4, 1);
  write(bar + 0x14, 1, 11);
  write(bar + 0x16, 2, 0);
  if (msix) write(bar + 0x1a, 2, 1);
  write(bar + 0x18, 2, 8);
  [0x20, 0x28, 0x30].forEach((field, i) => {
    write(bar + field, 4, 0x1_0000 + 0x1000 * i);
  });
  memory.space.memory.writable(0x1_0000, 0x3000).fill(0);
  write(bar + 0x1c, 2, 1);
  write(bar + 0x14, 1, 15);
  expect(read(bar + 0x14, 1)).toBe(15);
  loop.turn();
}

/** Everything that the machine holds, in the kernel, in the native library and in its books. */
function held({ loop, blocks, interrupts }: Rig) {
  const { threads, fds, mappings } = holdings();
  const { queues, regions } = blocks.labels;
  const labels = [...queues, ...regions].map(({ device }) => device);
  return { threads, fds, mappings, labels, watchers: loop.watchers.size, gsis: interrupts.allocatedGsis };
}

describe.skipIf(noKvm !== null)(
  onKvm('a device that is plugged in, used and unplugged a thousand times'),
  () => {
    const disk = () => {
      const path = join(temporaryFolder(), 'disk.img');
      const fd = openSync(path, 'w');
      ftruncateSync(fd, MiB);
      closeSync(fd);
      return { type: 'virtio-blk', path, format: 'raw' };
    };

    test.each([
      ['virtio-blk', disk],
      ['virtio-rng', () => ({ type: 'virtio-rng' })],
    ])('leaves nothing behind: %s', { timeout: 180_000 }, (_, options) => {
      const machine = rig();
      const config = deviceConfig.parse(options());
      const before = held(machine);
      for (let round = 0; round < 1000; round++) {
        const { device, pci } = deviceTable.create(machine.services, config, 'dev0');
        machine.port.insert([pci!]);
        use(machine, round % 2 === 0);
        if (round === 0) {
          const now = held(machine);
          expect(now.fds.length).toBeGreaterThan(before.fds.length);
          expect(now.labels.length).toBeGreaterThan(before.labels.length);
          expect(now.gsis).toBeGreaterThan(before.gsis);
        }
        machine.port.remove();
        device.close!();
        machine.loop.turn();
      }
      machine.loop.turn();
      expect(held(machine)).toEqual(before);
    });
  },
);
