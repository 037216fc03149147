import { beforeEach, describe, expect, test } from 'vitest';
import type { HostImage, HostImages } from '../../src/host-service/images.ts';
import type { HostSource } from '../../src/host-service/source.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

const DISKS = '/var/lib/vring/disks';
const GiB = 2 ** 30;

function image(path: string, change: Partial<HostImage> = {}): HostImage {
  return {
    ...{ path, format: 'raw', size: 20 * GiB, allocated: 3 * GiB, isBlockDevice: false, backing: [] },
    ...{ snapshots: [], problems: [], details: {}, definedFormat: null, definedIn: [] },
    ...change,
  };
}

const qcow2 = {
  format: 'qcow2',
  details: { version: 3, clusterSize: 65536, compression: 'zlib' },
} as const;

const found: HostImages = {
  images: [
    image(`${DISKS}/base.qcow2`, { ...qcow2, allocated: 2 * GiB }),
    image(`${DISKS}/db.img`, { definedIn: ['db'] }),
    image(`${DISKS}/web.qcow2`, {
      ...{ ...qcow2, size: 40 * GiB, allocated: 196_608, definedIn: ['web'] },
      backing: [{ path: `${DISKS}/base.qcow2`, format: 'qcow2' }],
      snapshots: [{ id: '1', name: 'before-upgrade', seconds: 1_790_000_000, vmStateBytes: 0 }],
    }),
    image('/srv/import/appliance.vmdk', { format: 'vmdk', size: 8 * GiB, allocated: GiB }),
    image('/srv/import/lost.img', {
      ...{ format: null, size: null, allocated: 0, definedIn: ['db'] },
      problems: ['/srv/import/lost.img cannot be opened: ENOENT'],
    }),
  ],
  folder: DISKS,
  problems: [],
};

let clock: ManualClock;
let engine: FakeEngine;
let driver: TerminalDriver;
let answer: () => HostImages;
let asked: unknown[];

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  answer = () => found;
  asked = [];
});

const host: HostSource = {
  unchangeable: null,
  recording: null,
  connect: () => ({
    client: {
      watch: () => {},
      usage: () => {},
      refresh: () => {},
      idle: async () => {},
      call: async (call: string, argument: unknown) => {
        if (call !== 'images') throw new Error(`nobody asks for ${call} here`);
        asked.push(argument);
        return answer();
      },
    } as never,
    onLost: () => {},
    close: async () => {},
  }),
};

async function start(columns = 80, rows = 24): Promise<void> {
  engine.add('web', complete);
  const { topology } = engine.vms()[0]!;
  const devices = topology!.devices.map(device =>
    device.backend === 'disk'
      ? { ...device, facts: [{ label: 'path', value: `${DISKS}/web.qcow2` } as const] }
      : device,
  );
  engine.become('web', 'running', { topology: { ...topology!, devices } });
  engine.add('db', complete);
  engine.become('db', 'off', {});
  driver = new TerminalDriver(engine, clock, columns, rows, { host });
  await driver.waitFor('q quit');
  driver.type(':images\r');
  await driver.waitFor('base.qcow2');
}

describe('disk images', () => {
  test.each([
    [60, 20],
    [80, 24],
    [120, 40],
    [170, 40],
  ])('at %i x %i', async (columns, rows) => {
    await start(columns, rows);
    driver.type('jj');
    if (columns >= 80) await driver.waitFor('before-upgrade');
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
  });

  test.each([
    ['n', 'New disk image', 80, 24],
    ['C', 'Convert ', 120, 40],
    ['Y', 'Apply a snapshot', 80, 24],
  ])('are changed by forms: %s opens %s at %i x %i', async (key, title, columns, rows) => {
    await start(columns, rows);
    // A running VM keeps its image from being changed.
    engine.become('web', 'off', {});
    await driver.waitFor('web (off)');
    driver.type(`jj${key}`);
    await driver.waitFor(title);
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
  });

  test('show the VMs that use them, and the images that they back', async () => {
    await start();
    expect(asked).toEqual([[`${DISKS}/web.qcow2`]]);
    await driver.waitFor(/Backs +\/var\/lib\/vring\/disks\/web.qcow2/);
    expect(driver.screen).toMatch(/VMs +web$/m);
    driver.type(KEY.enter);
    await driver.waitFor('Esc close');
    expect(driver.screen).toContain('version 3, clusters of 64K, zlib');
    driver.escape();
    await driver.waitFor('q quit');
    driver.type('j');
    await driver.waitFor(/VMs +db \(off\)/);
    driver.type('G');
    await driver.waitFor('/srv/import/lost.img cannot be opened: ENOENT');
    driver.type(`/vms:web${KEY.enter}`);
    await driver.waitFor('2/5 match');
    driver.type('0');
    await driver.waitFor('[0 Overview]');
  });

  test('are reread while they are shown, with the reason if that fails', async () => {
    await start();
    answer = () => ({ ...found, images: found.images.slice(0, 1) });
    clock.advance(5000);
    await driver.waitFor(/ 1 image$/m);
    answer = () => ({ images: [], folder: DISKS, problems: ['the folder /srv cannot be read: EACCES'] });
    driver.type('r');
    await driver.waitFor('No disk images: no VM has one');
    expect(driver.screen).toContain('EACCES');
  });
});
