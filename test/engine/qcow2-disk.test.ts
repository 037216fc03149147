import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { ProcessMachines } from '../../src/engine/machines/process-machine.ts';
import { isLockedElsewhere } from '../../src/vmm/native/ofd-lock.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

const MiB = 2 ** 20;

withOwnFolders();

let engine: LocalEngine;
let folder: string;
let image: string;
let guest: GuestVm;

const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { encoding: 'utf8' });

function rawImage(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.alloc(MiB));
  return path;
}

/** `qemu-img check` may find leaked clusters, but nothing else. */
function expectSound(path = image): void {
  const { status, stdout, stderr } = spawnSync('qemu-img', ['check', path], { encoding: 'utf8' });
  expect([0, 3], stdout + stderr).toContain(status);
}

function isLocked(): boolean {
  const fd = openSync(image, 'r');
  try {
    return isLockedElsewhere(fd, { start: 0, length: 0 });
  } finally {
    closeSync(fd);
  }
}

function content(path = image): Buffer {
  qemuImg('convert', '-f', 'qcow2', '-O', 'raw', path, join(folder, 'content.raw'));
  return readFileSync(join(folder, 'content.raw'));
}

beforeEach(() => {
  engine = new LocalEngine({ machines: new ProcessMachines() });
  folder = temporaryFolder();
  image = join(folder, 'disk.qcow2');
});
afterEach(() => engine.close());

async function start(options = {}): Promise<void> {
  const disk = { type: 'virtio-blk', path: image, ...options };
  guest = await GuestVm.start(engine, { devices: [disk] });
}

/** The guest writes a pattern to that many random places and reads it back. */
async function verifies(count = 300): Promise<void> {
  expect(resultOf(await guest.command(`blk verify ${count}`), 'blk-verify')).toMatchObject({
    errors: 0,
    bad: 0,
  });
}

const facts = (label: string) =>
  guest.info
    .topology!.devices.find(({ name }) => name === 'blk0')!
    .facts.filter(each => each.label === label)
    .map(({ value }) => value);

describe.skipIf(noKvm !== null)(onKvm('a qcow2 disk'), () => {
  test.each(['writeback', 'none', 'writethrough', 'directsync', 'unsafe'])(
    'is written and read by its guest with cache=%s, and passes qemu-img check after the VM has ended',
    async cache => {
      qemuImg('create', '-q', '-f', 'qcow2', image, '16M');
      await start({ cache, queues: 2 });
      expect(await guest.command('info')).toContain('virtio-blk 16 MiB');
      expect(facts('format')).toEqual(['qcow2']);
      await verifies();
      await verifies(1000);
      await engine.kill(guest.id);
      expectSound();
    },
  );

  test('keeps what its guest has flushed when its process is killed', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', image, '4M');
    await start();
    // All of it: no block has zeros then.
    await verifies(1024);
    process.kill(guest.info.pid!, 'SIGKILL');
    await guest.reached('crashed');
    // The kernel keeps the file open until it has finished the last requests.
    await until(() => !isLocked());
    expectSound();
    const bytes = content();
    const blocks = Array.from({ length: 1024 }, (_, block) => bytes.readBigUInt64LE(4096 * block));
    expect(blocks.filter(word => word === 0n)).toEqual([]);
  });

  test('is consistent when its process is killed between any two requests', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', image, '64M');
    for (let round = 0; round < 3; round++) {
      await start();
      await verifies(100);
      engine.type(guest.id, Buffer.from('blk write 4k 16 1000000\r'));
      await guest.printed(/blk write 4k 16 1000000/);
      process.kill(guest.info.pid!, 'SIGKILL');
      await guest.reached('crashed');
      // The kernel keeps the file open until it has finished the last requests.
      await until(() => !isLocked());
      expectSound();
    }
  });

  test('reads from its backing files, which stay unchanged', async () => {
    const [base, middle] = [join(folder, 'base.raw'), join(folder, 'middle.qcow2')];
    writeFileSync(base, Buffer.alloc(8 * MiB, 'base'));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', middle);
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'middle.qcow2', '-F', 'qcow2', image, '16M');
    const before = readFileSync(middle);
    await start({ format: 'qcow2' });
    expect(facts('backing file')).toEqual([middle, base]);
    await verifies();
    await engine.kill(guest.id);
    expectSound();
    expect(readFileSync(middle).equals(before)).toBe(true);
    const bytes = content();
    expect(bytes.length).toBe(16 * MiB);
    const kept = Array.from({ length: 2048 }, (_, block) =>
      bytes.toString('latin1', 4096 * block, 4096 * block + 4),
    );
    expect(kept.filter(word => word === 'base').length).toBeGreaterThan(1000);
  });

  test('with invalid tables is reported as corrupt for as long as its VM runs', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', image, '16M');
    // Its first refcount block (qcow2 specification, "Refcount blocks") says that all clusters are free.
    const bytes = readFileSync(image);
    const table = Number(bytes.readBigUInt64BE(48));
    const block = Number(bytes.readBigUInt64BE(table));
    bytes.fill(0, block, block + 512);
    writeFileSync(image, bytes);
    await start();
    expect(guest.info.diskErrors).toBeUndefined();
    expect(resultOf(await guest.command('blk verify 10'), 'blk-verify').errors).not.toBe(0);
    await until(() => guest.info.diskErrors !== undefined);
    expect(guest.info.diskErrors!.blk0).toMatch(
      /EIO .*; the image is corrupt \(.* counts as free\), and nothing more is written to it: shut the VM down, and repair it with `vring image check --repair`/,
    );
  });

  test('survives pauses and resets', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', image, '16M');
    await start();
    await verifies();
    await engine.pause(guest.id);
    await engine.resume(guest.id);
    await verifies();
    await engine.reset(guest.id);
    await guest.printed(/vring guest.*vring guest.*> $/s);
    await verifies();
    expect(guest.info.broken).toEqual({});
    await engine.kill(guest.id);
    expectSound();
  });

  test('grows while its VM runs, and does not shrink', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', image, '1M');
    await start();
    await verifies(200);
    expect(await engine.resizeDisk(guest.id, 'blk0', { bytes: 8 * MiB, shrink: false })).toBe(8 * MiB);
    expect(await guest.command('info')).toContain('virtio-blk 8 MiB');
    await verifies(1000);
    const resize = (bytes: number | null) => engine.resizeDisk(guest.id, 'blk0', { bytes, shrink: true });
    await expect(resize(MiB)).rejects.toThrow('cannot shrink while its VM runs');
    await expect(resize(null)).rejects.toThrow('give the new size');
    await engine.kill(guest.id);
    expectSound();
    expect(content().length).toBe(8 * MiB);
  });

  test('is attached and detached with its backing files', async () => {
    await start({ path: rawImage('first.img') });
    writeFileSync(join(folder, 'base.raw'), Buffer.alloc(4 * MiB, 'base'));
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', image);
    const disk = { type: 'virtio-blk', path: image, format: 'qcow2' };
    expect(await engine.attach(guest.id, disk, { persist: false })).toMatchObject({ name: 'blk1' });
    const label = guest.info.topology!.devices.find(({ name }) => name === 'blk1')!;
    expect(label.facts).toContainEqual({ label: 'backing file', value: join(folder, 'base.raw') });
    expect(isLocked()).toBe(true);
    await engine.detach(guest.id, 'blk1', { force: true, persist: false });
    await until(() => !isLocked());
    expectSound();
  });

  test('works on a SCSI controller', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', image, '16M');
    guest = await GuestVm.start(engine, {
      devices: [{ type: 'virtio-scsi' }, { type: 'scsi-hd', path: image }],
    });
    const verified = resultOf(await guest.command('blk verify 300 scsi=0'), 'blk-verify');
    expect(verified).toMatchObject({ blocks: 300, errors: 0, bad: 0 });
    await engine.kill(guest.id);
    expectSound();
  });
});
