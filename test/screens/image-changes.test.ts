import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DefinitionStore } from '../../src/definitions/store.ts';
import { imageFacts } from '../../src/engine/images/image-info.ts';
import { ImageReader } from '../../src/host-service/images.ts';
import type { HostSource } from '../../src/host-service/source.ts';
import { lockDisk } from '../../src/vmm/backends/disk-lock.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

const CTRL_S = '\x13';
const CTRL_U = '\x15';
const MiB = 2 ** 20;

let root: string;
let disks: string;
let driver: TerminalDriver;
let engine: FakeEngine;
let searched: string | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'vring-image-changes-'));
  disks = join(root, 'disks');
  searched = process.env.PATH;
});
afterEach(() => {
  process.env.PATH = searched;
  rmSync(root, { recursive: true });
});

/** The images are real ones, read as the host thread reads them. */
async function start(readOnly = false): Promise<void> {
  const reader = new ImageReader(root, new DefinitionStore(join(root, 'vms')));
  const host: HostSource = {
    unchangeable: null,
    recording: null,
    connect: () => ({
      client: {
        ...{ watch: () => {}, usage: () => {}, refresh: () => {}, idle: async () => {} },
        call: async (call: string, files: readonly string[]) => {
          if (call !== 'images') throw new Error(`nobody asks for ${call} here`);
          return await reader.read(files);
        },
      } as never,
      onLost: () => {},
      close: async () => {},
    }),
  };
  const clock = new ManualClock();
  engine = new FakeEngine(clock);
  engine.add('web', complete, { state: 'off' });
  driver = new TerminalDriver(engine, clock, 120, 40, { host, readOnly });
  await driver.waitFor('q quit');
  driver.type(':images\r');
  await driver.waitFor(/No disk images|Path /);
}

function raw(name: string, bytes: number): string {
  mkdirSync(disks, { recursive: true });
  const path = join(disks, name);
  writeFileSync(path, '');
  truncateSync(path, bytes);
  return path;
}

async function qcow2(name: string): Promise<string> {
  mkdirSync(disks, { recursive: true });
  const path = join(disks, name);
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', path, '8M']);
  return path;
}

test('an image is created by a form, in a new folder', async () => {
  await start();
  driver.type('n');
  await driver.waitFor('New disk image');
  expect(driver.screen).toContain(join(disks, 'disk.qcow2'));
  driver.type(`${KEY.down}${KEY.down}${KEY.down}nothing`);
  await driver.waitFor('expected a size such as 20G');
  driver.type(`${CTRL_U}8M`);
  driver.type(CTRL_S);
  await driver.waitFor('disk.qcow2 is created');
  await driver.waitFor(/> disk.qcow2 +qcow2 +8M/);
  expect(await imageFacts(join(disks, 'disk.qcow2'))).toMatchObject({ format: 'qcow2', size: 8 * MiB });
});

test('a linked clone is created with the size of its backing file', async () => {
  const base = await qcow2('base.qcow2');
  await start();
  driver.type('n');
  await driver.waitFor('New disk image');
  driver.type(`${KEY.down}${KEY.down}${base}${CTRL_S}`);
  await driver.waitFor('disk.qcow2 is created');
  const { size, backing } = await imageFacts(join(disks, 'disk.qcow2'));
  expect({ size, backing }).toEqual({ size: 8 * MiB, backing: [{ path: base, format: 'qcow2' }] });
});

test('an image is resized, and shrinks only after a question', async () => {
  const path = raw('a.img', 4 * MiB);
  await start();
  driver.type('Z');
  await driver.waitFor(`Resize ${path}`);
  driver.type(`${CTRL_U}8M${CTRL_S}`);
  await driver.waitFor(`${path} has 8M now`);
  await driver.waitFor(/> a.img +raw +8M/);
  driver.type('Z');
  await driver.waitFor(`Resize ${path}`);
  driver.type(`${CTRL_U}2M${CTRL_S}`);
  await driver.waitFor('data beyond 2M is lost');
  expect(statSync(path).size).toBe(8 * MiB);
  driver.type(`${KEY.tab}${KEY.enter}`);
  await driver.waitFor(`${path} has 2M now`);
  expect(statSync(path).size).toBe(2 * MiB);
});

test('an image that a running VM uses is refused before a form opens', async () => {
  const path = raw('used.img', MiB);
  await start();
  await driver.waitFor('> used.img');
  const { devices, ...topology } = engine.vms()[0]!.topology!;
  const disk = devices.find(({ name }) => name === 'blk0')!;
  const facts = [{ label: 'path', value: path }];
  engine.become('web', 'running', { topology: { ...topology, devices: [{ ...disk, facts }] } });
  await driver.waitFor(/> used.img .*web/);
  driver.type('Z');
  await driver.waitFor('cannot resize the image: web uses used.img: stop it first');
});

test('an image that is in use is refused with the reason, which the form shows', async () => {
  const path = raw('a.img', 4 * MiB);
  await start();
  const fd = openSync(path, 'r+');
  lockDisk(fd, path, false);
  try {
    driver.type('Z');
    await driver.waitFor(`Resize ${path}`);
    driver.type(`${CTRL_U}8M${CTRL_S}`);
    await driver.waitFor(/is in use|is used/);
    expect(driver.screen).toContain(`Resize ${path}`);
    expect(statSync(path).size).toBe(4 * MiB);
  } finally {
    closeSync(fd);
  }
  driver.type(CTRL_S);
  await driver.waitFor(`${path} has 8M now`);
});

test('an image is converted', async () => {
  const path = raw('a.img', 4 * MiB);
  await start();
  driver.type('C');
  await driver.waitFor(`Convert ${path}`);
  driver.type(`${CTRL_U}${join(disks, 'a.vdi')}`);
  await driver.waitFor('[vdi]');
  driver.type(`${CTRL_U}${join(disks, 'a.qcow2')}${CTRL_S}`);
  await driver.waitFor('is converted to');
  await driver.waitFor(/a.qcow2 +qcow2 +4M/);
  expect(await imageFacts(join(disks, 'a.qcow2'))).toMatchObject({ format: 'qcow2', size: 4 * MiB });
});

/** Converts until it is stopped. */
function slowQemuImg(): void {
  const bin = join(root, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'qemu-img'), "#!/bin/sh\nprintf '    (42.00/100%%)\\r'\nexec sleep 600\n");
  chmodSync(join(bin, 'qemu-img'), 0o755);
  process.env.PATH = `${bin}${delimiter}${searched}`;
}

test.each([
  ['its button', 'stopped'],
  ['the end of the UI', null],
])('a conversion shows its progress; %s stops it, and nothing is left behind', async (_, said) => {
  const path = raw('a.img', 4 * MiB);
  slowQemuImg();
  await start();
  driver.type('C');
  await driver.waitFor(`Convert ${path}`);
  driver.type(CTRL_S);
  await driver.waitFor(`Converting ${path}`);
  await driver.waitFor('42%');
  expect(readdirSync(disks)).toHaveLength(2);
  if (said === null) await driver.leave();
  else {
    driver.type(KEY.enter);
    await driver.waitFor(said);
  }
  expect(readdirSync(disks)).toEqual(['a.img']);
});

test('snapshots are taken, applied after a question, and deleted', async () => {
  const path = await qcow2('a.qcow2');
  await start();
  driver.type('Y');
  await driver.waitFor('cannot apply a snapshot of the image: a.qcow2 has no snapshots');
  driver.type('W');
  await driver.waitFor(`Snapshot of ${path}`);
  driver.type(CTRL_S);
  await driver.waitFor(`snapshot snapshot-1 of ${path} created`);
  await driver.waitFor(/Snapshots +snapshot-1/);
  driver.type('Y');
  await driver.waitFor(`Apply a snapshot of ${path}`);
  driver.type(CTRL_S);
  await driver.waitFor('The present contents of the disk are lost');
  driver.type(`${KEY.tab}${KEY.enter}`);
  await driver.waitFor(`snapshot snapshot-1 of ${path} applied`);
  driver.type('D');
  await driver.waitFor(`Delete a snapshot of ${path}`);
  driver.type(CTRL_S);
  await driver.waitFor('It cannot be brought back');
  driver.type(`${KEY.tab}${KEY.enter}`);
  await driver.waitFor(`snapshot snapshot-1 of ${path} deleted`);
  expect((await imageFacts(path)).snapshots).toEqual([]);
});

/** Counts a cluster as used that nothing refers to: entry 10 of the refcount block, which qemu-img puts into cluster 2. */
function leak(path: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([0, 1]), 0, 2, 2 * 65536 + 2 * 10);
  closeSync(fd);
  truncateSync(path, 11 * 65536);
}

test('an image is checked, and repaired on request', async () => {
  const path = await qcow2('a.qcow2');
  await start();
  driver.type('c');
  await driver.waitFor(`${path}: no errors`);
  leak(path);
  driver.type('c');
  await driver.waitFor('Leaked clusters: 1');
  driver.type(`${KEY.tab}${KEY.enter}`);
  await driver.waitFor(`${path}: no errors; 1 repaired`);
});

test('a read-only session checks, and changes nothing', async () => {
  const path = await qcow2('a.qcow2');
  leak(path);
  await start(true);
  driver.type('n');
  await driver.waitFor('cannot create a disk image: this is a read-only session');
  driver.type('c');
  await driver.waitFor('Leaked clusters: 1');
  expect(driver.screen).not.toContain('Repair');
  expect(existsSync(path)).toBe(true);
});
