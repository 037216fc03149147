import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { openImageDisk } from '../../../src/vmm/backends/image-disk.ts';
import { openDisk } from '../../../src/vmm/backends/open-disk.ts';
import { CounterBlocks } from '../../../src/vmm/counters/counter-blocks.ts';
import { QueueMemory } from '../../../src/vmm/memory/queue-memory.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { allocateCounters } from '../../support/counters.ts';
import { diskParts } from '../../support/disk-parts.ts';
import { outAl, storeEax } from '../../support/guest-code.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { runAnswered, SmallVm } from '../../support/small-vm.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const SHAPE = { vcpus: 1, queues: 1, regions: 4, statistics: 0 };
const PAGE = 4096;
/** Pages of the ring and of what a request needs. */
const [DESCRIPTORS, AVAILABLE, USED, HEADER, STATUS] = [0x20, 0x21, 0x22, 0x23, 0x24].map(
  page => page * PAGE,
) as [number, number, number, number, number];
const NEXT = 1;
const WRITE = 2;

/** A VM with a disk, on a queue thread. */
class VmWithDisk {
  readonly counters = allocateCounters(SHAPE);
  readonly native = new NativeVm(this.counters, SHAPE);
  readonly small = new SmallVm(this.native, new QueueMemory(this.native));
  readonly #kickFd = this.native.ownFd(libc.eventfd());
  readonly #callFd = this.native.ownFd(libc.eventfd());
  /** The driver's view of RAM, which is in no log. */
  readonly #data = new DataView(this.small.ram.blocks[0]!.buffer);
  #requests = 0;

  constructor(path: string) {
    writeFileSync(path, new Uint8Array(64 * 1024));
    const disk = openDisk({ path, format: 'raw', readonly: false, cache: 'writeback' });
    const raw = openImageDisk(disk, { readonly: false, cache: 'writeback' }, diskParts(this.native));
    const label = { device: 'blk0', type: 'virtio-blk', queue: 'requests', size: 8 };
    const counters = new CounterBlocks(this.counters, SHAPE).queue(label);
    this.native.watchEventFd(this.#callFd, 1);
    raw.startQueue(
      {
        ...{ index: 0, size: 8, descriptors: DESCRIPTORS, available: AVAILABLE, used: USED },
        ...{ kickFd: this.#kickFd, callFd: this.#callFd, counters },
        progress: { lastAvail: 0, usedIndex: 0 },
      },
      {
        ...{ features: 1n << 32n, serial: '', limits: { segments: 6, ranges: 1, rangeSectors: 8 } },
        ...{ onBroken: () => {}, onDiskErrors: () => {} },
      },
    );
  }

  /** Has the queue thread read a sector to `address`. */
  readSectorTo(address: number): void {
    this.#descriptor(0, HEADER, 16, NEXT);
    this.#descriptor(1, address, 512, NEXT | WRITE);
    this.#descriptor(2, STATUS, 1, WRITE);
    this.#requests++;
    this.#data.setUint16(AVAILABLE + 2, this.#requests, true);
    libc.signalEventfd(this.#kickFd);
    while (this.#data.getUint16(USED + 2, true) !== this.#requests) {
      if (this.native.wait(5_000_000_000n) === 0) throw new Error('no answer within five seconds');
    }
  }

  #descriptor(index: number, address: number, length: number, flags: number): void {
    const at = DESCRIPTORS + 16 * index;
    this.#data.setBigUint64(at, BigInt(address), true);
    this.#data.setUint32(at + 8, length, true);
    this.#data.setUint16(at + 12, flags, true);
    this.#data.setUint16(at + 14, index + 1, true);
  }
}

let vm: VmWithDisk | null = null;
afterEach(() => {
  vm?.native.destroy();
  vm = null;
});

describe.skipIf(noKvm !== null)(onKvm('a write to VM memory'), () => {
  test('is logged for each user, whoever made it', () => {
    const machine = new VmWithDisk(join(temporaryFolder(), 'disk'));
    vm = machine;
    const { small } = machine;
    const { dirtyLog, space } = small.memory;
    const [ram] = small.ram.blocks;
    const writes = [0x20_0000, 0x21_0000, 0x22_0000].flatMap(address => [
      ...storeEax(address),
      ...outAl(0x80),
    ]);
    const vcpu = small.boot('protected32', writes);
    const guestWrites = () => runAnswered(vcpu, space);
    const logged = (user: string) =>
      [...dirtyLog.collect(user).get(ram!)!.runs()].flatMap(({ first, end }) =>
        Array.from({ length: end - first }, (_, at) => first + at),
      );
    const ring = [USED / PAGE, STATUS / PAGE];

    guestWrites();
    space.memory.writeU16(0x30_0000, 1);
    machine.readSectorTo(0x31_0000);
    dirtyLog.start('migration', [ram!]);
    expect(logged('migration')).toEqual([]);

    guestWrites();
    space.memory.writeU16(0x32_0000, 1);
    machine.readSectorTo(0x33_0ff0);
    expect(logged('migration')).toEqual([...ring, 0x210, 0x320, 0x330, 0x331]);

    dirtyLog.start('display', [ram!]);
    guestWrites();
    expect(logged('display')).toEqual([0x220]);
    machine.readSectorTo(0x34_0000);
    expect(logged('migration')).toEqual([...ring, 0x220, 0x340]);
    space.memory.writeU16(0x35_0000, 1);
    expect(logged('display')).toEqual([...ring, 0x340, 0x350]);

    dirtyLog.stop('display');
    machine.readSectorTo(0x36_0000);
    expect(logged('migration')).toEqual([...ring, 0x350, 0x360]);
  });
});
