import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { emptyHost } from '../../src/host-service/snapshot.ts';
import type { HostSource } from '../../src/host-service/source.ts';
import { createAppStore } from '../../src/store/app-store.ts';
import { HostFeed } from '../../src/store/host-feed.ts';
import { ManualClock } from '../support/manual-clock.ts';

const ADDRESSES = ['0000:00:00.0', '0000:00:01.0', '0000:00:02.0', '0000:00:03.0'];

/** A feed whose cursor is the last function that was looked at. */
function openFeed() {
  const asked: string[] = [];
  const client = {
    watch: () => {},
    usage: () => {},
    idle: async () => {},
    call: async (_: 'details', address: string) => void asked.push(address),
  };
  const source = {
    unchangeable: null,
    recording: null,
    connect: () => ({ client, onLost: () => {}, close: async () => {} }),
  } as unknown as HostSource;
  const clock = new ManualClock();
  const store = createAppStore();
  const feed = new HostFeed(source, store, clock, ({ device }) => device);
  const host = () => ({ ...emptyHost, functions: new Map(ADDRESSES.map(each => [each, {} as never])) });
  store.getState().openScreen({ kind: 'pci' });
  store.setState({ host: host() });
  const moveTo = async (index: number) => {
    store.getState().setDevice(ADDRESSES[index]!);
    await setImmediate();
  };
  const readAgain = async () => {
    store.setState({ host: host() });
    await setImmediate();
  };
  const moveToBus = () => store.setState({ device: null });
  return { asked, clock, feed, moveTo, moveToBus, readAgain };
}

test('reads details at once, and when the host has changed', async () => {
  const { asked, clock, feed, moveTo, readAgain } = openFeed();
  await moveTo(0);
  expect(asked).toEqual([ADDRESSES[0]]);
  clock.advance(100);
  await moveTo(1);
  expect(asked).toEqual([ADDRESSES[0], ADDRESSES[1]]);
  await readAgain();
  expect(asked).toEqual([ADDRESSES[0], ADDRESSES[1], ADDRESSES[1]]);
  await feed.close();
});

test('reads only the function on which the cursor stops after moving quickly', async () => {
  const { asked, clock, feed, moveTo, readAgain } = openFeed();
  await moveTo(0);
  for (const index of [1, 2, 3, 2]) {
    clock.advance(60);
    await moveTo(index);
    await readAgain();
  }
  expect(asked).toEqual([ADDRESSES[0]]);
  clock.advance(99);
  await setImmediate();
  expect(asked).toEqual([ADDRESSES[0]]);
  clock.advance(1);
  await setImmediate();
  expect(asked).toEqual([ADDRESSES[0], ADDRESSES[2]]);
  await feed.close();
});

test('handles a quick move past a row that is not a function', async () => {
  const { asked, clock, feed, moveTo, moveToBus } = openFeed();
  await moveTo(0);
  clock.advance(60);
  moveToBus();
  clock.advance(60);
  await moveTo(1);
  expect(asked).toEqual([ADDRESSES[0]]);
  clock.advance(100);
  await setImmediate();
  expect(asked).toEqual([ADDRESSES[0], ADDRESSES[1]]);
  await feed.close();
});

test('handles a quick move past the function whose details are shown', async () => {
  const { asked, clock, feed, moveTo } = openFeed();
  await moveTo(0);
  for (const index of [1, 0, 2]) {
    clock.advance(60);
    await moveTo(index);
  }
  expect(asked).toEqual([ADDRESSES[0]]);
  clock.advance(100);
  await setImmediate();
  expect(asked).toEqual([ADDRESSES[0], ADDRESSES[2]]);
  await feed.close();
});

test('reads nothing after the feed was closed', async () => {
  const { asked, clock, feed, moveTo } = openFeed();
  await moveTo(0);
  await moveTo(1);
  await feed.close();
  clock.advance(1000);
  await setImmediate();
  expect(asked).toEqual([ADDRESSES[0]]);
});
