import type { DiskErrors } from '../../src/devices/backends/disk.ts';
import type {
  DiskDone,
  DiskPort,
  DiskPortError,
  DiskPortOptions,
  Segment,
} from '../../src/devices/backends/disk-port.ts';
import type { GuestMemory } from '../../src/devices/guest-memory.ts';

const SECTOR = 512;

/** What has been written to a disk, sector by sector; other sectors read as zeros. */
export class SparseContent {
  readonly #sectors = new Map<number, Uint8Array>();

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += SECTOR) {
      const sector = this.#sectors.get((offset + at) / SECTOR);
      if (sector !== undefined) bytes.set(sector.subarray(0, length - at), at);
    }
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SECTOR) {
      const sector = new Uint8Array(SECTOR);
      sector.set(bytes.subarray(at, at + SECTOR));
      this.#sectors.set((offset + at) / SECTOR, sector);
    }
  }

  discard(offset: number, length: number): void {
    for (let at = 0; at < length; at += SECTOR) this.#sectors.delete((offset + at) / SECTOR);
  }
}

/** The disk that a fake port takes its properties from. */
export type FakePortDisk = {
  readonly size: number;
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  readonly content: SparseContent;
};

type Request = { readonly text: string; readonly run: () => DiskPortError | null; readonly done: DiskDone };

/** A disk port that executes its requests on demand, in order of arrival. */
export class FakeDiskPort implements DiskPort {
  readonly options: DiskPortOptions;
  /** Every request made, such as `read 0 512`. */
  readonly log: string[] = [];
  /** The errors of the next requests, one each. */
  readonly failures: DiskPortError[] = [];
  /** Whether the host delays `cancel` and `quiesce` until `release`. */
  hangs = false;
  /** Whether the first request has been carried out, so that `poll` completes it. */
  isDone = false;
  errors: DiskErrors[] = [];
  closed = false;
  readonly #disk: FakePortDisk;
  readonly #memory: GuestMemory;
  #requests: Request[] = [];
  #stopping: (() => void)[] = [];
  #isQuiesced = false;

  constructor(disk: FakePortDisk, memory: GuestMemory, options: DiskPortOptions) {
    this.#disk = disk;
    this.#memory = memory;
    this.options = options;
  }

  get pending(): number {
    return this.#requests.length;
  }

  get isQuiesced(): boolean {
    return this.#isQuiesced;
  }

  transfer(access: 'read' | 'write', offset: number, segments: readonly Segment[], done: DiskDone): void {
    const length = segments.reduce((sum, segment) => sum + segment.length, 0);
    this.#add(`${access} ${offset} ${length}`, done, () => {
      const error = this.#check(access, offset, length);
      if (error !== null) return error;
      const guest = access === 'read' ? 'write' : 'read';
      if (!segments.every(part => this.#memory.contains(part.address, part.length, guest))) return 'memory';
      const content = access === 'read' ? this.#disk.content.read(offset, length) : new Uint8Array(length);
      let at = 0;
      for (const part of segments) {
        if (access === 'read') {
          this.#memory.writable(part.address, part.length).set(content.subarray(at, at + part.length));
        } else {
          content.set(this.#memory.readable(part.address, part.length), at);
        }
        at += part.length;
      }
      if (access === 'write') this.#disk.content.write(offset, content);
      return null;
    });
  }

  readInto(offset: number, bytes: Uint8Array, done: DiskDone): void {
    this.#add(`read ${offset} ${bytes.length}`, done, () => {
      const error = this.#check('read', offset, bytes.length);
      if (error === null) bytes.set(this.#disk.content.read(offset, bytes.length));
      return error;
    });
  }

  writeFrom(offset: number, bytes: Uint8Array, done: DiskDone): void {
    const copy = bytes.slice();
    this.#add(`write ${offset} ${copy.length}`, done, () => {
      const error = this.#check('write', offset, copy.length);
      if (error === null) this.#disk.content.write(offset, copy);
      return error;
    });
  }

  flush(done: DiskDone): void {
    this.#add('flush', done, () => null);
  }

  discard(offset: number, length: number, done: DiskDone): void {
    this.#add(`discard ${offset} ${length}`, done, () => {
      const error = this.#check('write', offset, length);
      if (error === null && this.#disk.canDiscard) this.#disk.content.discard(offset, length);
      return error;
    });
  }

  writeZeroes(offset: number, length: number, unmaps: boolean, done: DiskDone): void {
    this.#add(`zero ${offset} ${length}${unmaps ? ' unmap' : ''}`, done, () => {
      const error = this.#check('write', offset, length);
      if (error === null) this.#disk.content.discard(offset, length);
      return error;
    });
  }

  poll(): void {
    if (this.isDone) this.step();
  }

  cancel(ended: () => void): void {
    this.#requests = [];
    this.#stop(ended);
  }

  quiesce(done: () => void): void {
    this.#isQuiesced = true;
    this.#stop(done);
  }

  resume(): void {
    if (this.#isQuiesced) this.#stopping = [];
    this.#isQuiesced = false;
  }

  diskErrors(_endPeriod: boolean): readonly DiskErrors[] {
    const errors = this.errors;
    this.errors = [];
    return errors;
  }

  close(): void {
    if (this.closed) throw new Error('the port has been closed already');
    this.closed = true;
    this.#requests = [];
  }

  /** Completes the first request. @returns whether there was one */
  step(): boolean {
    if (this.#isQuiesced || this.#stopping.length > 0) return false;
    const request = this.#requests.shift();
    if (request === undefined) return false;
    request.done(this.failures.shift() ?? request.run());
    return true;
  }

  /** Completes requests until there are none. Fails the test if a model never stops. */
  settle(): void {
    for (let steps = 0; this.step(); steps++) {
      if (steps > 100_000) throw new Error('the model does not stop making requests');
    }
  }

  /** Lets the host answer. */
  release(): void {
    for (const done of this.#stopping.splice(0)) done();
  }

  #stop(done: () => void): void {
    if (this.hangs) this.#stopping.push(done);
    else done();
  }

  #add(text: string, done: DiskDone, run: () => DiskPortError | null): void {
    if (this.closed) throw new Error('the port has been closed');
    this.log.push(text);
    this.#requests.push({ text, run, done });
  }

  #check(access: 'read' | 'write', offset: number, length: number): DiskPortError | null {
    const { size, readonly } = this.#disk;
    if (access === 'write' && readonly) return 'readonly';
    const isWhole = offset % SECTOR === 0 && length % SECTOR === 0;
    return isWhole && offset >= 0 && length >= 0 && offset + length <= size ? null : 'range';
  }
}
