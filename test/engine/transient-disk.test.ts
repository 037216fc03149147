import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { ProcessMachines } from '../../src/engine/machines/process-machine.ts';
import { SnapshotStore } from '../../src/engine/snapshots/store.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

withOwnFolders();

const MiB = 2 ** 20;

let engine: LocalEngine;
let image: string;

const digest = () => createHash('sha256').update(readFileSync(image)).digest('hex');

beforeEach(() => {
  const folder = temporaryFolder();
  image = join(folder, 'disk.img');
  writeFileSync(image, Buffer.alloc(8 * MiB, 'content '));
  const store = new SnapshotStore(join(folder, 'snapshots'));
  const snapshots = { store, disks: join(folder, 'disks') };
  engine = new LocalEngine({ machines: new ProcessMachines(), snapshots });
});
afterEach(() => engine.close());

const start = (name: string, transient: boolean) =>
  GuestVm.start(engine, { name, devices: [{ type: 'virtio-blk', path: image, transient }] });

async function verifies(guest: GuestVm): Promise<void> {
  expect(resultOf(await guest.command('blk verify 200'), 'blk-verify')).toMatchObject({ errors: 0, bad: 0 });
}

describe.skipIf(noKvm !== null)(onKvm('a transient disk'), () => {
  test('is written by several guests at once, and its file stays unchanged', async () => {
    const before = digest();
    const guests = [await start('one', true), await start('two', true)];
    await Promise.all(guests.map(verifies));
    const { facts } = guests[0]!.info.topology!.devices.find(({ name }) => name === 'blk0')!;
    expect(facts).toContainEqual({ label: 'transient', value: true });
    expect(facts).toContainEqual({ label: 'format', value: 'raw' });
    expect(facts.map(({ label }) => label)).not.toContain('backing file');
    // The guest's reset keeps what it has written.
    await engine.reset('one');
    for (const { id } of guests) await engine.kill(id);
    expect(digest()).toBe(before);
    const plain = await start('three', false);
    await verifies(plain);
    await engine.kill(plain.id);
    expect(digest()).not.toBe(before);
  });

  test('is excluded from snapshots, and has the size of its file', async () => {
    const guest = await start('one', true);
    await verifies(guest);
    await expect(engine.snapshot(guest.id, { name: 'now', disks: true })).rejects.toThrow(
      `its disk ${image} is transient: data written to it is lost when the VM ends, so a snapshot would lack it`,
    );
    await expect(engine.resizeDisk(guest.id, 'blk0', { bytes: 16 * MiB, shrink: false })).rejects.toThrow(
      `disk ${image} is transient: resize it while one is shut off`,
    );
    await verifies(guest);
  });

  test('can be created from a folder, which stays unchanged', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'a.txt'), 'content');
    const options = { type: 'virtio-blk', path: folder, format: 'fat' };
    const written = await GuestVm.start(engine, { name: 'one', devices: [{ ...options, transient: true }] });
    await verifies(written);
    await engine.reset('one');
    await expect(engine.snapshot('one', { name: 'now', disks: true })).rejects.toThrow(
      `its disk ${folder} is transient: data written to it is lost`,
    );
    await engine.kill('one');
    expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('content');

    const read = await GuestVm.start(engine, { name: 'two', devices: [{ ...options, readonly: true }] });
    const { facts } = read.info.topology!.devices.find(({ name }) => name === 'blk0')!;
    expect(facts).toContainEqual({ label: 'format', value: 'fat' });
    await expect(engine.snapshot('two', { name: 'now', disks: false })).rejects.toThrow(
      `its disk ${folder} is made of a folder whenever the VM starts: the folder may have changed`,
    );
    await expect(engine.resizeDisk('two', 'blk0', { bytes: 16 * MiB, shrink: false })).rejects.toThrow(
      `disk ${folder} is made of a folder, and has the size that its files need`,
    );
  });
});
