import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DiskErrors } from '../../../src/devices/backends/disk.ts';
import type { BlockBackend, BlockQueue } from '../../../src/devices/virtio/block-backend.ts';
import type { QueueProgress } from '../../../src/devices/virtio/virtio-device.ts';
import { type ImageDisk, openImageDisk } from '../../../src/vmm/backends/image-disk.ts';
import { openDisk } from '../../../src/vmm/backends/open-disk.ts';
import { CounterBlocks } from '../../../src/vmm/counters/counter-blocks.ts';
import { CounterLayout, QUEUE } from '../../../src/vmm/counters/counters.ts';
import { GuestRam } from '../../../src/vmm/memory/guest-ram.ts';
import { EVENT } from '../../../src/vmm/native/abi.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { setMemory } from '../../../src/vmm/native/queue-regions.ts';
import { QueueThreads } from '../../../src/vmm/native/queue-threads.ts';
import { allocateCounters } from '../../support/counters.ts';
import { diskParts } from '../../support/disk-parts.ts';
import { imageOnFullDisk } from '../../support/full-disk.ts';
import { holdings } from '../../support/holdings.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { threadNames } from '../native/native-guest.ts';

const MiB = 2 ** 20;
const SHAPE = { vcpus: 1, queues: 1, regions: 0 };

let folder: string;
const owners: { release(): void }[] = [];

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  for (const owner of owners.splice(0)) owner.release();
});

function image(size = MiB, name = 'disk.img'): string {
  const path = join(folder, name);
  const fd = openSync(path, 'w');
  ftruncateSync(fd, size);
  closeSync(fd);
  return path;
}

/** A VM without vCPUs, which is destroyed after the test. */
function emptyVm(): NativeVm {
  const native = new NativeVm(allocateCounters(SHAPE), SHAPE);
  owners.push({ release: () => native.destroy() });
  return native;
}

/** Opens a disk that is closed after the test. */
function open(path: string, readonly = false, native = emptyVm()): BlockBackend {
  const disk = openDisk({ path, format: 'raw', readonly, cache: 'none' });
  return openImageDisk(disk, { readonly, cache: 'none' }, diskParts(native));
}

describe('opening a disk', () => {
  it('reports its size and capabilities', () => {
    const disk = open(image(3 * MiB));
    expect(disk.size).toBe(3 * MiB);
    expect(disk.readonly).toBe(false);
    expect(disk.blockSize).toBeGreaterThanOrEqual(512);
    expect(disk.canDiscard).toBe(true);
  });

  it('reports the error and the next step', () => {
    const missing = join(folder, 'no such disk.img');
    expect(() => open(missing)).toThrow(
      `disk ${missing} does not exist: create it with \`truncate -s 10G '${missing}'\``,
    );
    expect(() => open(missing, true)).toThrow(`disk ${missing} does not exist: correct the path`);
    const loop = join(folder, 'loop.img');
    symlinkSync(loop, loop);
    expect(() => open(loop)).toThrow(
      `disk ${loop} cannot be opened: too many symbolic links encountered (ELOOP)`,
    );
    expect(() => open(folder)).toThrow('is a directory: give an image file or a block device');
    expect(() => open('/dev/null')).toThrow('is a character device: give an image file');
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(() => open(pipe)).toThrow('is a pipe: give an image file');
    expect(() => open(pipe, true)).toThrow('is a pipe: give an image file');
    expect(() => open(image(0))).toThrow('is empty: give it a size');
    expect(() => open(image(1000))).toThrow('has 1000 bytes, not a multiple of 512');
    expect(() => open(image(1000))).toThrow('truncate -s 1024');
  });

  it('allows one writer or several readers', () => {
    const path = image();
    const writer = open(path);
    expect(() => open(path)).toThrow(
      `disk ${path} is in use by another VM of this manager, which writes it: stop it first, or attach the disk read-only to both`,
    );
    expect(() => open(path, true)).toThrow('is in use by another VM of this manager');
    writer.close();
    open(path, true);
    expect(open(path, true).readonly).toBe(true);
    expect(() => open(path)).toThrow(
      'is in use by another VM of this manager, which reads it: stop it first, or attach the disk read-only',
    );
  });

  it('leaves no fd behind when it fails', () => {
    const path = image(1000);
    const native = emptyVm();
    const before = holdings().fds;
    expect(() => open(path, false, native)).toThrow();
    expect(holdings().fds).toEqual(before);
  });
});

const DESCRIPTORS = 0x1000;
const AVAILABLE = 0x2000;
const USED = 0x3000;
const HEADER = 0x4000;
const STATUS = 0x5000;
const DATA = 0x10000;
const NEXT = 1;
const WRITE = 2;
/** In the flags of a packed ring's descriptor, in its first round. */
const PACKED_AVAILABLE = 1 << 7;
const RING_PACKED = 1n << 34n;
const TYPE = { read: 0, write: 1, flush: 4, id: 8, writeZeroes: 13 } as const;
const FEATURES = (1n << 9n) | (1n << 14n) | (1n << 32n);

/** A driver with one request at a time in a queue of 8, on a native queue thread. */
class Driver {
  readonly counters = allocateCounters(SHAPE);
  readonly native = new NativeVm(this.counters, SHAPE);
  readonly ram = new GuestRam(this.native, { bytes: 2 * MiB });
  readonly queues = new QueueThreads(this.native);
  readonly kickFd = this.native.ownFd(libc.eventfd());
  readonly callFd = this.native.ownFd(libc.eventfd());
  readonly raw: ImageDisk;
  readonly broken: string[] = [];
  readonly diskErrors: DiskErrors[] = [];
  #queue: BlockQueue | null = null;
  #offered = 0;

  constructor(path: string, readonly = false) {
    owners.push({ release: () => this.native.destroy() });
    setMemory(this.native.handle, this.ram.regions);
    this.native.watchEventFd(this.callFd, 1);
    const disk = openDisk({ path, format: 'raw', readonly, cache: 'none' });
    const parts = diskParts(this.native, { queues: this.queues });
    this.raw = openImageDisk(disk, { readonly, cache: 'none' }, parts);
  }

  start(progress: QueueProgress = { lastAvail: 0, usedIndex: 0 }, features = FEATURES): void {
    const counters = new CounterBlocks(this.counters, SHAPE).queue({
      device: 'blk0',
      type: 'virtio-blk',
      queue: 'requests',
      size: 8,
    });
    const addresses = { descriptors: DESCRIPTORS, available: AVAILABLE, used: USED };
    const fds = { kickFd: this.kickFd, callFd: this.callFd };
    const queue = { index: 0, size: 8, ...addresses, ...fds, progress, counters };
    this.#queue = this.disk.startQueue(queue, {
      features,
      serial: 'serial-7',
      limits: { segments: 6, ranges: 1, rangeSectors: 8 },
      onBroken: reason => this.broken.push(reason),
      onDiskErrors: () => this.diskErrors.push(...this.#queue!.diskErrors(false)),
    });
  }

  /** Stops the queue without waiting in a call: for the event instead. */
  stopByEvent(): QueueProgress | null {
    let ended = false;
    this.#queue!.requestStop(() => {
      ended = true;
    });
    while (!ended) {
      const events = this.native.wait(5_000_000_000n);
      if (events === 0) throw new Error('the queue has not ended within five seconds');
      for (let event = 0; event < events; event++) {
        if (this.native.eventKind(event) === EVENT.queueEnded)
          this.queues.ended(this.native.eventIndex(event));
      }
    }
    return this.#queue!.stop(0);
  }

  stop(): QueueProgress {
    const progress = this.#queue!.stop(10_000);
    if (progress === null) throw new Error('the queue is stuck');
    return progress;
  }

  offer(
    type: number,
    sector: number,
    data: { address: number; length: number; write: boolean } | null,
  ): void {
    const { ram } = this;
    ram.writeU32(HEADER, type);
    ram.writeU64(HEADER + 8, BigInt(sector));
    ram.writable(STATUS, 1)[0] = 0xff;
    this.#descriptor(0, HEADER, 16, NEXT, data ? 1 : 2);
    if (data) this.#descriptor(1, data.address, data.length, NEXT | (data.write ? WRITE : 0), 2);
    this.#descriptor(2, STATUS, 1, WRITE, 0);
    ram.writeU16(AVAILABLE + 4 + 2 * (this.#offered % 8), 0);
    this.#offered++;
    ram.writeU16(AVAILABLE + 2, this.#offered);
    libc.signalEventfd(this.kickFd);
  }

  get disk(): BlockBackend {
    return this.raw;
  }

  /** Offers a request without data at descriptor `index` of a packed ring. */
  offerPacked(index: number, type: number): void {
    const { ram } = this;
    ram.writeU32(HEADER, type);
    ram.writable(STATUS, 1)[0] = 0xff;
    const status = DESCRIPTORS + 16 * (index + 1);
    const header = DESCRIPTORS + 16 * index;
    ram.writeU64(status, BigInt(STATUS));
    ram.writeU32(status + 8, 1);
    ram.writeU32(status + 12, (PACKED_AVAILABLE | WRITE) << 16);
    ram.writeU64(header, BigInt(HEADER));
    ram.writeU32(header + 8, 16);
    ram.writeU32(header + 12, (PACKED_AVAILABLE | NEXT) << 16);
    libc.signalEventfd(this.kickFd);
  }

  awaitInterrupt(): void {
    if (this.native.wait(5_000_000_000n) === 0) throw new Error('no interrupt within five seconds');
    expect(this.native.eventKind(0)).toBe(EVENT.fd);
  }

  /** @returns the request's status, after its interrupt */
  request(
    type: number,
    sector: number,
    data: { address: number; length: number; write: boolean } | null = null,
  ): number {
    this.offer(type, sector, data);
    while (this.ram.readU16(USED + 2) !== this.#offered) {
      const events = this.native.wait(5_000_000_000n);
      if (events === 0) throw new Error('no interrupt within five seconds');
      for (let event = 0; event < events; event++) {
        const kind = this.native.eventKind(event);
        if (kind === EVENT.diskErrors) this.queues.diskErrors(this.native.eventIndex(event));
        else expect(kind).toBe(EVENT.fd);
      }
    }
    return this.ram.readable(STATUS, 1)[0]!;
  }

  errorsOfPeriod(): readonly DiskErrors[] {
    return this.#queue!.diskErrors(true);
  }

  counter(word: number): number {
    return Number(this.counters[new CounterLayout(SHAPE).queue(0) + word]);
  }

  #descriptor(index: number, address: number, length: number, flags: number, next: number): void {
    const at = DESCRIPTORS + 16 * index;
    this.ram.writeU64(at, BigInt(address));
    this.ram.writeU32(at + 8, length);
    this.ram.writeU16(at + 12, flags);
    this.ram.writeU16(at + 14, next);
  }
}

describe('a queue of a raw disk', () => {
  it('writes and reads the image, and reports its serial number', () => {
    const path = image();
    const driver = new Driver(path);
    driver.start();
    driver.ram.writable(DATA, 4096).fill(0x5a);
    expect(driver.request(TYPE.write, 8, { address: DATA, length: 4096, write: false })).toBe(0);
    expect(driver.request(TYPE.flush, 0)).toBe(0);
    const onDisk = new Uint8Array(4096);
    const fd = openSync(path, 'r');
    readSync(fd, onDisk, 0, 4096, 4096);
    closeSync(fd);
    expect(onDisk.every(byte => byte === 0x5a)).toBe(true);
    expect(driver.request(TYPE.read, 7, { address: DATA + 0x2001, length: 1024, write: true })).toBe(0);
    expect([...driver.ram.readable(DATA + 0x2001 + 510, 4)]).toEqual([0, 0, 0x5a, 0x5a]);
    expect(driver.request(TYPE.id, 0, { address: DATA, length: 20, write: true })).toBe(0);
    expect(new TextDecoder().decode(driver.ram.readable(DATA, 9))).toBe('serial-7\0');
    expect(driver.request(TYPE.writeZeroes, 0, null)).toBe(1);
    expect(driver.counter(QUEUE.requests)).toBe(5);
    expect(driver.counter(QUEUE.bytesFromGuest)).toBe(4096);
    expect(driver.counter(QUEUE.bytesToGuest)).toBe(1024 + 20);
    expect(driver.counter(QUEUE.errors)).toBe(1);
    expect(driver.counter(QUEUE.inFlight)).toBe(0);
  });

  it('refuses to write when attached read-only', () => {
    const path = image();
    writeFileSync(path, new Uint8Array(4096).fill(7));
    const driver = new Driver(path, true);
    driver.start();
    expect(driver.request(TYPE.write, 0, { address: DATA, length: 512, write: false })).toBe(1);
    expect(driver.request(TYPE.read, 0, { address: DATA, length: 512, write: true })).toBe(0);
    expect(driver.ram.readable(DATA, 1)[0]).toBe(7);
  });

  it('continues where it stopped', () => {
    const driver = new Driver(image());
    driver.start();
    expect(driver.request(TYPE.flush, 0)).toBe(0);
    const progress = driver.stop();
    expect(progress).toEqual({ lastAvail: 1, usedIndex: 1 });
    driver.offer(TYPE.flush, 0, null);
    libc.drainEventfd(driver.kickFd);
    driver.start(progress);
    expect(driver.native.wait(5_000_000_000n)).toBe(1);
    expect(driver.ram.readU16(USED + 2)).toBe(2);
    expect(driver.stop()).toEqual({ lastAvail: 2, usedIndex: 2 });
  });

  it('reports its end after a stop, whether or not the driver had broken it', () => {
    const driver = new Driver(image());
    driver.start();
    expect(driver.request(TYPE.flush, 0)).toBe(0);
    expect(driver.stopByEvent()).toEqual({ lastAvail: 1, usedIndex: 1 });
    driver.start({ lastAvail: 1, usedIndex: 1 });
    driver.ram.writeU16(AVAILABLE + 2, 100);
    libc.signalEventfd(driver.kickFd);
    expect(driver.native.wait(5_000_000_000n)).toBe(1);
    expect(driver.native.eventKind(0)).toBe(EVENT.queueBroken);
    expect(driver.stopByEvent()).toEqual({ lastAvail: 1, usedIndex: 1 });
  });

  it('is reported with the reason when the driver violates the protocol, and can be restarted', () => {
    const driver = new Driver(image());
    driver.start();
    driver.ram.writeU16(AVAILABLE + 2, 100);
    libc.signalEventfd(driver.kickFd);
    expect(driver.native.wait(5_000_000_000n)).toBe(1);
    expect([driver.native.eventKind(0), driver.native.eventData(0)]).toEqual([EVENT.queueBroken, 1]);
    driver.queues.broken(driver.native.eventIndex(0));
    expect(driver.broken).toEqual(['the driver offered 100 chains in a queue of 8']);
    expect(driver.stop()).toEqual({ lastAvail: 0, usedIndex: 0 });
    driver.ram.writeU16(AVAILABLE + 2, 0);
    driver.start();
    expect(driver.request(TYPE.flush, 0)).toBe(0);
  });

  it('counts and reports requests that the host fails', context => {
    const driver = new Driver(imageOnFullDisk(context, folder, MiB));
    driver.start();
    const data = { address: DATA, length: 4096, write: false };
    for (const sector of [8, 16, 24]) expect(driver.request(TYPE.write, sector, data)).toBe(1);
    expect(driver.request(TYPE.read, 8, { ...data, write: true })).toBe(0);
    // Beyond the disk: the driver's mistake.
    expect(driver.request(TYPE.read, 4096, { ...data, write: true })).toBe(1);
    expect(driver.counter(QUEUE.diskErrors)).toBe(3);
    expect(driver.counter(QUEUE.errors)).toBe(4);
    // The first is reported at once, those that come before the machine thread looks with it.
    const { ENOSPC } = constants.errno;
    expect(driver.diskErrors).toEqual([
      { access: 'write', errno: ENOSPC, sector: 8, disk: 0, count: expect.any(Number) },
    ]);
    const later = driver.errorsOfPeriod();
    expect(later.reduce((sum, { count }) => sum + count, driver.diskErrors[0]!.count)).toBe(3);
  });

  it('finishes pending requests after a restart', () => {
    const path = image();
    const driver = new Driver(path);
    driver.start();
    driver.stop();
    // A chain that was taken and not returned, as a queue is left that is stopped in the middle of it.
    driver.ram.writable(DATA, 4096).fill(0x77);
    driver.offer(TYPE.write, 8, { address: DATA, length: 4096, write: false });
    libc.drainEventfd(driver.kickFd);
    driver.start({ lastAvail: 1, usedIndex: 0, unfinished: [0] });
    expect(driver.native.wait(5_000_000_000n)).toBe(1);
    expect(driver.ram.readU16(USED + 2)).toBe(1);
    expect(readFileSync(path)[4096]).toBe(0x77);
    expect(driver.stop()).toEqual({ lastAvail: 1, usedIndex: 1 });
    expect(() => driver.start({ lastAvail: 1, usedIndex: 1, unfinished: [0] })).toThrow('EINVAL');
  });

  it('leaves no thread or fd behind, stopped or destroyed', () => {
    const cycle = (stop: boolean) => {
      const driver = new Driver(image());
      driver.start();
      expect(driver.request(TYPE.flush, 0)).toBe(0);
      expect(threadNames()).toContain('vring-blk0');
      if (stop) driver.stop();
      driver.native.destroy();
    };
    cycle(true);
    const before = holdings();
    for (let cycles = 0; cycles < 10; cycles++) cycle(cycles % 2 === 0);
    expect(holdings()).toEqual(before);
  });

  it('serves a packed ring from where it stopped', () => {
    const driver = new Driver(image());
    const position = { lastAvail: 0x8000, usedIndex: 0x8000 };
    driver.start(position, FEATURES | RING_PACKED);
    driver.offerPacked(0, TYPE.flush);
    driver.awaitInterrupt();
    expect(driver.stop()).toEqual({ lastAvail: 0x8002, usedIndex: 0x8002 });
    // Taken and not returned: the descriptors come from the saved position, not from the ring.
    driver.offerPacked(2, TYPE.flush);
    const unfinishedDescriptors = driver.ram.readable(DESCRIPTORS + 32, 32).slice();
    driver.ram.writable(DESCRIPTORS, 128).fill(0);
    libc.drainEventfd(driver.kickFd);
    driver.start({ lastAvail: 0x8004, usedIndex: 0x8002, unfinishedDescriptors }, FEATURES | RING_PACKED);
    driver.awaitInterrupt();
    expect(driver.ram.readable(STATUS, 1)[0]).toBe(0);
    expect(driver.stop()).toEqual({ lastAvail: 0x8004, usedIndex: 0x8004 });
    const wrong = { lastAvail: 0x8004, usedIndex: 0x8004, unfinishedDescriptors };
    expect(() => driver.start(wrong, FEATURES | RING_PACKED)).toThrow('EINVAL');
  });

  it('applies a new size and new limits while it runs', () => {
    const path = image();
    const driver = new Driver(path);
    driver.start();
    const read = { address: DATA, length: 512, write: true };
    const sectors = driver.disk.size / 512;
    expect(driver.request(TYPE.read, sectors, read)).toBe(1);
    truncateSync(path, (sectors + 1) * 512);
    driver.raw.resize((sectors + 1) * 512);
    expect(driver.disk.size).toBe((sectors + 1) * 512);
    expect(driver.request(TYPE.read, sectors, read)).toBe(0);
    expect(() => driver.raw.resize(511)).toThrow('EINVAL');

    driver.raw.setLimits({ bps: 1, 'bps-burst': 1 });
    expect(driver.request(TYPE.read, 0, read)).toBe(0);
    driver.offer(TYPE.read, 0, read);
    while (driver.counter(QUEUE.throttled) === 0) driver.native.wait(1_000_000n);
    expect(driver.ram.readable(STATUS, 1)[0]).toBe(0xff);
    driver.raw.setLimits({});
    // The first interrupt may be that of the request before it.
    while (driver.ram.readable(STATUS, 1)[0] === 0xff) driver.native.wait(1_000_000n);
    expect(driver.ram.readable(STATUS, 1)[0]).toBe(0);
    expect(driver.counter(QUEUE.throttledNs)).toBeGreaterThan(0);
    driver.raw.setWriteThrough(true);
    expect(driver.request(TYPE.write, 0, { ...read, write: false })).toBe(0);
  });

  it('cannot be started twice, or with rings outside RAM', () => {
    const driver = new Driver(image());
    driver.start();
    expect(() => driver.start()).toThrow(
      'the thread for a disk queue cannot be started: resource busy or locked (EBUSY)',
    );
    driver.stop();
    setMemory(driver.native.handle, []);
    expect(() => driver.start()).toThrow(
      'the thread for a disk queue cannot be started: invalid argument (EINVAL)',
    );
  });
});
