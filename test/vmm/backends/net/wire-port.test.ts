import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Wire } from '../../../../src/vmm/backends/net/wire.ts';
import { type FdEvents, WirePort } from '../../../../src/vmm/backends/net/wire-port.ts';
import * as libc from '../../../../src/vmm/native/libc.ts';
import { waitForFds } from '../../../../src/vmm/native/unix-socket.ts';
import { DeviceClock } from '../../../support/device-clock.ts';

/** A loop that a test turns. */
class TurnedLoop implements FdEvents {
  readonly watched = new Map<number, { writable: boolean; onReady: () => void }>();

  watchFd(fd: number, writable: boolean, onReady: () => void): void {
    this.watched.set(fd, { writable, onReady });
  }

  unwatchFd(fd: number): void {
    this.watched.delete(fd);
  }

  /** @returns whether something was ready */
  turn(): boolean {
    const ready = waitForFds(
      [...this.watched].map(([fd, { writable }]) => ({ fd, writable })),
      0,
    );
    for (const fd of ready) this.watched.get(fd)?.onReady();
    return ready.length > 0;
  }
}

const frame = (length: number, first = 0) => Uint8Array.from({ length }, (_, at) => (first + at) & 0xff);

let clock: DeviceClock;
let loop: TurnedLoop;
let own: number;
let peer: number;
let hungUp = 0;

beforeEach(() => {
  clock = new DeviceClock();
  loop = new TurnedLoop();
  [own, peer] = libc.socketPair(libc.SOCK_SEQPACKET);
  for (const fd of [own, peer]) libc.setNonblocking(fd);
  hungUp = 0;
});
afterEach(() => {
  for (const fd of [own, peer]) if (fd >= 0) libc.close(fd);
});

function port(header: Wire['header'] = 'none'): { port: WirePort; received: Uint8Array[] } {
  const port = new WirePort({ fds: [own], header, label: 'test' }, loop, clock, () => hungUp++);
  const received: Uint8Array[] = [];
  port.onFrame = bytes => {
    received.push(bytes.slice());
    return true;
  };
  return { port, received };
}

function take(): Uint8Array | null {
  const bytes = new Uint8Array(70_000);
  const length = libc.tryRead(peer, bytes);
  return length < 0 ? null : bytes.slice(0, length);
}

describe.each([
  ['bare frames', 'none', 0],
  ['frames with a header', 'virtio', 12],
] as const)('a wire of %s', (_, header, bytes) => {
  test('transfers frames of all sizes in both directions', () => {
    const { port: one, received } = port(header);
    one.resume();
    for (const length of [14, 60, 1514, 65_553]) {
      expect(one.send(frame(length))).toBe(true);
      expect(take()).toEqual(Uint8Array.from([...new Uint8Array(bytes), ...frame(length)]));
      libc.write(peer, Uint8Array.from([...new Uint8Array(bytes).fill(9), ...frame(length, 7)]));
      loop.turn();
      expect(received.pop()).toEqual(frame(length, 7));
    }
  });
});

test('nothing is received before a resume, after a pause, or after it is closed', () => {
  const { port: one, received } = port();
  libc.write(peer, frame(60));
  expect([loop.turn(), received.length]).toEqual([false, 0]);
  one.resume();
  expect([loop.turn(), received.length]).toEqual([true, 1]);
  one.pause();
  libc.write(peer, frame(60));
  expect(loop.turn()).toBe(false);
  one.resume();
  expect([loop.turn(), received.length]).toEqual([true, 2]);
  one.close();
  libc.write(peer, frame(60));
  expect([loop.turn(), received.length, loop.watched.size]).toEqual([false, 2, 0]);
});

test('a frame that the card has no room for is kept, and the next ones wait', () => {
  const { port: one } = port();
  const received: number[] = [];
  let room = 1;
  one.onFrame = ({ length }) => {
    if (room === 0) return false;
    room--;
    received.push(length);
    return true;
  };
  one.resume();
  for (const length of [60, 61, 62]) libc.write(peer, frame(length));
  loop.turn();
  expect([received, loop.turn()]).toEqual([[60], false]);
  room = 1;
  one.resume();
  loop.turn();
  expect(received).toEqual([60, 61]);
  room = 5;
  one.resume();
  loop.turn();
  expect(received).toEqual([60, 61, 62]);
});

test('a full wire is reported, and so is when it accepts frames again', () => {
  const { port: one } = port();
  let ready = 0;
  one.onReady = () => ready++;
  let sent = 0;
  while (one.send(frame(1514))) sent++;
  expect(sent).toBeGreaterThan(10);
  expect([loop.turn(), ready]).toEqual([false, 0]);
  while (take() !== null);
  expect([loop.turn(), ready]).toEqual([true, 1]);
  expect(one.send(frame(60))).toBe(true);
  expect(loop.watched.size).toBe(0);
});

test('without a link, frames are dropped in both directions', () => {
  const { port: one, received } = port();
  one.resume();
  one.setLink(false);
  expect(one.send(frame(60))).toBe(true);
  libc.write(peer, frame(60));
  loop.turn();
  expect([take(), received]).toEqual([null, []]);
  one.setLink(true);
  libc.write(peer, frame(61));
  loop.turn();
  expect(received).toEqual([frame(61)]);
});

test('a closed peer is reported once', () => {
  const { port: one } = port();
  one.resume();
  libc.close(peer);
  peer = -1;
  loop.turn();
  expect([hungUp, one.connected, loop.turn()]).toEqual([1, false, false]);
  expect(one.send(frame(60))).toBe(true);
  expect(hungUp).toBe(1);
});

test('limits delay frames in both directions', () => {
  const { port: one, received } = port();
  let ready = 0;
  one.onReady = () => ready++;
  one.setLimits({ receive: { pps: 100, 'pps-burst': 2 }, transmit: { bps: 10_000, 'bps-burst': 10_000 } });
  one.resume();
  for (let i = 0; i < 4; i++) libc.write(peer, frame(60, i));
  while (loop.turn());
  // The one after the burst is on credit.
  expect(received).toHaveLength(3);
  clock.advance(9);
  expect([loop.turn(), received.length]).toEqual([false, 3]);
  clock.advance(1);
  while (loop.turn());
  expect(received).toHaveLength(4);

  expect(Array.from({ length: 9 }, () => one.send(frame(1500)))).toEqual([
    ...Array.from({ length: 7 }, () => true),
    ...[false, false],
  ]);
  clock.advance(49);
  expect([ready, one.send(frame(60))]).toEqual([0, false]);
  clock.advance(2);
  expect([ready, one.send(frame(60))]).toEqual([1, true]);

  // Without limits nothing waits any more.
  for (let i = 0; i < 9; i++) libc.write(peer, frame(60));
  while (loop.turn());
  expect(received.length).toBeLessThan(9);
  one.setLimits({});
  while (loop.turn());
  expect(received).toHaveLength(13);
  one.close();
  expect(clock.timers).toBe(0);
});
