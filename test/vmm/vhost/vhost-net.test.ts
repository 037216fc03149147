import { beforeEach, describe, expect, test } from 'vitest';
import { FEATURE } from '../../../src/devices/virtio/features.ts';
import { NET_FEATURE } from '../../../src/devices/virtio/net-features.ts';
import type { VirtioQueue } from '../../../src/devices/virtio/virtio-device.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import type { MemoryRange } from '../../../src/vmm/memory/memory-range.ts';
import { drainEventfd, eventfd } from '../../../src/vmm/native/libc.ts';
import { VhostMemory } from '../../../src/vmm/vhost/vhost-memory.ts';
import { VhostError, VhostNet, VRING } from '../../../src/vmm/vhost/vhost-net.ts';
import { UNCOUNTED } from '../../support/counters.ts';
import { fakeBlock } from '../../support/fake-block.ts';
import { FakeVhost } from '../../support/fake-vhost.ts';

const PAGE = 4096;
const HOST = 0x10_0000n;
const TAP = 77;
const FEATURES = FEATURE.version1 | FEATURE.ringEventIdx | NET_FEATURE.mergeableBuffers | NET_FEATURE.mac;

let space: AddressSpace;
let ram: MemoryRange;
let memory: VhostMemory;
let kernel: FakeVhost;
let refused: string[];
let net: VhostNet;
const kickFd = eventfd();
const callFd = eventfd();

beforeEach(() => {
  const block = { ...fakeBlock('ram', 64 * PAGE), host: HOST };
  space = new AddressSpace({ counters: () => UNCOUNTED });
  memory = new VhostMemory(pages => ({ pages, address: 0x7000n, take: () => null }));
  space.listen(memory);
  ram = space.add({ kind: 'ram', name: 'ram', start: 0, size: block.size, block });
  kernel = new FakeVhost();
  refused = [];
  net = new VhostNet(kernel, memory, { errorFd: 9, onRefused: reason => refused.push(reason) });
  drainEventfd(kickFd);
});

const queue = (at: number, more: Partial<VirtioQueue> = {}): VirtioQueue => ({
  ...{ index: 0, size: 256, descriptors: at, available: at + PAGE, used: at + 2 * PAGE },
  ...{ kickFd, callFd, progress: { lastAvail: 0x1234, usedIndex: 0x1234 } },
  counters: { slot: 0, add: () => {}, release: () => {} },
  ...more,
});

describe('a queue', () => {
  test('is set up at its last position, and served at once', () => {
    net.start(VRING.receive, queue(0), FEATURES, TAP);
    expect(kernel.features).toBe(FEATURES & ~NET_FEATURE.mac);
    expect(kernel.vrings[0]).toMatchObject({
      ...{ num: 256, base: 0x1234, kick: kickFd, call: callFd, error: 9, backend: TAP },
      addresses: {
        desc_user_addr: HOST,
        avail_user_addr: HOST + BigInt(PAGE),
        used_user_addr: HOST + BigInt(2 * PAGE),
        flags: 0,
      },
    });
    expect(drainEventfd(kickFd)).toBe(1n);
  });

  test('returns its position, and releases memory with the last one', () => {
    const receive = net.start(VRING.receive, queue(0), FEATURES, TAP);
    const transmit = net.start(VRING.transmit, queue(8 * PAGE), FEATURES, TAP);
    kernel.vrings[VRING.transmit]!.base = 7;
    expect(transmit.stop(0)).toEqual({ lastAvail: 7, usedIndex: 7 });
    expect([kernel.owned, kernel.serves(VRING.receive)]).toEqual([true, true]);
    expect([kernel.vrings[1]!.kick, kernel.vrings[1]!.call]).toEqual([-1, -1]);
    receive.requestStop();
    expect(kernel.owned).toBe(false);
    expect(receive.stop(0)).toEqual({ lastAvail: 0x1234, usedIndex: 0x1234 });
    // Another process, or this one, may go on with it.
    net.start(VRING.receive, queue(0), FEATURES, TAP);
    expect([kernel.owned, kernel.regions.length]).toEqual([true, 1]);
  });

  test('has both positions with their wrap counters if packed, and is rejected without kernel support', () => {
    expect(net.missing(FEATURES)).toBeNull();
    expect(net.missing(FEATURES | FEATURE.ringPacked)).toBe(
      "the kernel's vhost-net has no packed virtqueues",
    );
    kernel.offered |= FEATURE.ringPacked;
    net = new VhostNet(kernel, memory, { errorFd: 9, onRefused: () => {} });
    expect(net.missing(FEATURES | FEATURE.ringPacked)).toBeNull();
    const progress = { lastAvail: 0x8003, usedIndex: 0x0002 };
    const running = net.start(VRING.receive, queue(0, { progress }), FEATURES | FEATURE.ringPacked, TAP);
    expect(kernel.vrings[0]!.base).toBe(0x2_8003);
    kernel.vrings[0]!.base = 0x8001_0004;
    expect(running.stop(0)).toEqual({ lastAvail: 4, usedIndex: 0x8001 });
  });

  test.each([
    ['VHOST_SET_OWNER', 'ENOMEM'],
    ['VHOST_SET_MEM_TABLE', 'E2BIG'],
    ['VHOST_SET_VRING_KICK', 'EBADF'],
    ['VHOST_NET_SET_BACKEND', 'ENOTSOCK'],
  ] as const)('that the kernel refuses at %s leaves nothing behind', (call, code) => {
    kernel.failing.set(call, code);
    expect(() => net.start(VRING.receive, queue(0), FEATURES, TAP)).toThrow(VhostError);
    expect(kernel.serves(VRING.receive)).toBe(false);
    kernel.failing.clear();
    if (call !== 'VHOST_SET_OWNER') expect(kernel.owned).toBe(false);
    net.start(VRING.receive, queue(0), FEATURES, TAP);
    expect(kernel.serves(VRING.receive)).toBe(true);
  });

  test('that is not in contiguous RAM is rejected', () => {
    expect(() => net.start(VRING.receive, queue(62 * PAGE), FEATURES, TAP)).toThrow(
      'is not in one piece of RAM',
    );
    expect(kernel.owned).toBe(false);
  });
});

describe('memory that changes while a queue runs', () => {
  test('is passed on to the kernel', () => {
    net.start(VRING.receive, queue(0), FEATURES, TAP);
    const block = { ...fakeBlock('more', PAGE), host: 0x90_0000n };
    space.add({ kind: 'ram', name: 'more', start: 100 * PAGE, size: PAGE, block });
    expect(kernel.regions).toHaveLength(2);
    expect(refused).toEqual([]);
  });

  test('stops the queues, with their positions, if the kernel rejects it', () => {
    const running = net.start(VRING.receive, queue(0), FEATURES, TAP);
    kernel.vrings[0]!.base = 99;
    ram.remove();
    expect(refused).toEqual([expect.stringMatching(/does not take the memory of the VM: .*EFAULT/)]);
    expect([kernel.owned, kernel.serves(VRING.receive)]).toEqual([false, false]);
    expect(running.stop(0)).toEqual({ lastAvail: 99, usedIndex: 99 });
  });

  test('is logged by guest addresses, including the used rings', () => {
    net.start(VRING.receive, queue(0), FEATURES, TAP);
    memory.setLogging(new Set([{ ...fakeBlock('ram', 64 * PAGE), host: HOST }]));
    expect(kernel.log).toBe(0x7000n);
    expect(kernel.features & (1n << 26n)).not.toBe(0n);
    expect(kernel.vrings[0]!.addresses).toMatchObject({ flags: 1, log_guest_addr: BigInt(2 * PAGE) });
    // One that starts meanwhile.
    net.start(VRING.transmit, queue(8 * PAGE), FEATURES, TAP);
    expect(kernel.vrings[1]!.addresses).toMatchObject({ flags: 1, log_guest_addr: BigInt(10 * PAGE) });
    memory.setLogging(new Set());
    expect(kernel.features & (1n << 26n)).toBe(0n);
    expect(kernel.vrings[0]!.addresses).toMatchObject({ flags: 0 });
  });
});
