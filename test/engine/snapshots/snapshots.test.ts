import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { DefinitionStore } from '../../../src/definitions/store.ts';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { SnapshotStore } from '../../../src/engine/snapshots/store.ts';
import { GuestVm, resultOf } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { emptyDisk, requestsBegun, snapshotRounds } from '../../support/snapshot-rounds.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const engines: LocalEngine[] = [];
function rig() {
  // What matters here does not depend on the disk, which may be busy.
  const folder = temporaryFolder('/dev/shm');
  const store = new SnapshotStore(join(folder, 'snapshots'));
  const engine = new LocalEngine({ snapshots: { store, disks: join(folder, 'disks') } });
  engines.push(engine);
  return { folder, store, engine };
}
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

const ENV = { timeout: 60_000 };

describe.skipIf(noKvm !== null)(onKvm('a snapshot'), ENV, () => {
  test('lets the VM continue, and restores it with its console', async () => {
    const { engine } = rig();
    const guest = await GuestVm.start(engine, { cpus: 2 });
    await guest.command('info');
    const info = await engine.snapshot(guest.id, { name: 'one', disks: false });
    expect(info).toMatchObject({ name: 'one', problems: [], doubtful: [], parent: null, disks: 'none' });
    expect(info.bytes).toBeLessThan(4 * 2 ** 20);
    expect(guest.info).toMatchObject({ state: 'running', snapshots: ['one'] });
    expect(guest.info.task).toBeUndefined();
    await guest.command('spin 1ms');
    await engine.kill(guest.id);
    await engine.restore(guest.id, 'one', {});
    const restored = GuestVm.of(engine, guest.id);
    await restored.printed(/result info .*> $/s);
    expect(restored.output).not.toContain('spin');
    expect(resultOf(await restored.command('smp 20ms'), 'smp')).toMatchObject({ cpus: 2, online: 2 });
    const second = await engine.snapshot(guest.id, { name: 'two', disks: false });
    expect(second.parent).toBe('one');
    // A restored machine is reset into empty memory.
    await engine.reset(guest.id);
    await restored.printed(/vring guest[\s\S]*result smp[\s\S]*vring guest/);
    const third = await engine.snapshot(guest.id, { name: 'three', disks: false });
    expect(third.bytes).toBeLessThan(4 * 2 ** 20);
  });

  test('contains all guest output from before it', async () => {
    const { engine } = rig();
    const guest = await GuestVm.start(engine);
    void guest.command('flood');
    await guest.printed(/flood 20 /);
    await engine.snapshot(guest.id, { name: 'flooding', disks: false });
    await engine.kill(guest.id);
    await engine.restore(guest.id, 'flooding', {});
    const restored = GuestVm.of(engine, guest.id);
    const printedBefore = restored.output.length;
    await restored.printed(new RegExp(`^[\\s\\S]{${printedBefore + 2000}}`));
    await restored.interrupt();
    await restored.printed(/> $/);
    const lines = [...restored.output.matchAll(/^flood (\d+) \.{55}\r$/gm)].map(([, line]) => Number(line));
    expect(restored.output.match(/flood/g)).toHaveLength(lines.length + 1);
    expect(lines).toEqual(lines.map((_, index) => lines[0]! + index));
  });

  test('of a paused VM is paused again', async () => {
    const { engine } = rig();
    const guest = await GuestVm.start(engine);
    await guest.printed(/> $/);
    await engine.pause(guest.id);
    await engine.snapshot(guest.id, { name: 'still', disks: false });
    expect(guest.info.state).toBe('paused');
    await engine.restore(guest.id, 'still', { force: true });
    expect(guest.info.state).toBe('paused');
    await engine.resume(guest.id);
    expect(await guest.command('info')).toContain('result info');
  });

  test('with disks restores their content, ten times in the middle of I/O', async () => {
    const { engine, folder } = rig();
    await snapshotRounds(engine, emptyDisk(folder, 'disk.img'), 10);
  });

  test('of a qcow2 disk that grows in the meantime restores its content', async () => {
    const { engine, folder } = rig();
    const disk = join(folder, 'disk.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', disk, '64M']);
    await snapshotRounds(engine, disk, 4);
    execFileSync('qemu-img', ['check', '-r', 'leaks', disk]);
  });

  test('of a linked clone becomes another VM on the same backing file', async () => {
    const { engine, folder } = rig();
    const disk = join(folder, 'disk.qcow2');
    writeFileSync(join(folder, 'base.img'), Buffer.alloc(16 * 2 ** 20, 'base'));
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', 'base.img', '-F', 'raw', disk]);
    const devices = [{ type: 'virtio-blk', path: disk, format: 'qcow2' }];
    const guest = await GuestVm.start(engine, { devices });
    expect(resultOf(await guest.command('blk verify 50'), 'blk-verify')).toMatchObject({ errors: 0 });
    await engine.snapshot(guest.id, { name: 'both', disks: true });
    expect(await engine.restore(guest.id, 'both', { as: 'twin' })).toBe('twin');
    for (const each of [guest, GuestVm.of(engine, 'twin')])
      expect(resultOf(await each.command('blk verify 50'), 'blk-verify')).toMatchObject({
        bad: 0,
        errors: 0,
      });
    await engine.kill(guest.id);
    writeFileSync(join(folder, 'base.img'), Buffer.alloc(16 * 2 ** 20, 'else'));
    await expect(engine.restore(guest.id, 'both', {})).rejects.toThrow(
      /does not fit: \S*base.img, which backs its disk \S*disk.qcow2, was written since/,
    );
  });

  test('without disks cannot be restored once they were written', async () => {
    const { engine, folder } = rig();
    const disk = emptyDisk(folder, 'disk.img');
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path: disk }] });
    await guest.printed(/> $/);
    await engine.snapshot(guest.id, { name: 'memory', disks: false });
    await engine.kill(guest.id);
    await engine.restore(guest.id, 'memory', {});
    expect(resultOf(await GuestVm.of(engine, guest.id).command('blk verify 10'), 'blk-verify')).toMatchObject(
      { errors: 0 },
    );
    await engine.kill(guest.id);
    await expect(engine.restore(guest.id, 'memory', {})).rejects.toThrow(
      /does not fit: its disk .* was written since/,
    );
  });

  test('becomes another VM with its own disks; no disk is used by both', async () => {
    const { engine, folder } = rig();
    const disk = emptyDisk(folder, 'disk.img');
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path: disk }] });
    await guest.printed(/> $/);
    await engine.snapshot(guest.id, { name: 'both', disks: true });
    await engine.snapshot(guest.id, { name: 'memory', disks: false });
    await expect(engine.restore(guest.id, 'memory', { as: 'other' })).rejects.toThrow(/is in use by/);
    expect(engine.vms().find(vm => vm.id === 'other')?.state ?? 'off').toBe('off');
    await engine.remove('other').catch(() => {});
    expect(await engine.restore(guest.id, 'both', { as: 'twin' })).toBe('twin');
    expect(readdirSync(join(folder, 'disks'))).toEqual(['twin.img']);
    const twin = GuestVm.of(engine, 'twin');
    for (const each of [guest, twin])
      expect(resultOf(await each.command('blk verify 50'), 'blk-verify')).toMatchObject({ errors: 0 });
  });

  test('rejects files that were edited, truncated or written by another version', async () => {
    const { engine, store } = rig();
    const guest = await GuestVm.start(engine);
    await guest.printed(/> $/);
    await engine.snapshot(guest.id, { name: 'good', disks: false });
    await engine.kill(guest.id);
    const { folder } = store.find(guest.id, 'good');
    const refusal = async (change: (copy: string) => void) => {
      const copy = join(folder, '..', 'bad');
      rmSync(copy, { recursive: true, force: true });
      cpSync(folder, copy, { recursive: true });
      change(copy);
      return await engine.restore(guest.id, 'bad', {}).then(
        () => 'restored',
        (error: Error) => error.message,
      );
    };
    const ram = (copy: string) => join(copy, 'ram');
    const flip = (file: string, at: number) => {
      const bytes = readFileSync(file);
      bytes[at] = bytes[at]! ^ 1;
      writeFileSync(file, bytes);
    };
    expect(await refusal(copy => truncateSync(ram(copy), 4096))).toContain(
      'ram is truncated: it has 4096 of',
    );
    expect(await refusal(copy => flip(ram(copy), 2 ** 20 + 5))).toContain('ram is damaged or was edited');
    expect(await refusal(copy => flip(join(copy, 'state'), 50))).toContain('state is damaged or was edited');
    expect(await refusal(copy => truncateSync(join(copy, 'state'), 50))).toContain('state is truncated');
    expect(await refusal(copy => flip(join(copy, 'ram.sums'), 1))).toContain(
      'ram.sums is damaged or was edited',
    );
    expect(await refusal(copy => flip(join(copy, 'snapshot.json'), 40))).toContain('snapshot.json');
    expect(
      await refusal(copy => {
        const file = join(copy, 'snapshot.json');
        writeFileSync(file, readFileSync(file, 'utf8').replace('"format": 1', '"format": 7'));
      }),
    ).toContain('in format 7');
    expect(await refusal(copy => rmSync(ram(copy)))).toContain('ram is missing');
    // Copies that nobody has touched: their checksums are compared, and they fit.
    expect(await refusal(() => {})).toBe('restored');
    const listed = await engine.snapshots(guest.id, { check: true });
    expect(listed.map(({ name, checked, doubtful }) => ({ name, checked, doubtful }))).toEqual([
      { name: 'good', checked: 'ok', doubtful: [] },
      { name: 'bad', checked: 'ok', doubtful: ['ram'] },
    ]);
    flip(ram(join(folder, '..', 'bad')), 5);
    const [, bad] = await engine.snapshots(guest.id, { check: true });
    expect(bad).toMatchObject({ checked: 'damaged' });
    expect(bad!.problems.join()).toContain('ram is damaged');
    copyFileSync(ram(folder), ram(join(folder, '..', 'bad')));
  });

  test('is canceled while the VM keeps running, and leaves nothing behind', async () => {
    const { engine, folder, store } = rig();
    const disk = emptyDisk(folder, 'disk.img');
    // A source that takes its time: all of it has to be looked at.
    truncateSync(disk, 2 ** 40);
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path: disk }] });
    await guest.printed(/> $/);
    const taken = engine.snapshot(guest.id, { name: 'never', disks: true });
    const refused = expect(taken).rejects.toThrow('it was canceled');
    await expect(engine.snapshot(guest.id, { name: 'two', disks: false })).rejects.toThrow(
      'is busy: wait for its snapshot',
    );
    await new Promise<void>(resolve => {
      const unsubscribe = engine.subscribe(() => {
        if (guest.info.task?.phase !== 'writing') return;
        unsubscribe();
        resolve();
      });
    });
    await engine.cancelTask(guest.id);
    await refused;
    expect(guest.info.task).toBeUndefined();
    expect(guest.info.state).toBe('running');
    expect(await guest.command('info')).toContain('result info');
    expect(store.list()).toEqual([]);
    expect(readdirSync(join(store.root, guest.id))).toEqual([]);
  });

  test('that cannot be written reports it, and the VM continues', async () => {
    const { engine, store } = rig();
    const guest = await GuestVm.start(engine);
    await guest.printed(/> $/);
    writeFileSync(store.root, 'no folder');
    await expect(engine.snapshot(guest.id, { name: 'one', disks: false })).rejects.toThrow();
    expect(await guest.command('info')).toContain('result info');
    await expect(engine.snapshot(guest.id, { name: '../up', disks: false })).rejects.toThrow(
      'cannot be the name',
    );
    rmSync(store.root);
    await engine.snapshot(guest.id, { name: 'one', disks: false });
    await expect(engine.snapshot(guest.id, { name: 'one', disks: false })).rejects.toThrow(
      'has a snapshot one already',
    );
    await engine.kill(guest.id);
    await expect(engine.snapshot(guest.id, { disks: false })).rejects.toThrow('is off');
  });

  test('is renamed and deleted with its VM', async () => {
    const { engine } = rig();
    const guest = await GuestVm.start(engine);
    await guest.printed(/> $/);
    await engine.snapshot(guest.id, { name: 'one', disks: false });
    await engine.kill(guest.id);
    await engine.rename('guest', 'renamed');
    expect(engine.vms()).toMatchObject([{ name: 'renamed', snapshots: ['one'] }]);
    await engine.restore('renamed', 'one', {});
    await engine.deleteSnapshot('renamed', 'one');
    expect(engine.vms()[0]!.snapshots).toBeUndefined();
    await expect(engine.deleteSnapshot('renamed', 'one')).rejects.toThrow('has no snapshot one: it has none');
    // It reads its memory from the file that is gone.
    expect(await GuestVm.of(engine, 'renamed').command('info')).toContain('result info');
  });
});

describe.skipIf(noKvm !== null)(onKvm('a saved VM'), ENV, () => {
  test('ends, and continues from its saved state at its next start', async () => {
    const { engine, folder } = rig();
    const disk = emptyDisk(folder, 'disk.img');
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path: disk }] });
    await guest.command('blk verify 100');
    const begun = requestsBegun(engine, guest, 100);
    const verified = guest.command('blk verify 1500');
    await begun;
    await engine.save(guest.id);
    expect(guest.info).toMatchObject({ state: 'off', reason: 'it was saved', saved: { automatic: false } });
    expect(await verified).not.toContain('result');
    await engine.restart(guest.id);
    expect(guest.info.saved).toBeUndefined();
    await guest.printed(/blk verify 1500[\s\S]*result blk-verify .*errors=0/);
  });

  test('is not started from a state that does not match, and boots once that is discarded', async () => {
    const { engine, folder } = rig();
    const disk = emptyDisk(folder, 'disk.img');
    const guest = await GuestVm.start(engine, { devices: [{ type: 'virtio-blk', path: disk }] });
    await guest.printed(/> $/);
    await engine.save(guest.id);
    writeFileSync(disk, 'changed', { flag: 'r+' });
    await expect(engine.restart(guest.id)).rejects.toThrow(
      /was written since.*--discard-saved guest boots it without/,
    );
    expect(guest.info.saved).toBeDefined();
    await engine.deleteSnapshot(guest.id, null);
    await engine.restart(guest.id);
    await guest.printed(/vring guest[\s\S]*vring guest/);
  });
});

test('a definition file with an invalid name does not keep other VMs from starting', () => {
  const { folder, store } = rig();
  const definitions = join(folder, 'vms');
  mkdirSync(definitions);
  for (const name of ['with space', 'web']) writeFileSync(join(definitions, `${name}.yaml`), 'name: web\n');
  const engine = new LocalEngine({
    definitions: new DefinitionStore(definitions),
    snapshots: { store, disks: join(folder, 'disks') },
  });
  engines.push(engine);
  expect(engine.vms().map(({ name, problem }) => [name, problem === null])).toEqual([
    ['web', true],
    ['with space', false],
  ]);
});
