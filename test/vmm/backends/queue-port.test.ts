import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { DiskErrors, DiskOptions } from '../../../src/devices/backends/disk.ts';
import type { DiskPort, DiskPortError, Segment } from '../../../src/devices/backends/disk-port.ts';
import { type ImageDisk, openImageDisk } from '../../../src/vmm/backends/image-disk.ts';
import { openDisk } from '../../../src/vmm/backends/open-disk.ts';
import { CounterBlocks } from '../../../src/vmm/counters/counter-blocks.ts';
import { CounterLayout, QUEUE } from '../../../src/vmm/counters/counters.ts';
import { GuestRam } from '../../../src/vmm/memory/guest-ram.ts';
import { NativeVm } from '../../../src/vmm/native/native-vm.ts';
import { setMemory } from '../../../src/vmm/native/queue-regions.ts';
import { QueueThreads } from '../../../src/vmm/native/queue-threads.ts';
import { allocateCounters } from '../../support/counters.ts';
import { diskParts } from '../../support/disk-parts.ts';
import { imageOnFullDisk } from '../../support/full-disk.ts';
import { Random } from '../../support/random.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { threadNames } from '../native/native-guest.ts';

const MiB = 2 ** 20;
const SHAPE = { vcpus: 1, queues: 1, regions: 0, statistics: 0 };

const owners: NativeVm[] = [];
afterEach(() => {
  for (const native of owners.splice(0)) native.destroy();
});

/** A VM without vCPUs, with 2 MiB of RAM and a port of a disk. */
class Machine {
  readonly counters = allocateCounters(SHAPE);
  readonly native = new NativeVm(this.counters, SHAPE);
  readonly ram = new GuestRam(this.native, { bytes: 2 * MiB });
  readonly queues = new QueueThreads(this.native);
  readonly disk: ImageDisk;
  readonly port: DiskPort;
  readonly broken: string[] = [];
  readonly errors: DiskErrors[] = [];
  readonly #parts = diskParts(this.native, { queues: this.queues, memory: this.ram });

  constructor(path: string, options: Partial<DiskOptions> = {}) {
    owners.push(this.native);
    setMemory(this.native.handle, this.ram.regions);
    const given = { path, readonly: false, cache: 'writeback', ...options } as const;
    this.disk = openImageDisk(openDisk({ format: 'raw', ...given }), given, this.#parts);
    // With a limit, no read passes its thread by.
    this.disk.setLimits({ iops: 2 ** 40 });
    this.port = this.openPort();
  }

  openPort(): DiskPort {
    const label = { device: 'sata0', type: 'ahci', queue: 'requests', size: 64 };
    const counters = new CounterBlocks(this.counters, SHAPE).queue(label);
    const port: DiskPort = this.disk.openPort({
      counters,
      onBroken: reason => this.broken.push(reason),
      onDiskErrors: () => this.errors.push(...port.diskErrors(false)),
    });
    return port;
  }

  until(finished: () => boolean): void {
    this.#parts.ports.events.until(finished);
  }

  /** Makes a request and waits for its end. */
  ask(request: (port: DiskPort, done: (error: DiskPortError | null) => void) => void): DiskPortError | null {
    let ended = false;
    let result: DiskPortError | null = null;
    request(this.port, error => {
      ended = true;
      result = error;
    });
    expect(ended).toBe(false);
    this.until(() => ended);
    return result;
  }

  transfer(access: 'read' | 'write', offset: number, segments: readonly Segment[]): DiskPortError | null {
    return this.ask((port, done) => port.transfer(access, offset, segments, done));
  }

  /** What memory has there. */
  gathered(segments: readonly Segment[]): Uint8Array {
    return Buffer.concat(segments.map(({ address, length }) => this.ram.readable(address, length)));
  }

  quiesce(): void {
    let quiesced = false;
    this.port.quiesce(() => {
      quiesced = true;
    });
    this.until(() => quiesced);
  }

  count(counter: (typeof QUEUE)[keyof typeof QUEUE]): number {
    return Number(this.counters[new CounterLayout(SHAPE).queue(0) + counter]);
  }
}

let images = 0;
function image(content: Uint8Array): string {
  const path = join(temporaryFolder(), `disk${images++}.img`);
  writeFileSync(path, content);
  return path;
}

function noise(length: number, seed: number): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length }, () => random.below(256));
}

describe('a disk port', () => {
  it('transfers between the disk and guest memory, and counts it', () => {
    const content = noise(64 * 1024, 1);
    const path = image(content);
    const machine = new Machine(path);
    expect(threadNames().some(name => name.startsWith('vring-blk'))).toBe(false);
    const segments = [
      { address: 0x1_0001, length: 511 },
      { address: 0x2_0000, length: 2 },
      { address: 0x3_0ffe, length: 1023 },
    ];
    expect(machine.transfer('read', 1024, segments)).toBeNull();
    expect(threadNames().some(name => name.startsWith('vring-blk'))).toBe(true);
    expect(Buffer.compare(machine.gathered(segments), content.subarray(1024, 1024 + 1536))).toBe(0);
    machine.ram.writable(0x5_0000, 1024).fill(7);
    expect(machine.transfer('write', 512, [{ address: 0x5_0000, length: 1024 }])).toBeNull();
    expect(machine.ask((port, done) => port.flush(done))).toBeNull();
    expect(
      readFileSync(path)
        .subarray(512, 1536)
        .every(byte => byte === 7),
    ).toBe(true);
    expect(machine.count(QUEUE.requests)).toBe(3);
    expect(machine.count(QUEUE.bytesToGuest)).toBe(1536);
    expect(machine.count(QUEUE.bytesFromGuest)).toBe(1024);
    expect(machine.count(QUEUE.errors)).toBe(0);
    expect(machine.port.pending).toBe(0);
  });

  it('completes finished requests when polled, without an event', () => {
    const machine = new Machine(image(noise(MiB, 9)));
    let ended = 0;
    for (let round = 1; round <= 20; round++) {
      machine.port.transfer('read', 512 * round, [{ address: 0x1000, length: 512 }], () => ended++);
      expect(machine.port.pending).toBe(1);
      for (const end = Date.now() + 5000; ended < round && Date.now() < end; ) machine.port.poll();
      expect([ended, machine.port.pending]).toEqual([round, 0]);
    }
    machine.quiesce();
    expect(ended).toBe(20);
  });

  it("transfers any amount of data in the model's memory", () => {
    const content = noise(MiB, 2);
    const path = image(content);
    const machine = new Machine(path);
    const bytes = new Uint8Array(700 * 1024);
    expect(machine.ask((port, done) => port.readInto(3 * 512, bytes, done))).toBeNull();
    expect(Buffer.compare(bytes, content.subarray(3 * 512, 3 * 512 + bytes.length))).toBe(0);
    const given = noise(bytes.length, 3);
    const expected = given.slice();
    let ended = false;
    machine.port.writeFrom(512, given, error => {
      expect(error).toBeNull();
      ended = true;
    });
    given.fill(0);
    machine.until(() => ended);
    expect(Buffer.compare(readFileSync(path).subarray(512, 512 + bytes.length), expected)).toBe(0);
  });

  it.each(['none', 'writeback'] as const)('executes random requests, many at a time (cache %s)', cache => {
    const size = 256 * 1024;
    const content = noise(size, 4);
    const path = image(content);
    const machine = new Machine(path, { cache });
    const random = new Random(5);
    // Each request has a part of the disk and of memory to itself.
    const area = size / 16;
    for (let round = 0; round < 20; round++) {
      let left = 16;
      const checks: (() => void)[] = [];
      for (let index = 0; index < 16; index++) {
        const write = random.below(2) === 0;
        const sectors = 1 + random.below(area / 512);
        const offset = index * area + 512 * random.below(area / 512 - sectors + 1);
        const segments = scattered(random, 0x4_0000 + index * 0x1_0000, sectors * 512);
        if (write) {
          for (const { address, length } of segments) {
            machine.ram.writable(address, length).set(noise(length, random.u32()));
          }
          content.set(machine.gathered(segments), offset);
        }
        checks.push(() => {
          const bytes = machine.gathered(segments);
          expect(Buffer.compare(bytes, content.subarray(offset, offset + bytes.length))).toBe(0);
        });
        machine.port.transfer(write ? 'write' : 'read', offset, segments, error => {
          expect(error).toBeNull();
          left--;
        });
      }
      expect(machine.port.pending).toBe(16);
      machine.until(() => left === 0);
      for (const check of checks) check();
    }
    expect(Buffer.compare(readFileSync(path), content)).toBe(0);
    expect(machine.errors).toEqual([]);
  });

  it('splits requests with too many segments at sector boundaries', () => {
    const content = noise(64 * 1024, 6);
    const machine = new Machine(image(content));
    const segments = Array.from({ length: 600 }, (_, index) => ({
      address: 0x1_0000 + 200 * index,
      length: 100,
    }));
    const whole = segments.slice(0, 512);
    expect(machine.transfer('read', 0, whole)).toBeNull();
    expect(Buffer.compare(machine.gathered(whole), content.subarray(0, 51_200))).toBe(0);
    const tiny = Array.from({ length: 512 }, (_, index) => ({ address: 0x1_0000 + 2 * index, length: 1 }));
    expect(machine.transfer('read', 0, tiny)).toBe('memory');
  });

  it('rejects requests beyond the disk, outside memory, or that must not write', () => {
    const machine = new Machine(image(new Uint8Array(8192)));
    const segment = { address: 0x1_0000, length: 512 };
    expect(machine.transfer('read', 8192, [segment])).toBe('range');
    expect(machine.transfer('read', 8192 - 511, [segment])).toBe('range');
    expect(machine.transfer('read', -512, [segment])).toBe('range');
    expect(machine.transfer('read', 2 ** 60, [segment])).toBe('range');
    expect(machine.transfer('read', 0, [{ ...segment, length: 511 }])).toBe('range');
    expect(machine.transfer('read', 0, [{ address: 2 * MiB - 511, length: 512 }])).toBe('memory');
    expect(machine.transfer('read', 0, [{ address: 2 ** 52, length: 512 }])).toBe('memory');
    expect(machine.transfer('read', 0, [])).toBeNull();
    expect(machine.ask((port, done) => port.discard(4096, 8192, done))).toBe('range');
    expect(machine.transfer('read', 0, [segment])).toBeNull();
    expect(machine.count(QUEUE.requests)).toBe(1);
    const readonly = new Machine(image(new Uint8Array(8192)), { readonly: true });
    expect(readonly.transfer('write', 0, [segment])).toBe('readonly');
    expect(readonly.ask((port, done) => port.discard(0, 512, done))).toBe('readonly');
    expect(readonly.transfer('read', 0, [segment])).toBeNull();
  });

  it('frees discarded blocks', () => {
    const path = image(new Uint8Array(MiB).fill(9));
    const machine = new Machine(path);
    const before = statSync(path).blocks;
    expect(machine.ask((port, done) => port.discard(65_536, 524_288, done))).toBeNull();
    expect(statSync(path).blocks).toBe(before - 1024);
    const content = readFileSync(path);
    expect(content.subarray(65_536, 65_536 + 524_288).every(byte => byte === 0)).toBe(true);
    expect(content[65_535]! + content[65_536 + 524_288]!).toBe(18);
    const kept = new Machine(image(new Uint8Array(MiB)), { keepsDiscarded: true });
    expect(kept.ask((port, done) => port.discard(0, 4096, done))).toBeNull();
  });

  it('zeroes a range, and frees its space if allowed', () => {
    const path = image(noise(MiB, 5));
    const machine = new Machine(path);
    const before = statSync(path).blocks;
    expect(machine.ask((port, done) => port.writeZeroes(65_536, 65_536, false, done))).toBeNull();
    expect(statSync(path).blocks).toBe(before);
    expect(machine.ask((port, done) => port.writeZeroes(262_144, 524_288, true, done))).toBeNull();
    expect(statSync(path).blocks).toBe(before - 1024);
    const expected = noise(MiB, 5);
    expected.fill(0, 65_536, 131_072).fill(0, 262_144, 786_432);
    expect(Buffer.compare(readFileSync(path), expected)).toBe(0);
    const keptPath = image(noise(64 * 1024, 6));
    const kept = new Machine(keptPath, { keepsDiscarded: true });
    const all = statSync(keptPath).blocks;
    expect(kept.ask((port, done) => port.writeZeroes(0, 65_536, true, done))).toBeNull();
    expect([statSync(keptPath).blocks, readFileSync(keptPath).every(byte => byte === 0)]).toEqual([
      all,
      true,
    ]);
    expect(machine.ask((port, done) => port.writeZeroes(MiB - 512, 1024, false, done))).toBe('range');
    const readonly = new Machine(image(new Uint8Array(8192)), { readonly: true });
    expect(readonly.ask((port, done) => port.writeZeroes(0, 512, false, done))).toBe('readonly');
  });

  it.each([
    ['off', false, true],
    ['on', false, true],
    ['unmap', false, false],
    ['unmap', true, true],
  ] as const)(
    'with zeros %s, and discards kept: %s, a write of them keeps the space: %s',
    (detectZeroes, keepsDiscarded, keepsSpace) => {
      const path = image(noise(64 * 1024, 3));
      const machine = new Machine(path, { detectZeroes, keepsDiscarded });
      const before = statSync(path).blocks;
      // RAM of a new machine is zeros.
      const segment = { address: 0x1_0000, length: 16_384 };
      expect(machine.transfer('write', 16_384, [segment])).toBeNull();
      expect(statSync(path).blocks).toBe(keepsSpace ? before : before - segment.length / 512);
      const content = readFileSync(path).subarray(16_384, 32_768);
      expect(content.every(byte => byte === 0)).toBe(true);
    },
  );

  it('has the new size of the disk', () => {
    const path = image(new Uint8Array(4096));
    const machine = new Machine(path);
    const segment = { address: 0x1_0000, length: 512 };
    expect(machine.transfer('read', 4096, [segment])).toBe('range');
    truncateSync(path, 8192);
    machine.disk.resize(8192);
    expect(machine.transfer('read', 4096, [segment])).toBeNull();
  });
});

describe('a disk port whose host fails', () => {
  it('reports errors of a file that was truncated, and continues', () => {
    const path = image(noise(64 * 1024, 7));
    const machine = new Machine(path);
    truncateSync(path, 8192);
    const segment = { address: 0x1_0000, length: 4096 };
    expect(machine.transfer('read', 32_768, [segment])).toBe('host');
    expect(machine.errors).toEqual([{ access: 'read', errno: 0, sector: 64, count: 1, disk: 0 }]);
    expect(machine.transfer('read', 0, [segment])).toBeNull();
    expect(machine.count(QUEUE.diskErrors)).toBe(1);
    // The name is gone, the file is not.
    rmSync(path);
    expect(machine.transfer('read', 4096, [segment])).toBeNull();
  });

  it('reports a full file system, or holds the request until it is resumed', context => {
    const path = imageOnFullDisk(context, temporaryFolder(), MiB);
    const segment = { address: 0x1_0000, length: 4096 };
    const reporting = new Machine(path, { policy: { rerror: 'report', werror: 'report' } });
    expect(reporting.transfer('write', 0, [segment])).toBe('host');
    expect(reporting.errors).toMatchObject([{ access: 'write', errno: 28 }]);
    reporting.port.close();
    reporting.disk.close();

    const holding = new Machine(path, { policy: { rerror: 'report', werror: 'enospc' } });
    holding.ram.writable(0x1_0000, 4096).fill(0x42);
    let result: DiskPortError | null | undefined;
    holding.port.transfer('write', 0, [segment], error => {
      result = error;
    });
    holding.until(() => holding.errors.length > 0);
    expect(result).toBeUndefined();
    holding.quiesce();
    expect([result, holding.port.pending]).toEqual([undefined, 1]);
    rmSync(join(path, '../filler'));
    holding.port.resume();
    holding.until(() => result !== undefined);
    expect(result).toBeNull();
    expect(readFileSync(path)[4095]).toBe(0x42);
  });

  it('fails when its thread cannot access the memory, and continues when it can', () => {
    const machine = new Machine(image(new Uint8Array(8192)));
    const segment = { address: 0x1_0000, length: 512 };
    expect(machine.transfer('read', 0, [segment])).toBeNull();
    setMemory(machine.native.handle, []);
    expect(machine.transfer('read', 0, [segment])).toBe('host');
    expect(machine.broken).toEqual([expect.stringContaining('not all RAM')]);
    setMemory(machine.native.handle, machine.ram.regions);
    expect(machine.transfer('read', 0, [segment])).toBeNull();
  });
});

describe('a disk port whose host has the data cached', () => {
  const isStarted = () => threadNames().some(name => name.startsWith('vring-blk'));
  const cached = (content: Uint8Array, options: Partial<DiskOptions> = {}) => {
    const machine = new Machine(image(content), options);
    machine.disk.setLimits({});
    return machine;
  };

  it('reads it without a thread, and counts it', () => {
    const content = noise(64 * 1024, 21);
    const machine = cached(content);
    const segments = [
      { address: 0x1_0001, length: 511 },
      { address: 0x2_0000, length: 1025 },
    ];
    expect(machine.transfer('read', 1024, segments)).toBeNull();
    expect(Buffer.compare(machine.gathered(segments), content.subarray(1024, 1024 + 1536))).toBe(0);
    const bytes = new Uint8Array(2048);
    expect(machine.ask((port, done) => port.readInto(512, bytes, done))).toBeNull();
    expect(Buffer.compare(bytes, content.subarray(512, 512 + 2048))).toBe(0);
    expect([isStarted(), machine.port.pending]).toEqual([false, 0]);
    expect(machine.count(QUEUE.requests)).toBe(2);
    expect(machine.count(QUEUE.bytesToGuest)).toBe(1536 + 2048);
  });

  it('completes a read when polled, and none after it was canceled', () => {
    const machine = cached(noise(4096, 22));
    const segment = { address: 0x1000, length: 512 };
    let ended = 0;
    machine.port.transfer('read', 512, [segment], () => ended++);
    expect([ended, machine.port.pending]).toEqual([0, 1]);
    machine.port.poll();
    expect([ended, machine.port.pending]).toEqual([1, 0]);
    machine.port.transfer('read', 512, [segment], () => ended++);
    machine.port.cancel(() => {});
    machine.port.poll();
    expect([ended, machine.port.pending]).toEqual([1, 0]);
  });

  it.each<[string, Partial<DiskOptions>, (machine: Machine) => void, number]>([
    ['past limits', {}, ({ disk }) => disk.setLimits({ bps: 2 ** 40 }), 512],
    ['past the cache that the user does not want', { cache: 'none' }, () => {}, 4096],
    ['while a thread has requests', {}, ({ port }) => port.flush(() => {}), 512],
    ['of more than is copied in a moment', {}, () => {}, MiB],
  ])('reads none without a thread %s', (_, options, prepare, length) => {
    const content = noise(2 * MiB, 23);
    const machine = cached(content, options);
    prepare(machine);
    const segment = { address: 0x1000, length };
    expect(machine.transfer('read', 0, [segment])).toBeNull();
    expect(isStarted()).toBe(true);
    expect(Buffer.compare(machine.gathered([segment]), content.subarray(0, length))).toBe(0);
  });

  it('leaves the rest to the thread if many requests are made at once', () => {
    const machine = cached(noise(MiB, 25));
    const read = (length: number) => {
      let ended = 0;
      for (let at = 0; at < length; at += 4096)
        machine.port.transfer('read', at, [{ address: 0x1_0000 + at, length: 4096 }], () => ended++);
      machine.until(() => ended === length / 4096);
    };
    // As often as it is not at a time.
    for (let round = 0; round < 3; round++) read(256 * 1024);
    expect(isStarted()).toBe(false);
    read(512 * 1024);
    expect(isStarted()).toBe(true);
  });

  it('leaves uncached data to the thread, which handles errors', () => {
    const path = image(noise(8192, 24));
    const machine = new Machine(path);
    machine.disk.setLimits({});
    truncateSync(path, 4096);
    expect(machine.transfer('read', 4096, [{ address: 0x1000, length: 512 }])).toBe('host');
    expect(machine.transfer('read', 0, [{ address: 0x1000, length: 512 }])).toBeNull();
  });
});

describe('a disk port that is stopped', () => {
  it('executes requests from the meantime when it resumes', () => {
    const content = noise(64 * 1024, 8);
    const machine = new Machine(image(content));
    machine.quiesce();
    const bytes = new Uint8Array(1024);
    let ended = false;
    machine.port.readInto(512, bytes, () => {
      ended = true;
    });
    machine.quiesce();
    expect([ended, machine.port.pending]).toEqual([false, 1]);
    machine.port.resume();
    machine.until(() => ended);
    expect(Buffer.compare(bytes, content.subarray(512, 1536))).toBe(0);
  });

  it('drops canceled requests, and executes later ones', () => {
    const content = noise(MiB, 9);
    const machine = new Machine(image(content));
    let cancelled = 0;
    let ended = 0;
    for (let round = 0; round < 20; round++) {
      const bytes = new Uint8Array(MiB);
      machine.port.readInto(0, bytes, () => {
        throw new Error('a cancelled request has ended');
      });
      machine.port.cancel(() => cancelled++);
      const next = new Uint8Array(512);
      machine.port.readInto(round * 512, next, error => {
        expect(error).toBeNull();
        expect(Buffer.compare(next, content.subarray(round * 512, round * 512 + 512))).toBe(0);
        ended++;
      });
    }
    machine.until(() => ended === 1 && cancelled === 20);
    expect(machine.port.pending).toBe(0);
  });

  it('closes with pending requests, and the next one uses its memory', () => {
    const content = noise(MiB, 10);
    const path = image(content);
    const machine = new Machine(path);
    machine.port.readInto(0, new Uint8Array(MiB), () => {
      throw new Error('it was closed');
    });
    machine.port.close();
    machine.port.close();
    const port = machine.openPort();
    const bytes = new Uint8Array(512);
    let ended = false;
    port.readInto(0, bytes, () => {
      ended = true;
    });
    machine.until(() => ended);
    expect(Buffer.compare(bytes, content.subarray(0, 512))).toBe(0);
    expect(machine.broken).toEqual([]);
  });
});

/** Pieces of memory of `length` bytes together, in 64 KiB from `start` on. */
function scattered(random: Random, start: number, length: number): Segment[] {
  const segments: Segment[] = [];
  let address = start;
  for (let left = length; left > 0; ) {
    const part = Math.min(left, 2 * (1 + random.below(4096)));
    segments.push({ address, length: part });
    address += part + 2 * random.below(8);
    left -= part;
  }
  return segments;
}
