import { closeSync, openSync, readSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../src/devices/device-config.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { openDisk } from '../../src/vmm/backends/open-disk.ts';
import { HotPlug } from '../../src/vmm/machine/hot-plug/hot-plug.ts';
import { run } from '../rig/tools.ts';
import { LiveMachine } from '../support/live-machine.ts';
import { CHUNK, checksum, DEVICES_KERNEL, filled, makeLinux, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux(DEVICES_KERNEL);
if (missing !== null) console.warn(`skipped: ${missing}`);

function chunkOf(path: string, index: number): Buffer {
  const fd = openSync(path, 'r');
  const bytes = Buffer.alloc(CHUNK);
  readSync(fd, bytes, 0, CHUNK, index * CHUNK);
  closeSync(fd);
  return bytes;
}

describe.skipIf(missing !== null)('Linux with a SCSI disk and a CD drive', () => {
  let directory: string;
  let kernel: string;
  let initrd: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vring-linux-'));
    ({ kernel, initrd } = await makeLinux(directory, 'scsi.c', DEVICES_KERNEL));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  const makeCd = async (name: string): Promise<string> => {
    const folder = join(directory, name);
    await mkdir(folder);
    await writeFile(join(folder, 'name.txt'), `${name}\n`);
    const file = join(directory, `${name}.iso`);
    await run('genisoimage', ['-quiet', '-J', '-R', '-o', file, folder]);
    return file;
  };

  test('reads and writes, mounts, ejects, changes the medium, and finds hot-plugged disks', async () => {
    const [first, second] = [await makeCd('first'), await makeCd('second')];
    const [disk, added] = [join(directory, 'disk.img'), join(directory, 'added.img')];
    const content = Buffer.alloc(CHUNK, 'content of the disk ');
    await writeFile(disk, Buffer.concat([content, Buffer.alloc(15 * CHUNK)]));
    await writeFile(added, Buffer.alloc(CHUNK, 'the disk that was added '));

    const live = new LiveMachine('', {
      memory: { bytes: 128 * 2 ** 20 },
      boot: {
        kind: 'kernel',
        path: kernel,
        initrd,
        append: 'console=ttyS0 quiet rodata=off',
      },
      devices: [
        // The kernel looks at each target, which takes long where its ring 0 is emulated.
        { type: 'virtio-scsi', name: 'scsi0', queues: 2, 'max-target': 3 },
        { type: 'scsi-hd', name: 'sd0', addr: '0:0', path: disk, format: 'raw' },
        { type: 'scsi-cd', name: 'cd0', addr: '0:1', path: first },
      ],
      confine: 'off',
    });
    try {
      const { machine, files } = live;
      const hotPlug = new HotPlug({
        busy: () => null,
        ...{ machine, files, deviceModules: [], changed: () => {} },
        happened: () => {},
      });
      const drive = machine.parts.chipset.part('cd0')!.built.capabilities!.disk!.drive!;
      const facts = () =>
        Object.fromEntries(
          machine.parts.chipset.part('cd0')!.built.facts!.map(({ label, value }) => [label, value]),
        );
      const medium = { path: second, format: undefined, readonly: true, cache: 'writeback' } as const;
      const said: string[] = [];
      const trays: unknown[] = [];
      drive.onChanged(() => trays.push(facts().tray));
      let plugged = 0;
      const plug = () => {
        const config = deviceConfig.parse({ type: 'scsi-hd', path: added, format: 'raw' });
        const { fd, ...opened } = openDisk(deviceTable.disk(config)!);
        hotPlug.plug({ config, name: 'sd1', disk: opened }, { disk: [fd], hostDevices: [] }, outcome => {
          if (outcome instanceof Error) live.end(outcome.message);
          else {
            plugged++;
            expect(outcome).toEqual({ bus: 'scsi0', addr: '1:0', noticed: true });
          }
        });
      };
      const onLine = (line: string) => {
        said.push(line);
        if (line === 'locked') {
          expect(() => drive.change(medium, false)).toThrow(/the guest has locked the tray of cd0/);
          live.type('com1', '\n');
        }
        if (line === 'ejected') {
          live.after(200, () => drive.change(medium, false));
        }
        if (line === 'no disk') {
          if (plugged === 2) live.end('all steps are over');
          else plug();
        }
        if (line.startsWith('added ')) live.after(200, () => hotPlug.unplug('sd1', false, () => {}));
      };
      live.onPrinted = () => {
        const lines = [...live.output.matchAll(/guest: (.*?)\r?\n/g)].map(match => match[1]!);
        for (const line of lines.slice(said.length)) onLine(line);
      };
      machine.run();
      live.run();

      expect(live.ended, live.output).toBe('all steps are over');
      const addedLine = `added ${checksum(chunkOf(added, 0))}`;
      expect(said).toEqual([
        `read ${checksum(content)}`,
        `read-back ${checksum(filled(7))}`,
        'cd first',
        'locked',
        'ejected',
        'cd second',
        ...['no disk', addedLine, 'no disk', addedLine, 'no disk'],
      ]);
      for (let index = 1; index < 8; index++) expect(chunkOf(disk, index)).toEqual(filled(index));
      expect(trays).toEqual(expect.arrayContaining(['locked', 'open']));
      expect(facts()).toMatchObject({ path: second, tray: expect.stringMatching(/closed|locked/) });
      expect(live.requests).toEqual([]);
    } finally {
      live.close();
    }
  }, 400_000);
});
