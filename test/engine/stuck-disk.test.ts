import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, type TestContext, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { QUEUE } from '../../src/vmm/counters/counters.ts';
import type { MachineConfigInput } from '../../src/vmm/machine/config.ts';
import { type FrozenDisk, freezableImage } from '../support/frozen-disk.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { until } from '../support/until.ts';

const MiB = 2 ** 20;
/** Enough guest memory for its mapping to be recognizable in this process. */
const MEMORY = 77 * MiB;

let engine: LocalEngine;

beforeEach(() => {
  engine = new LocalEngine();
});
afterEach(() => engine.close());

/** Mappings of guest memory in this process. */
function mappings(): number {
  const ranges = readFileSync('/proc/self/maps', 'utf8').matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm);
  return [...ranges].filter(([, start, end]) => parseInt(end!, 16) - parseInt(start!, 16) === MEMORY).length;
}

/** Requests in the first queue. */
function inFlight(id: string): number {
  const { words, layout } = engine.counters(id)!;
  return Number(words[layout.queue(0) + QUEUE.inFlight]);
}

/** A guest with four writes in flight, blocked by its frozen disk, and what it wrote before. */
async function heldUp(context: TestContext): Promise<{ guest: GuestVm; disk: FrozenDisk }> {
  const disk = freezableImage(context, MiB);
  const devices: MachineConfigInput['devices'] = [
    { type: 'virtio-blk', path: disk.image },
    { type: 'virtio-rng' },
  ];
  const guest = await GuestVm.start(engine, { memory: { bytes: MEMORY }, devices });
  expect(resultOf(await guest.command('blk write 4k 4 10'), 'blk-write')).toMatchObject({ errors: 0 });
  disk.freeze();
  engine.type(guest.id, Buffer.from('blk write 4k 4 10\r'));
  await until(() => inFlight(guest.id) === 4);
  return { guest, disk };
}

describe.skipIf(noKvm !== null)(onKvm('a VM with a disk that does not respond'), () => {
  test('ends, reports it, and keeps its memory and its disk until the disk responds', async context => {
    const { guest, disk } = await heldUp(context);
    await engine.kill(guest.id);

    expect(guest.info.state).toBe('off');
    expect(guest.info.broken).toEqual({ blk0: expect.stringMatching(/does not answer one of its requests/) });
    expect(mappings()).toBe(1);
    const other = { name: 'other', devices: [{ type: 'virtio-blk', path: disk.image }] };
    const again = GuestVm.start(engine, other);
    await expect(again).rejects.toThrow(`disk ${disk.image} is in use`);

    disk.thaw();
    await until(() => mappings() === 0);
    await GuestVm.start(engine, other);
  });

  test('lets its guest reset that disk when it responds, and everything else before', async context => {
    const { guest, disk } = await heldUp(context);
    // The guest gives up: it resets the disk, and polls its status without success.
    engine.type(guest.id, Buffer.from('\x03'));
    await guest.printed(/^error blk: interrupted.*> $/ms);
    expect(await guest.command('blk flush')).toContain('the device did not finish its reset');
    expect(await guest.command('rng 8')).toMatch(/\b([0-9a-f]{2} ?){8}/);
    expect(guest.info.broken).toEqual({});

    disk.thaw();
    await until(() => inFlight(guest.id) === 0);
    expect(resultOf(await guest.command('blk verify 8'), 'blk-verify')).toMatchObject({ errors: 0 });
  });

  test('continues after a pause when the disk responds', async context => {
    const { guest, disk } = await heldUp(context);
    await engine.pause(guest.id);
    await engine.resume(guest.id);
    disk.thaw();
    await guest.printed(/result blk-write.*result blk-write .*> $/s);
    expect(resultOf(await guest.command('blk verify 8'), 'blk-verify')).toMatchObject({ errors: 0 });
  });

  test('is reset when the disk responds, and handles everything else until then', async context => {
    const { guest, disk } = await heldUp(context);
    await engine.reset(guest.id);
    await until(() => guest.info.diskErrors !== undefined);
    expect(guest.info).toMatchObject({
      state: 'running',
      diskErrors: { blk0: 'the host has not answered some of its requests' },
    });
    await engine.pause(guest.id);
    expect(guest.info.state).toBe('paused');
    await engine.reset(guest.id);
    await engine.resume(guest.id);
    expect(guest.output.match(/vring guest/g)).toHaveLength(1);

    disk.thaw();
    await guest.printed(/vring guest .*vring guest .*> $/s);
    await until(() => guest.info.diskErrors === undefined);
    expect(resultOf(await guest.command('blk verify 64'), 'blk-verify')).toMatchObject({ complete: 1 });
    expect(guest.info.broken).toEqual({});
  });

  test('is killed at once while a reset is pending', async context => {
    const { guest } = await heldUp(context);
    await engine.reset(guest.id);
    await engine.kill(guest.id);
    expect(guest.info.state).toBe('off');
  });
});
