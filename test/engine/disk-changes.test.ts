import { renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { QUEUE } from '../../src/vmm/counters/counters.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

const MiB = 2 ** 20;

let engine: LocalEngine;
let image: string;
let guest: GuestVm;

beforeEach(async () => {
  engine = new LocalEngine();
  image = join(temporaryFolder(), 'disk.img');
  writeFileSync(image, Buffer.alloc(MiB));
});
afterEach(() => engine.close());

async function start(options = {}): Promise<void> {
  const disk = { type: 'virtio-blk', path: image, ...options };
  guest = await GuestVm.start(engine, { devices: [disk, { type: 'virtio-rng' }] });
}

const fact = (label: string) =>
  guest.info.topology!.devices.find(({ name }) => name === 'blk0')!.facts.find(each => each.label === label)!
    .value;

/** Requests that a limit has delayed. */
function throttled(): number {
  const { words, layout } = engine.counters(guest.id)!;
  return Number(words[layout.queue(0) + QUEUE.throttled]);
}

describe.skipIf(noKvm !== null)(onKvm('a disk of a running VM'), () => {
  test('grows with its image, and the guest can use the new space', async () => {
    await start();
    expect(await guest.command('info')).toContain('virtio-blk 1 MiB');
    expect(await engine.resizeDisk(guest.id, 'blk0', { bytes: 4 * MiB, shrink: false })).toBe(4 * MiB);
    expect(statSync(image).size).toBe(4 * MiB);
    expect(fact('size')).toBe(4 * MiB);
    expect(await guest.command('info')).toContain('virtio-blk 4 MiB');
    expect(resultOf(await guest.command('blk verify 600'), 'blk-verify')).toMatchObject({ errors: 0 });
    expect(guest.info.broken).toEqual({});
    expect(engine.log().map(({ text }) => text)).toContain('disk blk0 has 4M now');
  });

  test('adopts the new size of its image, even while the VM is paused', async () => {
    await start();
    await engine.pause(guest.id);
    writeFileSync(image, Buffer.alloc(3 * MiB));
    expect(await engine.resizeDisk(guest.id, 'blk0', { bytes: null, shrink: false })).toBe(3 * MiB);
    await engine.resume(guest.id);
    expect(await guest.command('info')).toContain('virtio-blk 3 MiB');
  });

  test('shrinks only on request', async () => {
    await start();
    const change = { bytes: MiB / 2, shrink: false };
    await expect(engine.resizeDisk(guest.id, 'blk0', change)).rejects.toThrow(
      'would lose what is beyond 512K',
    );
    expect(statSync(image).size).toBe(MiB);
    await engine.resizeDisk(guest.id, 'blk0', { ...change, shrink: true });
    expect(statSync(image).size).toBe(MiB / 2);
    expect(resultOf(await guest.command('blk read 4k 4 100'), 'blk-read')).toMatchObject({ errors: 0 });
  });

  test.each<[string, () => Promise<unknown>, string]>([
    [
      'another disk',
      () => engine.resizeDisk(guest.id, 'rng0', { bytes: null, shrink: false }),
      'guest has no disk "rng0": it has blk0',
    ],
    [
      'half a sector',
      () => engine.resizeDisk(guest.id, 'blk0', { bytes: MiB + 256, shrink: false }),
      'not a multiple of 512',
    ],
    [
      'another file of the same name',
      () => {
        renameSync(image, `${image}.old`);
        writeFileSync(image, Buffer.alloc(2 * MiB));
        return engine.resizeDisk(guest.id, 'blk0', { bytes: null, shrink: false });
      },
      'has been replaced by another one of the same name',
    ],
    [
      'limits of something else',
      () => engine.limitDisk(guest.id, 'com1', { iops: 1 }),
      'no disk is named "com1": it is one of blk0',
    ],
  ])('rejects a change: %s', async (_what, change, reason) => {
    await start();
    await expect(change()).rejects.toThrow(reason);
    expect(fact('size')).toBe(MiB);
    expect(fact('limits')).toBe('none');
  });

  test('throttles requests to its limits until they are changed', async () => {
    await start({ limits: { iops: 1, 'iops-burst': 2 } });
    expect(fact('limits')).toBe('1 requests/s in bursts of 2');
    await guest.printed(/> $/);
    engine.type(guest.id, Buffer.from('blk read 4k 1 1000\r'));
    await until(() => throttled() > 0);
    await engine.limitDisk(guest.id, 'blk0', {});
    expect(fact('limits')).toBe('none');
    await guest.printed(/^result blk-read .* requests=1000 .* errors=0$/m);
  });

  test('keeps new limits across a guest reset', async () => {
    await start();
    await guest.printed(/> $/);
    await engine.limitDisk(guest.id, 'blk0', { iops: 1 });
    await engine.reset(guest.id);
    await guest.printed(/vring guest.*vring guest.*> $/s);
    engine.type(guest.id, Buffer.from('blk read 4k 1 1000\r'));
    await until(() => throttled() > 0);
    await engine.limitDisk(guest.id, 'blk0', {});
    await guest.printed(/^result blk-read .* errors=0$/m);
  });

  test('serves its guest with any layout of the rings', async () => {
    for (const choice of [
      { packed: true },
      { packed: true, 'event-idx': false },
      { 'event-idx': false, 'indirect-desc': false },
    ]) {
      await start(choice);
      expect(resultOf(await guest.command('blk verify 200'), 'blk-verify')).toMatchObject({ errors: 0 });
      await engine.kill(guest.id);
      await engine.remove(guest.id);
    }
  });
});

test('resizes the disks of a VM that is off', async () => {
  await start();
  await engine.kill(guest.id);
  const resized = engine.resizeDisk(guest.id, 'blk0', { bytes: null, shrink: false });
  await expect(resized).rejects.toThrow('guest is off: it finds the size of its disks when it starts');
});
