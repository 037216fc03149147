import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { GuestVm } from '../../support/guest-vm.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { networkRom } from '../../support/network-rom.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

const MiB = 2 ** 20;
const FOR_NOW = { persist: false };
const ASKING = { force: false, persist: false };
const BY_FORCE = { force: true, persist: false };

let engine: LocalEngine;
let folder: string;
let guest: GuestVm;

beforeEach(() => {
  engine = new LocalEngine();
  folder = temporaryFolder();
});
afterEach(() => engine.close());

function image(name: string, bytes = MiB): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.alloc(bytes));
  return path;
}

const disk = (name: string) => ({ type: 'virtio-blk', path: image(name), format: 'raw' });
const names = () => guest.info.topology!.devices.map(({ name }) => name);
const label = (name: string) => guest.info.topology!.devices.find(each => each.name === name);
const log = () => engine.log().map(({ text }) => text);

describe.skipIf(noKvm !== null)(onKvm('devices of a running VM'), () => {
  beforeEach(async () => {
    guest = await GuestVm.start(engine, { devices: [disk('first.img'), { type: 'virtio-rng' }] });
  });

  test('are plugged into free slots of bus 0, and can be removed by force', async () => {
    const attached = await engine.attach(guest.id, disk('second.img'), FOR_NOW);
    expect(attached).toEqual({
      ...{ name: 'blk1', bus: 'pci.0', addr: '03.0', address: '00:03.0' },
      ...{ running: true, noticed: false },
    });
    expect(label('blk1')).toMatchObject({
      type: 'virtio-blk',
      backend: 'disk',
      bus: 'pci.0',
      address: '00:03.0',
    });
    await engine.detach(guest.id, 'blk1', BY_FORCE);
    expect(names()).not.toContain('blk1');
    expect(log()).toContain('blk1 was unplugged');
    // Its disk is unlocked again.
    expect((await engine.attach(guest.id, disk('second.img'), FOR_NOW)).name).toBe('blk1');
  });

  // The process of the machine is confined: it gets the disk as its manager has opened it.
  test.each([
    { cache: 'none' },
    { cache: 'directsync' },
    { cache: 'unsafe', readonly: true },
    { transient: true },
    { path: import.meta.dirname, format: 'fat', readonly: true },
  ])('have their disk images opened by the manager, with %j', async options => {
    await engine.attach(guest.id, { ...disk('second.img'), ...options }, FOR_NOW);
    expect(label('blk1')?.facts).toContainEqual({ label: 'cache', value: options.cache ?? 'writeback' });
    if (options.format) expect(label('blk1')?.facts).toContainEqual({ label: 'format', value: 'fat' });
  });

  test('that are limited to one per VM are plugged in once', async () => {
    const attach = () => engine.attach(guest.id, { type: 'virtio-balloon' }, FOR_NOW);
    expect((await attach()).name).toBe('balloon0');
    await expect(attach()).rejects.toThrow(
      `${guest.info.name} has a virtio memory balloon already, and a VM has at most one`,
    );
    expect(names()).not.toContain('balloon1');
  });

  test('get defaults for options that are not given, and are rejected for wrong options', async () => {
    const { name } = await engine.attach(guest.id, { type: 'virtio-net' }, FOR_NOW);
    expect(label(name)?.facts).toContainEqual({ label: 'network', value: 'none' });
    expect(guest.info.nics?.[0]?.mac).toMatch(/^52:54:00:/);
    const wrong = { type: 'virtio-net', network: 'br0', mac: '52:54:00:00:00:01' };
    await expect(engine.attach(guest.id, wrong, FOR_NOW)).rejects.toThrow(/^network: /);
    await expect(engine.attach(guest.id, { type: 'virtio-nic' }, FOR_NOW)).rejects.toThrow('virtio-nic');
  });

  test('use the ROM that the manager opens, since the machine has no access to files', async () => {
    const romfile = join(folder, 'card.rom');
    const card = { type: 'virtio-net', network: { type: 'none' }, romfile };
    await expect(engine.attach(guest.id, card, FOR_NOW)).rejects.toThrow(
      `cannot open ${romfile}: no such file or directory`,
    );
    writeFileSync(romfile, 'no ROM');
    await expect(engine.attach(guest.id, card, FOR_NOW)).rejects.toThrow(romfile);
    expect(names()).not.toContain('net0');
    writeFileSync(romfile, networkRom());
    expect((await engine.attach(guest.id, card, FOR_NOW)).name).toBe('net0');
  });

  test('are not plugged in if the VM has ended in the meantime', async () => {
    const running = { persist: false, running: true };
    expect((await engine.attach(guest.id, disk('second.img'), running)).running).toBe(true);
    await engine.kill(guest.id);
    await expect(engine.attach(guest.id, disk('third.img'), running)).rejects.toThrow(
      `${guest.id} is off now: nothing was attached, and its definition is unchanged`,
    );
  });

  test('wait for a guest that does not respond, until its machine is reset', async () => {
    await engine.attach(guest.id, { ...disk('second.img'), name: 'data' }, FOR_NOW);
    const before = Date.now();
    const detached = engine.detach(guest.id, 'data', ASKING);
    await until(() => label('data')?.removing !== undefined);
    expect(label('data')!.removing!).toBeGreaterThanOrEqual(before);
    await engine.reset(guest.id);
    await detached;
    expect(names()).not.toContain('data');
  });

  test('stay if their removal is canceled', async () => {
    const detached = engine.detach(guest.id, 'blk0', ASKING);
    const failed = expect(detached).rejects.toThrow('blk0 stays: unplugging it was canceled');
    await until(() => label('blk0')?.removing !== undefined);
    await engine.cancelDetach(guest.id, 'blk0');
    await failed;
    expect(label('blk0')!.removing).toBeUndefined();
    await expect(engine.cancelDetach(guest.id, 'blk0')).rejects.toThrow(
      'the guest has not been asked to release blk0',
    );
  });
});
