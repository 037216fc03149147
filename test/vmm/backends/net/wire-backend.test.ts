import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetQueueOptions } from '../../../../src/devices/backends/net.ts';
import { FEATURE } from '../../../../src/devices/virtio/features.ts';
import { NetFilter } from '../../../../src/devices/virtio/net-filter.ts';
import type {
  QueueProgress,
  RunningQueue,
  VirtioQueue,
} from '../../../../src/devices/virtio/virtio-device.ts';
import { MachineHubs } from '../../../../src/vmm/backends/net/machine-hubs.ts';
import { SEND_RING_BYTES } from '../../../../src/vmm/backends/net/send-ring.ts';
import { WireBackend } from '../../../../src/vmm/backends/net/wire-backend.ts';
import { PortMemory } from '../../../../src/vmm/backends/port-memory.ts';
import { CounterBlocks } from '../../../../src/vmm/counters/counter-blocks.ts';
import { AddressSpace } from '../../../../src/vmm/memory/address-space.ts';
import { allocateBlock } from '../../../../src/vmm/memory/device-block.ts';
import type { MemoryRange } from '../../../../src/vmm/memory/memory-range.ts';
import { QueueMemory } from '../../../../src/vmm/memory/queue-memory.ts';
import { EVENT } from '../../../../src/vmm/native/abi.ts';
import * as libc from '../../../../src/vmm/native/libc.ts';
import { NativeVm } from '../../../../src/vmm/native/native-vm.ts';
import { QueueThreads } from '../../../../src/vmm/native/queue-threads.ts';
import { VhostMemory } from '../../../../src/vmm/vhost/vhost-memory.ts';
import { allocateCounters, UNCOUNTED } from '../../../support/counters.ts';
import { FakeVhost } from '../../../support/fake-vhost.ts';

const SHAPE = { vcpus: 1, queues: 4, regions: 4, statistics: 0 };
const PAGE = 4096;
const FEATURES = FEATURE.version1 | FEATURE.ringEventIdx;
const LIMITS = { receive: { pps: 1000 } };

/** The loop of a machine, turned by hand. */
class NativeLoop {
  readonly #native: NativeVm;
  readonly #queues: QueueThreads;
  readonly #watchers = new Map<number, (count: number) => void>();
  #timers: (() => void)[] = [];
  #token = 1;

  constructor(native: NativeVm, queues: QueueThreads) {
    this.#native = native;
    this.#queues = queues;
  }

  watch(fd: number, onSignal: (count: number) => void): () => void {
    const token = this.#token++;
    this.#watchers.set(token, onSignal);
    this.#native.watchEventFd(fd, token);
    return () => {
      if (this.#watchers.delete(token)) this.#native.unwatch(fd);
    };
  }

  soon(callback: () => void): void {
    queueMicrotask(callback);
  }

  /** Waits for events. @returns how many there were */
  turn(ns: bigint): number {
    const count = this.#native.wait(ns);
    for (let i = 0; i < count; i++) {
      const kind = this.#native.eventKind(i);
      if (kind === EVENT.fd) this.#watchers.get(this.#native.eventToken(i))?.(this.#native.eventAux(i));
      if (kind === EVENT.queueEnded) this.#queues.ended(this.#native.eventIndex(i));
      if (kind === EVENT.queueBroken) this.#queues.broken(this.#native.eventIndex(i));
    }
    return count;
  }

  runTimers(): void {
    for (const run of this.#timers.splice(0)) run();
  }

  now = () => process.hrtime.bigint();
  watchFd = () => {};
  unwatchFd = () => {};
  at(_deadline: bigint, callback: () => void): () => void {
    this.#timers.push(callback);
    return () => {
      this.#timers = this.#timers.filter(each => each !== callback);
    };
  }
}

let native: NativeVm;
let loop: NativeLoop;
let queues: QueueThreads;
let kernel: FakeVhost;
let ram: MemoryRange;
let backend: WireBackend;
let broken: string[];
let paths: (string | null)[];
let counters: CounterBlocks;

beforeEach(() => {
  const words = allocateCounters(SHAPE);
  native = new NativeVm(words, SHAPE);
  counters = new CounterBlocks(words, SHAPE);
  queues = new QueueThreads(native);
  loop = new NativeLoop(native, queues);
  const vhost = new VhostMemory(pages => ({ pages, address: 0x7000n, take: () => null }));
  const space = new AddressSpace({ counters: () => UNCOUNTED });
  for (const listener of [new QueueMemory(native), vhost]) space.listen(listener);
  const block = allocateBlock(native, 'ram', 64 * PAGE);
  ram = space.add({ kind: 'ram', name: 'ram', start: 0, size: block.size, block });
  kernel = new FakeVhost();
  const [card, network] = libc.socketPair(libc.SOCK_SEQPACKET);
  for (const fd of [card, network]) libc.setNonblocking(fd);
  native.ownFd(network);
  const device = libc.eventfd();
  backend = new WireBackend(
    'net0',
    { fds: [card], header: 'virtio', label: 'tap0', vhost: { devices: [device], counters: [] } },
    {
      ...{ queues, native, owner: native, events: loop, clock: loop },
      sendMemory: new PortMemory(native, SEND_RING_BYTES),
      hubs: new MachineHubs(native.handle, name => counters.queue(name)),
      vhost: { memory: vhost, guest: space.memory, open: () => kernel },
    },
  );
  [broken, paths] = [[], []];
  backend.onDataPath = () => paths.push(backend.dataPath.why);
});
afterEach(() => native.destroy());

const options = (more: Partial<NetQueueOptions> = {}): NetQueueOptions => ({
  ...{ features: FEATURES, pair: 0, onBroken: reason => broken.push(reason) },
  ...more,
});

const queue = (at: number, progress: QueueProgress = { lastAvail: 0, usedIndex: 0 }): VirtioQueue => ({
  ...{ index: 0, size: 8, descriptors: at, available: at + PAGE, used: at + 2 * PAGE, progress },
  ...{ kickFd: native.ownFd(libc.eventfd()), callFd: native.ownFd(libc.eventfd()) },
  counters: counters.queue({ device: 'net0', type: 'virtio-net', queue: `${at}`, size: 8 }),
});

/** Waits for events of the machine until something is so. */
function until(isSo: () => boolean): void {
  while (!isSo()) {
    if (loop.turn(5_000_000_000n) === 0) throw new Error('no event within five seconds');
  }
}

const stop = (running: RunningQueue) => {
  running.requestStop();
  return running.stop(5000);
};

describe('a card that the kernel can serve', () => {
  test('is served by the kernel from its first queue on', () => {
    const receive = backend.startReceive(queue(0), options());
    const transmit = backend.startTransmit(queue(8 * PAGE), options());
    expect([kernel.serves(0), kernel.serves(1)]).toEqual([true, true]);
    expect(backend.dataPath).toEqual({ kernel: true, why: null });
    kernel.vrings[1]!.base = 5;
    expect(stop(transmit)).toEqual({ lastAvail: 5, usedIndex: 5 });
    expect(stop(receive)).toEqual({ lastAvail: 0, usedIndex: 0 });
    expect(kernel.owned).toBe(false);
  });

  test('is served by threads while its rates are limited, from where the kernel was, and back', () => {
    const receive = backend.startReceive(queue(0), options());
    kernel.vrings[0]!.base = 3;
    backend.setLimits(LIMITS);
    expect(kernel.owned).toBe(false);
    expect(backend.dataPath).toEqual({
      kernel: false,
      why: 'its rates are limited, which vhost-net cannot do',
    });
    backend.setLimits({});
    until(() => kernel.serves(0));
    expect(kernel.vrings[0]!.base).toBe(3);
    expect(paths.filter((path, index) => path !== paths[index - 1])).toEqual([
      null,
      'its rates are limited, which vhost-net cannot do',
      null,
    ]);
    expect(stop(receive)).toEqual({ lastAvail: 3, usedIndex: 3 });
  });

  test('is served by threads while its cable is unplugged, or its driver filters as a TAP interface cannot', () => {
    const receive = backend.startReceive(queue(0), options());
    backend.setLink(false);
    expect([kernel.owned, backend.dataPath.why]).toEqual([false, 'its cable is unplugged']);
    const filter = new NetFilter();
    filter.setMode('noMulticast', true);
    backend.setFilter(filter.filter(new Uint8Array(6), false));
    backend.setLink(true);
    expect(backend.dataPath.why).toMatch(/^the driver wants frames filtered/);
    backend.setFilter(new NetFilter().filter(new Uint8Array(6), false));
    until(() => kernel.serves(0));
    expect(stop(receive)).toEqual({ lastAvail: 0, usedIndex: 0 });
  });

  test.each([
    [
      'a packed virtqueue',
      { features: FEATURES | FEATURE.ringPacked },
      { lastAvail: 0x8000, usedIndex: 0x8000 },
      'no packed virtqueues',
    ],
    ['buffers that are out', {}, { lastAvail: 1, usedIndex: 0, unfinished: [0] }, 'taken and not given back'],
  ])('is served by threads with %s', (_, more, progress, why) => {
    const receive = backend.startReceive(queue(0, progress), options(more));
    expect(kernel.owned).toBe(false);
    expect(backend.dataPath).toEqual({ kernel: false, why: expect.stringContaining(why) });
    expect(stop(receive)).not.toBeNull();
  });

  test('is served by threads permanently once the kernel has refused', () => {
    kernel.failing.set('VHOST_NET_SET_BACKEND', 'ENOTSOCK');
    const receive = backend.startReceive(queue(0), options());
    const why =
      "the kernel's vhost-net refuses it: ioctl VHOST_NET_SET_BACKEND: ENOTSOCK (socket operation on non-socket)";
    expect(backend.dataPath).toEqual({ kernel: false, why });
    expect(stop(receive)).toEqual({ lastAvail: 0, usedIndex: 0 });
    expect(broken).toEqual([]);
  });

  test('stops with a reason when the kernel finds a queue broken', () => {
    const transmit = backend.startTransmit(queue(0), options());
    libc.signalEventfd(kernel.vrings[1]!.error);
    until(() => broken.length > 0);
    expect(broken).toEqual([expect.stringContaining('breaks the rules')]);
    stop(transmit);
  });

  test('does not access memory that the guest no longer has', () => {
    const receive = backend.startReceive(queue(0), options());
    ram.remove();
    expect(kernel.owned).toBe(false);
    loop.runTimers();
    expect(broken).toEqual(['the thread for a queue of tap0 cannot be started: invalid argument (EINVAL)']);
    expect(backend.dataPath.why).toContain('does not take the memory of the VM');
    stop(receive);
  });
});
