import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const MiB = 2 ** 20;

let engine: LocalEngine;
let folder: string;
let guest: GuestVm;

const disk = (name: string) => join(folder, name);
const isWritten = (name: string) => statSync(disk(name)).blocks > 0;

beforeEach(async () => {
  engine = new LocalEngine();
  folder = temporaryFolder();
  for (const name of ['a.img', 'b.img']) {
    writeFileSync(disk(name), '');
    truncateSync(disk(name), 4 * MiB);
  }
  guest = await GuestVm.start(engine, {
    devices: [
      { type: 'virtio-scsi', name: 'scsi0' },
      { type: 'scsi-hd', name: 'sd0', path: disk('a.img'), format: 'raw', removable: true },
      { type: 'scsi-cd', name: 'cd0' },
    ],
  });
});
afterEach(() => engine.close());

const fact = (device: string, label: string) =>
  guest.info.topology!.devices.find(({ name }) => name === device)!.facts.find(each => each.label === label)
    ?.value;
const change = (device: string, name: string | null) =>
  engine.changeMedium(guest.id, device, {
    medium: name === null ? null : { path: disk(name), format: 'raw', cache: 'writeback' },
    force: false,
  });
const verify = async () => resultOf(await guest.command('blk verify 100 scsi=0'), 'blk-verify');

describe.skipIf(noKvm !== null)(onKvm('a drive of a running VM'), () => {
  test('changes its medium, and ejects it', async () => {
    expect(await verify()).toMatchObject({ complete: 1 });
    expect(isWritten('a.img')).toBe(true);
    await change('sd0', 'b.img');
    expect([fact('sd0', 'path'), fact('sd0', 'tray')]).toEqual([disk('b.img'), 'closed']);
    // The first command's reply has the new medium.
    await guest.command('blk flush scsi=0');
    expect(isWritten('b.img')).toBe(false);
    expect(await verify()).toMatchObject({ complete: 1 });
    expect(isWritten('b.img')).toBe(true);
    // The first file is unlocked again: another drive can open it.
    await change('cd0', 'a.img');
    expect(fact('cd0', 'path')).toBe(disk('a.img'));
    await change('cd0', null);
    expect([fact('cd0', 'path'), fact('cd0', 'size')]).toEqual(['empty', undefined]);
    await expect(change('cd0', null)).rejects.toThrow('cd0 is empty');
  });

  test('rejects a medium that cannot be opened, and a device that is not a drive', async () => {
    await expect(change('sd0', 'missing.img')).rejects.toThrow(/missing\.img does not exist/);
    await expect(change('scsi0', 'b.img')).rejects.toThrow(/has no drive "scsi0".*: it has sd0, cd0/);
    await expect(change('nothing', 'b.img')).rejects.toThrow(/has no drive "nothing"/);
    expect(fact('sd0', 'path')).toBe(disk('a.img'));
    expect(await verify()).toMatchObject({ complete: 1 });
  });
});
