import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../src/devices/device-config.ts';
import { RootPort } from '../../src/devices/pci/root-port.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { CounterBlocks } from '../../src/vmm/counters/counter-blocks.ts';
import { counterShape } from '../../src/vmm/counters/counter-shape.ts';
import { answerAccess } from '../../src/vmm/machine/answer-exit.ts';
import { parseMachineConfig } from '../../src/vmm/machine/config.ts';
import { ConsolePorts } from '../../src/vmm/machine/console-ports.ts';
import { HostFiles } from '../../src/vmm/machine/host-files.ts';
import { Machine } from '../../src/vmm/machine/life-cycle.ts';
import { MachineLoop } from '../../src/vmm/machine/loop.ts';
import { buildMachine } from '../../src/vmm/machine/machine.ts';
import { SerialConsole } from '../../src/vmm/machine/serial-console.ts';
import { NativeVm } from '../../src/vmm/native/native.ts';
import { allocateCounters } from '../support/counters.ts';
import { CHUNK, checksum, makeLinux, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== null)("Linux's hotplug driver", () => {
  let directory: string;
  let kernel: string;
  let initrd: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vring-linux-'));
    ({ kernel, initrd } = await makeLinux(directory, 'hotplug.c'));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test('finds a disk that is plugged into a root port, and lets go of it, twice', async () => {
    const contents = [0, 1].map(round => Buffer.alloc(CHUNK, `disk ${round} `));
    const paths = contents.map((_, round) => join(directory, `disk${round}.img`));
    await Promise.all(contents.map((bytes, round) => writeFile(paths[round]!, bytes)));

    const config = parseMachineConfig({
      name: 'hotplug',
      memory: { bytes: 128 * 2 ** 20 },
      boot: { kind: 'kernel', path: kernel, initrd, append: 'console=ttyS0 quiet rodata=off' },
      devices: [{ type: 'root-port', name: 'port0', slot: 5 }],
      confine: 'off',
    });
    const shape = counterShape(config);
    const counters = allocateCounters(shape);
    const native = new NativeVm(counters, shape);
    try {
      const loop = new MachineLoop(native);
      const said: string[] = [];
      let printed = '';
      const consoles = new ConsolePorts(() => new SerialConsole(bytes => hear(bytes), loop));
      const failed = (what: unknown) => {
        throw new Error(`unexpected: ${JSON.stringify(what)}; the guest printed:\n${printed}`);
      };
      const parts = buildMachine(config, {
        native,
        loop,
        counters: new CounterBlocks(counters, shape),
        consoles,
        files: new HostFiles(native),
        origin: { kind: 'boot' },
        request: request => (request.kind === 'power-off' ? loop.stop() : failed(request)),
        reportBroken: (device, reason) => failed({ device, reason }),
        reportDiskErrors: (device, text) => failed({ device, text }),
        warn: failed,
      });
      const { chipset, services } = parts;
      const port = chipset.devices.map(({ device }) => device).find(device => device instanceof RootPort)!;
      let [round, ejected] = [0, 0];

      /** The guest looks for a disk, and the slot is empty: it powers the slot off a second after the disk has vanished. */
      const plug = () => {
        if (said.at(-1) === 'no disk' && port.secondary.functions.length === 0) {
          const options = deviceConfig.parse({ type: 'virtio-blk', path: paths[round++]!, format: 'raw' });
          const built = deviceTable.create(services, options, 'blk0');
          const place = { bus: 'port0', address: null };
          chipset.attach({ type: deviceTable.rowOf(options), built, place });
          port.announce();
        }
      };
      const hearLine = (line: string) => {
        said.push(line);
        plug();
        if (!line.startsWith('disk ')) return;
        port.requestRemoval(() => {
          const { device } = chipset.detach('blk0');
          device.quiesce!(() => device.close!());
          ejected++;
          plug();
        });
      };
      const hear = (bytes: Uint8Array) => {
        printed += Buffer.from(bytes).toString('latin1');
        const lines = [...printed.matchAll(/guest: (.*?)\r?\n/g)].map(match => match[1]!);
        for (const line of lines.slice(said.length)) hearLine(line);
      };

      const machine = new Machine(parts);
      machine.startThreads([]);
      machine.run();
      loop.run({
        exit: index => {
          const vcpu = parts.vcpus[index]!;
          if (!answerAccess(vcpu.run, parts.buses)) failed({ exit: vcpu.run.exitReason });
          native.completeVcpu(index);
        },
        parked: index => machine.vcpuParked(index),
        vcpuEnded: (_, errno) => failed({ errno }),
        idle: () => {},
        queueBroken: handle => parts.queues.broken(handle),
        diskErrors: handle => parts.queues.diskErrors(handle),
        queueEnded: handle => parts.queues.ended(handle),
      });
      consoles.flush();
      expect(said, printed).toEqual([
        'no disk',
        `disk ${checksum(contents[0]!)}`,
        'no disk',
        `disk ${checksum(contents[1]!)}`,
        'done',
      ]);
      // It powers off before the second one is ejected, or after.
      expect(ejected).toBeGreaterThan(0);
      expect(chipset.devices.map(({ device }) => device.name)).not.toContain('blk0');
    } finally {
      native.destroy();
    }
  }, 400_000);
});
