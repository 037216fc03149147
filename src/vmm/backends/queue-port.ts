import type { DiskErrors } from '../../devices/backends/disk.ts';
import type {
  DiskDone,
  DiskPort,
  DiskPortError,
  DiskPortOptions,
  Segment,
} from '../../devices/backends/disk-port.ts';
import type { Cancel, EventLoop } from '../../devices/device.ts';
import type { GuestMemory } from '../../devices/guest-memory.ts';
import { BLK_FEATURE, SECTOR } from '../../devices/virtio/blk-config.ts';
import type { BlockQueue, BlockQueueOptions } from '../../devices/virtio/block-backend.ts';
import { FEATURE } from '../../devices/virtio/features.ts';
import type { VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { eventfd, signalEventfd } from '../native/libc.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import type { OwnMemory, PortMemory } from './port-memory.ts';
import {
  BLK_TYPE,
  type BlkRequest,
  PortRing,
  RING_BUFFER_BYTES,
  RING_BUFFERS,
  RING_SEGMENTS,
  RING_SLOTS,
} from './port-ring.ts';
import { cutIntoRequests, isReachable } from './port-segments.ts';

/** Most that one request discards or zeroes: 1 GiB. */
const RANGE_SECTORS = 2 ** 21;
/**
 * Most that the machine thread reads itself between two events: what it copies in less time than it takes to wake
 * another thread.
 */
const CACHED_BYTES = 256 * 1024;
const CACHED_SEGMENTS = 32;
/** How long `close` waits for a request that the host is about to complete. */
const CLOSE_MS = 10;

const FEATURES =
  FEATURE.version1 |
  FEATURE.ringIndirectDesc |
  BLK_FEATURE.flush |
  BLK_FEATURE.configWce |
  BLK_FEATURE.discard |
  BLK_FEATURE.writeZeroes;

/** The disk behind a port. */
export type PortDisk = {
  readonly size: number;
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  /**
   * Fills `bytes` from the host's page cache, without waiting.
   * @returns whether that was all of it, and it is allowed
   */
  readCached(offset: number, bytes: Uint8Array): boolean;
  /** Serves the port's ring. */
  startQueue(queue: VirtioQueue, options: BlockQueueOptions, memory: OwnMemory): BlockQueue;
};

export type PortParts = {
  readonly memory: GuestMemory;
  readonly events: EventLoop;
  readonly owner: ResourceOwner;
  readonly ownMemory: PortMemory;
};

/** A request of the model. */
type Request = { parts: number; error: DiskPortError | null; done: DiskDone | null };

/** A part of it that is one request in the ring. */
type Part = {
  readonly request: Request;
  readonly type: BlkRequest['type'];
  readonly sector: number;
  /** For a range, which is discarded or zeroed; and whether its space is freed if it is zeroed. */
  readonly sectors: number;
  readonly unmaps: boolean;
  /** In guest memory. */
  readonly segments: readonly Segment[];
  /** Data in the model's own memory. */
  readonly bytes: Uint8Array | null;
  buffer: number | null;
};

/**
 * A disk port whose requests are virtio-blk requests: the model is the driver of a ring in memory that no guest
 * reaches, and a queue thread serves it. Cache modes, alignment, errors, limits, confinement and counters are thus
 * those of every disk. The thread starts with the first request.
 */
export class QueuePort implements DiskPort {
  readonly #disk: PortDisk;
  readonly #options: DiskPortOptions;
  readonly #parts: PortParts;
  readonly #own: OwnMemory;
  readonly #ring: PortRing;
  readonly #kickFd: number;
  readonly #callFd: number;
  readonly #unwatch: Cancel;
  #running: BlockQueue | null = null;
  #isStopping = false;
  #isQuiesced = false;
  #closed = false;
  /** Called once the thread has stopped. */
  #cancelled: (() => void)[] = [];
  #quiesced: (() => void) | null = null;
  #pending = 0;
  /** Requests without a part for the ring, which complete after the present event. */
  #soon: Request[] = [];
  /** Bytes that the machine thread has read since the last event. */
  #readBytes = 0;
  /** The thread could not be started: waiting requests fail at the next event. */
  #hasFailed = false;
  /** Parts that do not fit in the ring yet. */
  #waiting: Part[] = [];
  readonly #slots: (Part | null)[] = Array.from({ length: RING_SLOTS }, () => null);
  readonly #freeSlots = Array.from({ length: RING_SLOTS }, (_, slot) => slot);
  readonly #freeBuffers = Array.from({ length: RING_BUFFERS }, (_, buffer) => buffer);

  constructor(disk: PortDisk, options: DiskPortOptions, parts: PortParts) {
    const { owner, events, ownMemory } = parts;
    this.#disk = disk;
    this.#options = options;
    this.#parts = parts;
    this.#own = ownMemory.take();
    this.#ring = new PortRing(this.#own.buffer);
    this.#kickFd = owner.ownFd(eventfd());
    this.#callFd = owner.ownFd(eventfd());
    this.#unwatch = events.watch(this.#callFd, () => this.#collect());
  }

  get pending(): number {
    return this.#pending;
  }

  transfer(access: 'read' | 'write', offset: number, segments: readonly Segment[], done: DiskDone): void {
    const { memory } = this.#parts;
    const guest = access === 'read' ? 'write' : 'read';
    const given = segments.filter(({ length }) => length > 0);
    const length = given.reduce((sum, segment) => sum + segment.length, 0);
    const isMemory = given.every(part => isReachable(memory, part, guest));
    const error = this.#problem(access, offset, length) ?? (isMemory ? null : 'memory');
    if (error === null && access === 'read' && this.#readAtOnce(offset, length, given)) {
      this.#addEnded(null, done);
      return;
    }
    const pieces = error === null ? cutIntoRequests(given) : [];
    let at = offset;
    this.#add(error ?? (pieces === null ? 'memory' : null), done, pieces ?? [], (request, piece) => {
      const part = { ...this.#access(request, access, at), segments: piece };
      at += piece.reduce((sum, segment) => sum + segment.length, 0);
      return part;
    });
  }

  readInto(offset: number, bytes: Uint8Array, done: DiskDone): void {
    if (
      this.#problem('read', offset, bytes.length) === null &&
      this.#mayReadAtOnce(bytes.length) &&
      this.#disk.readCached(offset, bytes)
    ) {
      this.#countRead(bytes.length);
      this.#addEnded(null, done);
      return;
    }
    this.#transferBytes('read', offset, bytes, done);
  }

  writeFrom(offset: number, bytes: Uint8Array, done: DiskDone): void {
    this.#transferBytes('write', offset, bytes.slice(), done);
  }

  flush(done: DiskDone): void {
    this.#add(null, done, [0], request => ({ ...this.#access(request, 'read', 0), type: BLK_TYPE.flush }));
  }

  discard(offset: number, length: number, done: DiskDone): void {
    const given = this.#disk.canDiscard ? length : 0;
    this.#addRange(this.#problem('write', offset, length), { offset, length: given, unmaps: false }, done);
  }

  writeZeroes(offset: number, length: number, unmaps: boolean, done: DiskDone): void {
    const range = { offset, length, unmaps: unmaps && this.#disk.canDiscard };
    this.#addRange(this.#problem('write', offset, length), range, done, BLK_TYPE.writeZeroes);
  }

  poll(): void {
    if (this.#isQuiesced || this.#isStopping) return;
    if (this.#running === null) this.#endSoon();
    else this.#collect();
  }

  cancel(ended: () => void): void {
    const forget = (part: Part | null) => {
      if (part !== null) part.request.done = null;
    };
    this.#waiting.forEach(forget);
    this.#slots.forEach(forget);
    for (const request of this.#soon) request.done = null;
    this.#waiting = [];
    this.#pending = 0;
    const isIdle = this.#freeSlots.length === RING_SLOTS;
    if (this.#running === null || (isIdle && !this.#isStopping)) {
      ended();
      return;
    }
    this.#cancelled.push(ended);
    this.#requestStop();
  }

  quiesce(done: () => void): void {
    this.#isQuiesced = true;
    if (this.#running === null) {
      done();
      return;
    }
    this.#quiesced = done;
    this.#requestStop();
  }

  resume(): void {
    this.#isQuiesced = false;
    this.#quiesced = null;
    this.#pump();
  }

  diskErrors(endPeriod: boolean): readonly DiskErrors[] {
    return this.#running?.diskErrors(endPeriod) ?? [];
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unwatch();
    this.#waiting = [];
    const running = this.#running;
    if (running !== null) {
      running.requestStop();
      this.#options.onDiskErrors();
      this.#running = null;
      const hasStopped = running.stop(CLOSE_MS) !== null || running.abandon() !== null;
      // A thread that was left behind may still be using the memory.
      if (hasStopped) this.#parts.ownMemory.giveBack(this.#own);
    } else {
      this.#parts.ownMemory.giveBack(this.#own);
    }
    this.#parts.owner.closeFd(this.#kickFd);
    this.#parts.owner.closeFd(this.#callFd);
  }

  #addRange(
    error: DiskPortError | null,
    {
      offset,
      length,
      unmaps,
    }: { readonly offset: number; readonly length: number; readonly unmaps: boolean },
    done: DiskDone,
    type: Part['type'] = BLK_TYPE.discard,
  ): void {
    const end = (offset + length) / SECTOR;
    const starts = [];
    if (error === null)
      for (let sector = offset / SECTOR; sector < end; sector += RANGE_SECTORS) starts.push(sector);
    this.#add(error, done, starts, (request, sector) => ({
      ...this.#access(request, 'write', sector * SECTOR),
      ...{ type, unmaps, sectors: Math.min(RANGE_SECTORS, end - sector) },
    }));
  }

  #transferBytes(access: 'read' | 'write', offset: number, bytes: Uint8Array, done: DiskDone): void {
    const error = this.#problem(access, offset, bytes.length);
    const starts = [];
    for (let at = 0; error === null && at < bytes.length; at += RING_BUFFER_BYTES) starts.push(at);
    this.#add(error, done, starts, (request, at) => ({
      ...this.#access(request, access, offset + at),
      bytes: bytes.subarray(at, at + RING_BUFFER_BYTES),
    }));
  }

  #access(request: Request, access: 'read' | 'write', offset: number): Part {
    const type = access === 'read' ? BLK_TYPE.in : BLK_TYPE.out;
    const none = { sectors: 0, unmaps: false, segments: [], bytes: null, buffer: null };
    return { request, type, sector: offset / SECTOR, ...none };
  }

  #problem(access: 'read' | 'write', offset: number, length: number): DiskPortError | null {
    const { size, readonly } = this.#disk;
    if (access === 'write' && readonly) return 'readonly';
    const isWhole = offset % SECTOR === 0 && length % SECTOR === 0;
    return isWhole && offset >= 0 && length >= 0 && offset + length <= size ? null : 'range';
  }

  /** Whether this thread may read now: not while the queue's thread has requests, since the counters are its then. */
  #mayReadAtOnce(bytes: number): boolean {
    if (bytes === 0 || this.#readBytes + bytes > CACHED_BYTES) return false;
    return !this.#isQuiesced && !this.#isStopping && !this.#closed && this.#freeSlots.length === RING_SLOTS;
  }

  /** Reads from the host's page cache without another thread. @returns whether all was read */
  #readAtOnce(offset: number, length: number, segments: readonly Segment[]): boolean {
    if (!this.#mayReadAtOnce(length) || segments.length > CACHED_SEGMENTS) return false;
    const { memory } = this.#parts;
    let at = offset;
    for (const { address, length } of segments) {
      if (!memory.contains(address, length, 'write')) return false;
      if (!this.#disk.readCached(at, memory.writable(address, length))) return false;
      at += length;
    }
    this.#countRead(length);
    return true;
  }

  #countRead(bytes: number): void {
    this.#readBytes += bytes;
    const { counters } = this.#options;
    counters.add('requests', 1);
    counters.add('bytesToGuest', bytes);
  }

  /** Adds a request that is done or has failed; it completes soon. */
  #addEnded(error: DiskPortError | null, done: DiskDone): void {
    this.#pending++;
    this.#soon.push({ parts: 0, error, done });
    this.#parts.events.soon(() => this.#endSoon());
  }

  /** Begins a request that consists of `pieces`; one without any, or with an error, completes soon. */
  #add<Piece>(
    error: DiskPortError | null,
    done: DiskDone,
    pieces: readonly Piece[],
    make: (request: Request, piece: Piece) => Part,
  ): void {
    if (pieces.length === 0) {
      this.#addEnded(error, done);
      return;
    }
    const request: Request = { parts: pieces.length, error, done };
    this.#pending++;
    for (const piece of pieces) this.#waiting.push(make(request, piece));
    this.#pump();
  }

  /** Puts waiting parts into the ring while there is room. */
  #pump(): void {
    if (this.#waiting.length === 0 || this.#isQuiesced || this.#isStopping || this.#closed) return;
    if (this.#hasFailed || (this.#running === null && !this.#start())) return;
    let offered = 0;
    for (; offered < this.#waiting.length; offered++) {
      const part = this.#waiting[offered]!;
      if (this.#freeSlots.length === 0) break;
      if (part.bytes !== null && this.#freeBuffers.length === 0) break;
      this.#offer(part, this.#freeSlots.pop()!);
    }
    if (offered === 0) return;
    this.#waiting.splice(0, offered);
    signalEventfd(this.#kickFd);
  }

  #offer(part: Part, slot: number): void {
    const { type, sector, bytes } = part;
    let data = part.segments;
    if (bytes !== null) {
      const buffer = this.#freeBuffers.pop()!;
      part.buffer = buffer;
      if (type === BLK_TYPE.out) this.#ring.buffer(buffer).set(bytes);
      data = [this.#ring.bufferSegment(buffer, bytes.length)];
    }
    if (part.sectors > 0) data = [this.#ring.range(slot, sector, part.sectors, part.unmaps)];
    this.#slots[slot] = part;
    this.#ring.offer(slot, { type, sector, data });
  }

  /** @returns whether it is served; if not, all waiting parts fail */
  #start(): boolean {
    this.#ring.reset();
    const queue = {
      index: 0,
      ...this.#ring.place,
      kickFd: this.#kickFd,
      callFd: this.#callFd,
      progress: { lastAvail: 0, usedIndex: 0 },
      counters: this.#options.counters,
    };
    const options = {
      features: FEATURES,
      serial: '',
      limits: { segments: RING_SEGMENTS, ranges: 1, rangeSectors: RANGE_SECTORS },
      onBroken: (reason: string) => this.#broken(reason),
      onDiskErrors: () => this.#options.onDiskErrors(),
    };
    try {
      this.#running = this.#disk.startQueue(queue, options, this.#own);
      return true;
    } catch (error) {
      this.#options.onBroken((error as Error).message);
      this.#hasFailed = true;
      signalEventfd(this.#callFd);
      return false;
    }
  }

  #endSoon(): void {
    this.#readBytes = 0;
    for (const request of this.#soon.splice(0)) this.#end(request);
  }

  #collect(): void {
    this.#endSoon();
    if (this.#hasFailed) {
      this.#hasFailed = false;
      for (const part of this.#waiting.splice(0)) this.#ended(part, 'host');
    }
    for (;;) {
      const taken = this.#ring.take();
      if (taken === null) break;
      const part = this.#slots[taken.slot];
      // Only the thread shares the memory, but a compromised one might write anything.
      if (part == null) continue;
      this.#slots[taken.slot] = null;
      this.#freeSlots.push(taken.slot);
      if (taken.succeeded && part.buffer !== null && part.type === BLK_TYPE.in) {
        part.bytes!.set(this.#ring.buffer(part.buffer).subarray(0, part.bytes!.length));
      }
      this.#ended(part, taken.succeeded ? null : 'host');
    }
    this.#pump();
  }

  #ended(part: Part, error: DiskPortError | null): void {
    this.#release(part);
    const { request } = part;
    request.error ??= error;
    request.parts--;
    if (request.parts === 0) this.#end(request);
  }

  #end(request: Request): void {
    const { done } = request;
    if (done === null || this.#closed) return;
    request.done = null;
    this.#pending--;
    done(request.error);
  }

  #release(part: Part): void {
    if (part.buffer !== null) this.#freeBuffers.push(part.buffer);
    part.buffer = null;
  }

  #requestStop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#running!.requestStop(() => this.#stopped());
  }

  /** The thread has ended. Parts that it has not carried out wait again, unless it was canceled. */
  #stopped(): void {
    const running = this.#running;
    if (running === null) return;
    this.#options.onDiskErrors();
    this.#collect();
    running.stop(0);
    this.#running = null;
    this.#isStopping = false;
    const left = this.#takeLeft();
    for (const part of left) this.#release(part);
    this.#waiting.unshift(...left.filter(({ request }) => request.done !== null));
    for (const ended of this.#cancelled.splice(0)) ended();
    const quiesced = this.#quiesced;
    this.#quiesced = null;
    quiesced?.();
    this.#pump();
  }

  /** The parts in the ring that the thread has not carried out, in the order of their slots. */
  #takeLeft(): Part[] {
    const left = this.#slots.filter(part => part !== null);
    for (const [slot, part] of this.#slots.entries()) if (part !== null) this.#freeSlots.push(slot);
    this.#slots.fill(null);
    return left;
  }

  /** The ring is no longer served: its requests fail, and the next one starts a new thread. */
  #broken(reason: string): void {
    const running = this.#running;
    if (running === null || this.#closed) return;
    // If it was asked to stop, it reports when it has.
    this.#collect();
    this.#options.onBroken(reason);
    running.requestStop();
    this.#running = null;
    this.#isStopping = false;
    if (running.stop(CLOSE_MS) === null) running.abandon();
    for (const part of this.#takeLeft()) this.#ended(part, 'host');
    for (const ended of this.#cancelled.splice(0)) ended();
    const quiesced = this.#quiesced;
    this.#quiesced = null;
    quiesced?.();
    this.#pump();
  }
}
