import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../src/devices/device-config.ts';
import { deviceTable } from '../../src/devices/registry.ts';
import { openDisk } from '../../src/vmm/backends/open-disk.ts';
import { QUEUE } from '../../src/vmm/counters/counters.ts';
import { HotPlug } from '../../src/vmm/machine/hot-plug/hot-plug.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { LiveMachine } from '../support/live-machine.ts';

const MiB = 2 ** 20;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vring-scsi-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function makeDisk(name: string, bytes = 16 * MiB): string {
  const path = join(folder, name);
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

const results = ({ output }: LiveMachine) =>
  [...output.matchAll(/^result (blk.*?)\r?$/gm)].map(match => match[1]!.replace(/ backwards=0$/, ''));

function run(commands: string, devices: readonly object[], during: (live: LiveMachine) => void = () => {}) {
  const live = new LiveMachine(`quiet run="${commands}; halt"`, {
    devices: devices as never,
    confine: 'off',
  });
  try {
    during(live);
    live.machine.run();
    live.run();
    expect(live.ended, live.output).toBe('power-off');
    return { results: results(live), devices: live.machine.parts.chipset.labels };
  } finally {
    live.close();
  }
}

describe.skipIf(noKvm !== null)(onKvm('a guest that drives a SCSI controller in ring 3'), () => {
  test('has the commands of each disk and of the controller counted', () => {
    const words = [QUEUE.requests, QUEUE.bytesToGuest, QUEUE.bytesFromGuest, QUEUE.errors];
    const counts: number[][] = [];
    const live = new LiveMachine('quiet run="blk verify 500 scsi=0; blk verify 300 scsi=5; halt"', {
      devices: [
        { type: 'virtio-scsi', name: 'scsi0' },
        { type: 'scsi-hd', name: 'sd0', path: makeDisk('count-a.img'), format: 'raw' },
        { type: 'scsi-hd', name: 'sd1', path: makeDisk('count-b.img'), format: 'raw', addr: '5' },
        { type: 'scsi-cd', name: 'cd0' },
      ] as never,
      confine: 'off',
    });
    try {
      live.machine.run();
      live.run();
      for (const name of ['sd0', 'sd1', 'cd0', 'scsi0']) {
        counts.push(words.map(word => live.counted(name, word)));
      }
    } finally {
      live.close();
    }
    const [first, second, cd, all] = counts as [number[], number[], number[], number[]];
    // As many bytes are written as are read again, besides what the disks say of themselves.
    const blocks = 500 * 512;
    expect(first[2]).toBeGreaterThanOrEqual(blocks);
    expect(first[1]).toBeGreaterThanOrEqual(first[2]!);
    expect(second[2]! / first[2]!).toBeCloseTo(300 / 500);
    expect(cd[2]).toBe(0);
    for (const [index] of words.entries()) {
      expect(first[index]! + second[index]! + cd[index]!).toBeLessThanOrEqual(all[index]!);
    }
    expect(first[2]! + second[2]!).toBe(all[2]);
  });

  test.each([
    ['polling', ''],
    ['by interrupts', ' irq'],
    ['with indirect descriptors', ' indirect'],
  ])('writes, flushes and reads back on several disks of one controller, %s', (_, option) => {
    const disks = ['a', 'b'].map(name => makeDisk(`${name}${option.trim()}.img`));
    const { results } = run(
      `blk verify 500 scsi=0${option}; blk verify 300 scsi=5${option}; blk flush scsi=0`,
      [
        { type: 'virtio-scsi', name: 'scsi0', queues: 2 },
        { type: 'scsi-hd', path: disks[0], format: 'raw' },
        { type: 'scsi-hd', path: disks[1], format: 'raw', addr: '5' },
      ],
    );
    expect(results.map(line => line.replace(/us=\d+/, 'us'))).toEqual([
      'blk-verify blocks=500 bad=0 errors=0 complete=1',
      'blk-verify blocks=300 bad=0 errors=0 complete=1',
      'blk-flush us',
    ]);
    for (const path of disks) {
      const [fd, bytes] = [openSync(path, 'r'), Buffer.alloc(MiB)];
      let written = false;
      for (let at = 0; at < 16 * MiB; at += MiB) {
        readSync(fd, bytes, 0, MiB, at);
        written ||= bytes.some(byte => byte !== 0);
      }
      closeSync(fd);
      expect(written, path).toBe(true);
    }
  });

  test('exercises an uncached disk, each way', () => {
    const path = makeDisk('soak.img');
    const { results } = run('blk soak 24 scsi=0', [
      { type: 'virtio-scsi', name: 'scsi0' },
      { type: 'scsi-hd', path, format: 'raw', cache: 'none' },
    ]);
    expect(results).toHaveLength(1);
    expect(results[0]).toMatch(/^blk-soak rounds=24 blocks=\d+ bad=0 errors=0$/);
  });

  test('finds a disk that was hot-plugged, and not one that was unplugged', () => {
    const path = makeDisk('plugged.img');
    const outcomes: unknown[] = [];
    const { results: lines, devices } = run(
      'blk verify 100 scsi=0; spin 300ms; blk verify 100 scsi=1; spin 600ms; blk verify 10 scsi=1; blk verify 100 scsi=0',
      [
        { type: 'virtio-scsi', name: 'scsi0' },
        { type: 'scsi-hd', name: 'sd0', path: makeDisk('first.img'), format: 'raw' },
      ],
      live => {
        const { machine, files } = live;
        const hotPlug = new HotPlug({
          busy: () => null,
          ...{ machine, files, deviceModules: [], changed: () => {} },
          happened: (_, text) => outcomes.push(text),
        });
        let seen = 0;
        live.onPrinted = () => {
          const count = results(live).length;
          if (count === seen) return;
          seen = count;
          if (count === 1) {
            const config = deviceConfig.parse({ type: 'scsi-hd', path, format: 'raw' });
            const { fd, ...disk } = openDisk(deviceTable.disk(config)!);
            hotPlug.plug(
              { config, name: 'sd1', disk },
              { disk: [fd], hostDevices: [], wires: [] } as never,
              outcome => outcomes.push(outcome),
            );
          }
          if (count === 2) hotPlug.unplug('sd1', false, error => outcomes.push(error));
        };
      },
    );
    expect(lines).toEqual([
      'blk-verify blocks=100 bad=0 errors=0 complete=1',
      'blk-verify blocks=100 bad=0 errors=0 complete=1',
      'blk-verify blocks=100 bad=0 errors=0 complete=1',
    ]);
    expect(outcomes).toEqual([
      'sd1 was plugged in at 1:0 of scsi0',
      { bus: 'scsi0', addr: '1:0', noticed: false },
      'sd1 was unplugged',
      null,
    ]);
    expect(devices.map(({ name }) => name)).not.toContain('sd1');
  });
});
