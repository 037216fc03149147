import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { limitDisk, resizeDisk } from '../../../src/commands/vm/disks.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { complete } from '../../support/guest-scripts.ts';

let engine: FakeEngine;
let stdout: string;

beforeEach(() => {
  engine = new FakeEngine(systemClock);
  engine.add('web', complete);
  stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    stdout += text;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

test('resizes a disk, and reports its size', async () => {
  await resizeDisk(engine, 'web', 'blk0', { bytes: 20 * 2 ** 30 });
  await resizeDisk(engine, 'web', 'blk0', { bytes: null, shrink: true, json: true });
  expect(engine.calls).toEqual([
    `resize blk0 to ${20 * 2 ** 30} of web`,
    'resize blk0 to its file, or smaller, of web',
  ]);
  expect(stdout).toMatch(/^web: blk0 has 20G now\n\{/);
  expect(JSON.parse(stdout.slice(stdout.indexOf('{')))).toMatchObject({
    name: 'web',
    disk: 'blk0',
    bytes: 2 ** 30,
  });
});

test('limits a disk, replacing its limits', async () => {
  await limitDisk(engine, 'web', 'blk0', { iops: 500, iopsBurst: 2000, bps: 50 * 2 ** 20 });
  await limitDisk(engine, 'web', 'blk0', { none: true });
  expect(engine.calls).toEqual([
    `limit blk0 to {"iops":500,"iops-burst":2000,"bps":${50 * 2 ** 20}} of web`,
    'limit blk0 to {} of web',
  ]);
  expect(stdout).toBe(
    'web: limits of blk0: 500 requests/s in bursts of 2000, 50M/s\nweb: limits of blk0: none\n',
  );
});

test('limits a disk at every start with --persist, which needs limits', async () => {
  await limitDisk(engine, 'web', 'blk0', { bps: 1024, persist: true });
  expect(engine.calls).toEqual(['limit blk0 for good to {"bps":1024} of web']);
  await expect(limitDisk(engine, 'web', 'blk0', { persist: true })).rejects.toThrow(
    '--persist: give the limits to set, or --none for no limits',
  );
});

test('shows the limits without an option', async () => {
  await limitDisk(engine, 'web', 'blk0', {});
  expect(stdout).toBe('web: limits of blk0: none\n');
  expect(engine.calls).toEqual([]);
  await expect(limitDisk(engine, 'web', 'blk7', {})).rejects.toThrow('web has no disk "blk7": it has blk0');
});

test.each([
  [{ iopsBurst: 5 }, '--iops-burst: a burst needs a limit: give iops, too'],
  [{ bps: 10, bpsBurst: 5 }, '--bps-burst: a burst of less than bps: give at least as much'],
])('rejects %j', async (options, reason) => {
  await expect(limitDisk(engine, 'web', 'blk0', options)).rejects.toThrow(reason);
  expect(engine.calls).toEqual([]);
});
