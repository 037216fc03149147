import { afterEach, describe, expect, test } from 'vitest';
import { FEATURE } from '../../../../src/devices/virtio/features.ts';
import type { RunningQueue } from '../../../../src/devices/virtio/virtio-device.ts';
import { FrameSender } from '../../../../src/vmm/backends/net/frame-sender.ts';
import { SEND_RING_BYTES, SEND_SLOTS } from '../../../../src/vmm/backends/net/send-ring.ts';
import { PortMemory } from '../../../../src/vmm/backends/port-memory.ts';
import { GuestRam } from '../../../../src/vmm/memory/guest-ram.ts';
import * as libc from '../../../../src/vmm/native/libc.ts';
import { NativeVm } from '../../../../src/vmm/native/native-vm.ts';
import { NativeWire } from '../../../../src/vmm/native/native-wire.ts';
import { setMemory } from '../../../../src/vmm/native/queue-regions.ts';
import { QueueThreads } from '../../../../src/vmm/native/queue-threads.ts';
import { waitForFds } from '../../../../src/vmm/native/unix-socket.ts';
import { allocateCounters } from '../../../support/counters.ts';
import { NativeEvents } from '../../../support/native-events.ts';
import { Random } from '../../../support/random.ts';

const SHAPE = { vcpus: 1, queues: 1, regions: 0, statistics: 0 };
const HEADER = 12;
const MAX_FRAME = 65_553;

const owners: NativeVm[] = [];
afterEach(() => {
  for (const native of owners.splice(0)) native.destroy();
});

/** A sender to a socket, whose other end is the test. */
class Rig {
  readonly native = new NativeVm(allocateCounters(SHAPE), SHAPE);
  readonly events: NativeEvents;
  readonly sender: FrameSender;
  readonly own: number;
  readonly peer: number;
  starts = 0;
  room = 0;

  constructor(start?: () => RunningQueue) {
    owners.push(this.native);
    setMemory(this.native.handle, new GuestRam(this.native, { bytes: 2 ** 20 }).regions);
    const queues = new QueueThreads(this.native);
    this.events = new NativeEvents(this.native, queues);
    [this.own, this.peer] = libc.socketPair(libc.SOCK_SEQPACKET);
    for (const fd of [this.own, this.peer]) libc.setNonblocking(this.native.ownFd(fd));
    const wire = new NativeWire(
      this.native.handle,
      { fds: [this.own], header: 'virtio' },
      this.native.ownFd(libc.eventfd()),
    );
    this.sender = new FrameSender({
      ...{ owner: this.native, events: this.events, memory: new PortMemory(this.native, SEND_RING_BYTES) },
      headerBytes: HEADER,
      start: (queue, own, onBroken) => {
        this.starts++;
        if (start !== undefined) return start();
        const net = { wire, pair: 0, transmits: true };
        return queues.startNet(queue, FEATURE.version1, net, { onBroken }, own);
      },
      write: (bytes, length) => libc.tryWrite(this.own, bytes, length) > 0,
      onRoom: () => this.room++,
    });
  }

  /** The next frame, which is waited for; its header is checked. */
  take(): Uint8Array {
    const bytes = new Uint8Array(HEADER + MAX_FRAME);
    waitForFds([{ fd: this.peer, writable: false }], 5000);
    const length = libc.tryRead(this.peer, bytes);
    expect([...bytes.subarray(0, HEADER)]).toEqual([...new Uint8Array(HEADER)]);
    return bytes.slice(HEADER, length);
  }

  get isEmpty(): boolean {
    return libc.tryRead(this.peer, new Uint8Array(1)) < 0;
  }
}

const frame = (length: number, first: number) => Uint8Array.from({ length }, (_, at) => (first + at) & 0xff);

test('a single frame is sent at once, without a thread', () => {
  const rig = new Rig();
  const { sender } = rig;
  expect([sender.put(frame(60, 1)), sender.isIdle, rig.isEmpty]).toEqual([true, false, true]);
  sender.flush();
  expect([sender.isIdle, rig.starts]).toEqual([true, 0]);
  expect(rig.take()).toEqual(frame(60, 1));
});

describe('a batch of frames', () => {
  test('is sent by a thread in order, whatever the sizes', () => {
    const rig = new Rig();
    const random = new Random(7);
    for (let round = 0; round < 200; round++) {
      // Few enough for the socket.
      const sizes = Array.from({ length: 2 + random.below(2) }, () =>
        random.below(4) === 0 ? 60 + random.below(MAX_FRAME - 59) : 60 + random.below(1500),
      );
      const frames = sizes.map((length, at) => frame(length, round + at));
      for (const each of frames) expect(rig.sender.put(each)).toBe(true);
      rig.sender.flush();
      for (const each of frames) expect(Buffer.compare(rig.take(), each)).toBe(0);
    }
    expect(rig.starts).toBe(1);
  });

  test('waits while the peer accepts none, and continues when it does', () => {
    const rig = new Rig();
    let count = 0;
    while (rig.sender.put(frame(1514, count))) count++;
    expect(count).toBeGreaterThanOrEqual(SEND_SLOTS);
    expect(rig.sender.put(frame(60, 0))).toBe(false);
    for (let at = 0; at < count; at++) expect(rig.take()[0]).toBe(at & 0xff);
    rig.events.until(() => rig.room > 0);
    expect([rig.room, rig.sender.put(frame(60, 9))]).toEqual([1, true]);
    rig.sender.flush();
    expect(rig.take()).toEqual(frame(60, 9));
    expect(rig.isEmpty).toBe(true);
  });

  test('is sent at the end, as far as the peer accepts it', () => {
    const rig = new Rig();
    for (let at = 0; at < 40; at++) rig.sender.put(frame(60, at));
    rig.sender.close();
    for (let at = 0; at < 40; at++) expect(rig.take()).toEqual(frame(60, at));
    expect(rig.isEmpty).toBe(true);
  });

  test('is sent frame by frame if no thread can be started', () => {
    const rig = new Rig(() => {
      throw new Error('no more threads');
    });
    for (let at = 0; at < 3; at++) rig.sender.put(frame(60, at));
    rig.sender.flush();
    for (let at = 0; at < 3; at++) expect(rig.take()).toEqual(frame(60, at));
    expect([rig.starts, rig.sender.hasFailed]).toEqual([1, true]);
  });
});
