import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InterfaceTraffic } from '../../../../src/vmm/backends/net/interface-traffic.ts';
import { DeviceClock } from '../../../support/device-clock.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const FILES = ['to-bytes', 'to-packets', 'to-dropped', 'from-bytes', 'from-packets', 'from-dropped'];
const SECOND_MS = 1000;

let folder: string;
let files: number[];
let clock: DeviceClock;
let gone: number;
let traffic: InterfaceTraffic;

const write = (...counts: number[]) => {
  for (const [index, count] of counts.entries()) writeFileSync(join(folder, FILES[index]!), `${count}\n`);
};

/** A queue whose driver has got back `used` chains. */
const queue = (transmits: boolean) => {
  const counts: Record<string, number> = {};
  const add = (name: string, amount: number) => {
    counts[name] = (counts[name] ?? 0) + amount;
  };
  const state = { transmits, counters: { add }, used: () => state.chains & 0xffff, chains: 0xfff0, counts };
  return state;
};

beforeEach(() => {
  folder = temporaryFolder();
  write(100, 1, 0, 200, 2, 0);
  files = FILES.map(name => openSync(join(folder, name), 'r'));
  clock = new DeviceClock();
  gone = 0;
  traffic = new InterfaceTraffic(files, clock, () => void gone++);
});
afterEach(() => {
  for (const fd of files) closeSync(fd);
});

test('a queue counts the traffic while the kernel served it', () => {
  const [receive, transmit] = [queue(false), queue(true)];
  const end = [traffic.count(receive), traffic.count(transmit)];
  write(1100, 3, 4, 700, 7, 0);
  clock.advance(SECOND_MS);
  expect(receive.counts).toEqual({ bytesToGuest: 1000, requests: 2, dropped: 4 });
  expect(transmit.counts).toEqual({ bytesFromGuest: 500, requests: 5 });
  write(1100, 3, 4, 800, 8, 0);
  for (const each of end) each();
  expect(transmit.counts).toEqual({ bytesFromGuest: 600, requests: 6 });
  // Others carry the frames now, and count them.
  write(5000, 9, 9, 5000, 9, 9);
  traffic.count(receive)();
  expect(receive.counts).toEqual({ bytesToGuest: 1000, requests: 2, dropped: 4 });
});

test('several queues share it in proportion to their returned chains', () => {
  const [first, second] = [queue(true), queue(true)];
  traffic.count(first);
  traffic.count(second);
  first.chains += 30;
  second.chains += 10;
  write(100, 1, 0, 4200, 42, 0);
  clock.advance(SECOND_MS);
  expect([first.counts, second.counts]).toEqual([
    { bytesFromGuest: 3000, requests: 30 },
    { bytesFromGuest: 1000, requests: 10 },
  ]);
});

test('an interface that is gone is reported', () => {
  traffic.count(queue(true));
  closeSync(files[0]!);
  clock.advance(SECOND_MS);
  expect(gone).toBeGreaterThan(0);
  files[0] = openSync(join(folder, FILES[0]!), 'r');
});
