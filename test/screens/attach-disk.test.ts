import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

const CTRL_S = '\x13';
const RIGHT = '\x1b[C';

let clock: ManualClock;
let engine: FakeEngine;
let driver: TerminalDriver;
let folder: string;
let disk: string;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  folder = temporaryFolder();
  mkdirSync(join(folder, 'images'));
  disk = join(folder, 'images', 'data.raw');
  writeFileSync(disk, '');
});

/** The tab of disks of a VM. */
async function start({ defined = true, columns = 80, rows = 24 } = {}): Promise<void> {
  const id = engine.add('db', complete, { defined });
  const { topology } = engine.vms().find(vm => vm.id === id)!;
  const places = { rootPorts: [], devices: [{ name: 'blk0', bus: 'pci.0', addr: null }] };
  engine.become(id, 'running', { topology: { ...topology!, places } });
  driver = new TerminalDriver(engine, clock, columns, rows);
  await driver.waitFor('q quit');
  driver.type(`${KEY.enter}5`);
  await driver.waitFor('DISK');
}

describe('a disk is attached', () => {
  test.each([
    [60, 20],
    [80, 24],
    [120, 40],
  ])('with a form, at %i x %i', async (columns, rows) => {
    await start({ columns, rows });
    driver.type('a');
    await driver.waitFor('Attach a disk to db');
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
  });

  test('to a running VM, with path completion', async () => {
    await start();
    driver.type('a');
    await driver.waitFor('Attach a disk to db');
    driver.type(`${folder}/im`);
    await driver.waitFor('/im ');
    driver.type(KEY.tab);
    await driver.waitFor('/images/');
    driver.type(KEY.tab);
    await driver.waitFor('data.raw');
    driver.type(CTRL_S);
    await driver.waitFor('virtio-blk0 is in db, at 00:05.0');
    expect(engine.calls).toEqual(['attach virtio-blk to db']);
    expect(engine.attached).toEqual([{ type: 'virtio-blk', path: disk }]);
    expect(driver.screen).not.toContain('Attach a disk');
  });

  test('read-only, as a raw image, and persistently', async () => {
    await start();
    driver.type('a');
    await driver.waitFor('Attach a disk to db');
    driver.type(`${disk}${KEY.down} ${KEY.down} ${KEY.down}${KEY.down} `);
    await driver.waitFor(/In definition +\[x\]/);
    expect(driver.screen).toMatch(/Read-only +\[x\]/);
    expect(driver.screen).toMatch(/Format +detect +\[raw\]/);
    driver.type(CTRL_S);
    await driver.waitFor('virtio-blk0 is in db and its definition, at 00:05.0');
    expect(engine.calls).toEqual(['attach virtio-blk for good to db']);
    expect(engine.attached).toEqual([{ type: 'virtio-blk', path: disk, readonly: true, format: 'raw' }]);
  });

  test('as an NVMe disk', async () => {
    await start();
    driver.type('a');
    await driver.waitFor('Attach a disk to db');
    driver.type(`${disk}${KEY.down}${KEY.down}${KEY.down}${RIGHT}`);
    await driver.waitFor(/Bus +virtio +\[nvme\]/);
    driver.type(CTRL_S);
    await driver.waitFor('nvme0 is in db, at 00:05.0');
    expect(engine.attached).toEqual([{ type: 'nvme', path: disk }]);
  });

  test('to the definition of a VM that is off', async () => {
    await start();
    engine.become('db', 'off', {});
    driver.type('7a');
    await driver.waitFor('Attach what to db?');
    driver.type(`${KEY.tab}${KEY.enter}`);
    await driver.waitFor('Add a disk to the definition of db');
    expect(driver.screen).not.toContain('In definition');
    driver.type(`${disk}${CTRL_S}`);
    await driver.waitFor('virtio-blk0 is in the definition of db, for its next start');
    driver.type('6');
    await driver.waitFor('No network cards; a attaches one');
    expect(engine.calls).toEqual(['attach virtio-blk to db']);
  });
});

describe('a folder is attached as a disk', () => {
  test('read-only', async () => {
    await start();
    driver.type('a');
    await driver.waitFor('Attach a disk to db');
    driver.type(`${folder}/images${KEY.down} `);
    await driver.waitFor(/Read-only +\[x\]/);
    driver.type(CTRL_S);
    await driver.waitFor('virtio-blk0 is in db, at 00:05.0');
    expect(engine.attached).toEqual([
      { type: 'virtio-blk', path: join(folder, 'images'), format: 'fat', readonly: true },
    ]);
  });

  test('as a writable copy, as FAT32', async () => {
    await start();
    driver.type('a');
    await driver.waitFor('Attach a disk to db');
    driver.type(`${folder}/images${KEY.down}`);
    await driver.waitFor('what the guest writes is lost with the disk');
    driver.type(`${KEY.down}${RIGHT}${RIGHT}${RIGHT}`);
    await driver.waitFor('[fat32]');
    driver.type(CTRL_S);
    await driver.waitFor('virtio-blk0 is in db, at 00:05.0');
    expect(engine.attached).toEqual([
      { type: 'virtio-blk', path: join(folder, 'images'), format: 'fat32', transient: true },
    ]);
  });

  test('unless its format is of another kind', async () => {
    await start();
    driver.type('a');
    await driver.waitFor('Attach a disk to db');
    driver.type(`${folder}${KEY.down}${KEY.down}${RIGHT}${CTRL_S}`);
    await driver.waitFor('is a folder: choose fat, fat32 or detect');
    driver.type(`\x15${disk}${KEY.down}${KEY.down}${RIGHT}${CTRL_S}`);
    await driver.waitFor('is not a folder: choose detect');
    expect(engine.calls).toEqual([]);
  });
});

describe('errors are shown', () => {
  test('next to the file, where it can be corrected', async () => {
    await start();
    driver.type(`a${CTRL_S}`);
    await driver.waitFor('expected the path of an image file, a block device or a folder');
    driver.type(`${folder}/none${CTRL_S}`);
    await driver.waitFor('none does not exist');
    driver.type(`\x15${disk}`);
    await driver.waitFor('data.raw');
    engine.failure = new Error(`disk ${disk} looks like qcow2`);
    driver.type(CTRL_S);
    await driver.waitFor('looks like qcow2');
    expect(driver.screen).toContain('Attach a disk to db');
    driver.type(CTRL_S);
    await driver.waitFor('virtio-blk0 is in db,');
  });

  test('for a VM without a definition that is off', async () => {
    await start({ defined: false });
    driver.type('a');
    await driver.waitFor('Attach a disk to db');
    expect(driver.screen).not.toContain('In definition');
    driver.type(KEY.esc);
    // It may be the start of something.
    clock.advance(100);
    await driver.waitFor('DISK');
    engine.become('db', 'off', {});
    driver.type('a');
    await driver.waitFor('cannot attach a disk: db has no definition to add it to: start it first');
    expect(engine.calls).toEqual([]);
  });
});
