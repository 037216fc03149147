import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../src/devices/device-config.ts';
import { RootPort } from '../../src/devices/pci/root-port.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { LiveMachine } from '../support/live-machine.ts';
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

  test('finds a disk that is plugged into a root port, and releases it, twice', async () => {
    const contents = [0, 1].map(round => Buffer.alloc(CHUNK, `disk ${round} `));
    const paths = contents.map((_, round) => join(directory, `disk${round}.img`));
    await Promise.all(contents.map((bytes, round) => writeFile(paths[round]!, bytes)));

    const live = new LiveMachine('', {
      memory: { bytes: 128 * 2 ** 20 },
      boot: { kind: 'kernel', path: kernel, initrd, append: 'console=ttyS0 quiet rodata=off' },
      devices: [{ type: 'root-port', name: 'port0', slot: 5 }],
      confine: 'off',
    });
    try {
      const said: string[] = [];
      const { chipset, services } = live.machine.parts;
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
        port.onReleased = () => {
          const { device } = chipset.detach('blk0');
          device.quiesce!(() => device.close!());
          ejected++;
          plug();
        };
        port.requestRemoval();
      };
      live.onPrinted = () => {
        const lines = [...live.output.matchAll(/guest: (.*?)\r?\n/g)].map(match => match[1]!);
        for (const line of lines.slice(said.length)) hearLine(line);
      };

      live.machine.run();
      live.run();
      expect([live.ended, live.requests], live.output).toEqual(['power-off', []]);
      expect(said, live.output).toEqual([
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
      live.close();
    }
  }, 400_000);
});
