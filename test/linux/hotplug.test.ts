import { closeSync, openSync, readSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../src/devices/device-config.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { fdsOf, openDisk } from '../../src/vmm/backends/open-disk.ts';
import { HotPlug } from '../../src/vmm/machine/hot-plug/hot-plug.ts';
import { diskFacts } from '../../src/vmm/machine/messages.ts';
import { LiveMachine } from '../support/live-machine.ts';
import { CHUNK, checksum, filled, makeLinux, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

/** Where the guest writes (hotplug.c), in chunks. */
const [FIRST, PLACES] = [1, 15];
/** How long it does, before its disk is to go. */
const BUSY_MS = 200;

function chunkOf(path: string, index: number): string {
  const fd = openSync(path, 'r');
  const bytes = Buffer.alloc(CHUNK);
  readSync(fd, bytes, 0, CHUNK, index * CHUNK);
  closeSync(fd);
  return checksum(bytes);
}

describe.skipIf(missing !== null)('Linux finds a disk that is plugged in, and releases it under I/O', () => {
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

  test.each([
    // Its driver waits for five seconds before it releases a device (pciehp_ctrl.c).
    ['in a root port, by its native driver', 1, 'root-port.1', 4],
    ['in a slot of bus 0, by ACPI', 0, 'pci.0', 10],
  ] as const)(
    '%s',
    async (_, ports, bus, rounds) => {
      const disks = Array.from({ length: rounds }, (_, round) => ({
        path: join(directory, `${bus}-${round}.img`),
        content: Buffer.alloc(CHUNK, `disk ${round} `),
      }));
      const empty = Buffer.alloc(PLACES * CHUNK);
      await Promise.all(disks.map(({ path, content }) => writeFile(path, Buffer.concat([content, empty]))));
      const live = new LiveMachine('', {
        memory: { bytes: 128 * 2 ** 20 },
        boot: { kind: 'kernel', path: kernel, initrd, append: 'console=ttyS0 quiet rodata=off' },
        rootPorts: { count: ports },
        confine: 'off',
      });
      try {
        const { machine, files } = live;
        const happened: string[] = [];
        const hotPlug = new HotPlug({
          busy: () => null,
          ...{ machine, files, deviceModules: [], changed: () => {} },
          happened: (_, text) => happened.push(text),
        });
        const said: string[] = [];
        const places: string[] = [];
        const writes: number[] = [];
        let round = 0;
        let isOut = true;

        /** Once the guest looks for a disk, and the last one is closed. */
        const plug = () => {
          if (said.at(-1) !== 'no disk' || !isOut) return;
          const next = disks[round];
          if (next === undefined) {
            live.end('all rounds are over');
            return;
          }
          isOut = false;
          const config = deviceConfig.parse({ type: 'virtio-blk', path: next.path, format: 'raw' });
          const disk = openDisk(deviceTable.disk(config)!);
          const facts = diskFacts(disk);
          hotPlug.plug(
            { config, name: 'blk0', disk: facts },
            { disk: fdsOf(disk), hostDevices: [] },
            outcome => places.push(outcome instanceof Error ? outcome.message : outcome.bus),
          );
        };
        const unplug = () =>
          hotPlug.unplug('blk0', false, error => {
            expect(error).toBeNull();
            isOut = true;
            round++;
            plug();
          });
        const onLine = (line: string) => {
          said.push(line);
          const count = /^wrote (.*)$/.exec(line)?.[1];
          if (count !== undefined) writes.push(Number.parseInt(count, 16));
          if (line.startsWith('disk ')) live.after(BUSY_MS, unplug);
          plug();
        };
        live.onPrinted = () => {
          const lines = [...live.output.matchAll(/guest: (.*?)\r?\n/g)].map(match => match[1]!);
          for (const line of lines.slice(said.length)) onLine(line);
        };
        machine.run();
        live.run();

        expect(live.ended, live.output).toBe('all rounds are over');
        expect(said.filter(line => line.startsWith('disk '))).toEqual(
          disks.map(({ content }) => `disk ${checksum(content)}`),
        );
        expect(places).toEqual(disks.map(() => bus));
        expect(happened.filter(text => text === 'blk0 was unplugged')).toHaveLength(rounds);
        for (const [index, { path }] of disks.entries()) {
          const count = writes[index]!;
          expect(count, path).toBeGreaterThan(0);
          // Each place has the last that was written there; the very last write may or may not have come through.
          for (let number = Math.max(1, count - PLACES + 2); number <= count; number++)
            expect(chunkOf(path, FIRST + ((number - 1) % PLACES)), `write ${number} of ${path}`).toBe(
              checksum(filled(number)),
            );
        }
        expect(machine.parts.chipset.devices.map(({ device }) => device.name)).not.toContain('blk0');
        expect(live.requests).toEqual([]);
      } finally {
        live.close();
      }
    },
    400_000,
  );
});
