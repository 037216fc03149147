import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { limitNic, linkNic, type NicLimitOptions } from '../../../src/commands/vm/nics.ts';
import type { VmInfo } from '../../../src/engine/vm-info.ts';

const done: unknown[] = [];
let printed = '';

const engine = {
  vms: () => [
    {
      id: 'web',
      name: 'web',
      topology: {
        devices: [
          {
            name: 'net0',
            backend: 'net',
            facts: [
              { label: 'link', value: 'up' },
              { label: 'limits', value: 'none' },
            ],
          },
        ],
      },
    } as unknown as VmInfo,
  ],
  setLink: async (...args: unknown[]) => void done.push(args),
  limitNic: async (...args: unknown[]) => void done.push(args),
};

beforeEach(() => {
  done.length = 0;
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    printed += String(text);
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

test('a cable is plugged in, unplugged, or shown', async () => {
  await linkNic(engine, 'web', 'net0', 'down', {});
  await linkNic(engine, 'web', 'net0', null, {});
  expect(done).toEqual([['web', 'net0', false]]);
  expect(printed).toBe('web: the link of net0 is down\nweb: the link of net0 is up\n');
  await expect(linkNic(engine, 'web', 'net7', null, {})).rejects.toThrow(
    'web has no network card "net7": it has net0',
  );
});

test('limits are set in either direction, removed, or shown', async () => {
  await limitNic(engine, 'web', 'net0', { rxPps: 100, rxPpsBurst: 200, txBps: 2 ** 20 });
  await limitNic(engine, 'web', 'net0', { none: true, persist: true });
  await limitNic(engine, 'web', 'net0', {});
  expect(done).toEqual([
    ['web', 'net0', { receive: { pps: 100, 'pps-burst': 200 }, transmit: { bps: 2 ** 20 } }, {}],
    ['web', 'net0', {}, { persist: true }],
  ]);
  expect(printed).toContain('limits of net0: receive 100 packets/s in bursts of 200; transmit 1');
});

test.each([
  [{ rxPpsBurst: 5 }, '--rx-pps-burst: a burst needs a limit: give pps, too'],
  [{ txBps: 10, txBpsBurst: 5 }, '--tx-bps-burst: a burst of less than bps: give at least as much'],
] as [NicLimitOptions, string][])('%j is rejected', async (options, reason) => {
  await expect(limitNic(engine, 'web', 'net0', options)).rejects.toThrow(reason);
});
