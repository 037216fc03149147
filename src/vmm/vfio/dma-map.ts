import type { Cancel } from '../../devices/device.ts';
import { HostDeviceError } from '../../devices/vfio/host-device.ts';
import type { AddressSpace, MapListener } from '../memory/address-space.ts';
import type { DirectPiece, MapChanges } from '../memory/direct-map.ts';
import { SystemError } from '../native/libc.ts';
import type { DmaDomain, IovaRange } from './dma-domain.ts';
import { explainMapping, lockLimit } from './errors.ts';

const MiB = 2 ** 20;
/** Bytes pinned between two events of a running machine: some hundredths of a second. */
const STEP = 64 * MiB;
/** A container takes 65,535 mappings: the steps of the largest VM leave most of them. */
const MAX_STEPS = 4096;

export type DmaMapOptions = {
  readonly domain: DmaDomain;
  /** Warns the user about something that does not stop the machine. */
  readonly warn: (text: string) => void;
  /** Page size of RAM in bytes: a step is a multiple, so that the IOMMU can use pages of this size. */
  readonly pageSize: number;
};

/** The mapped part of a piece, from its start on. */
type Progress = { bytes: number; count: number };

/**
 * The memory of a machine as its host devices access it: at the guest's addresses. It follows the address space. RAM
 * and ROMs must be mapped for a machine to start with devices; the registers of other host devices are mapped if the
 * kernel supports it.
 */
export class DmaMap implements MapListener {
  readonly #options: DmaMapOptions;
  readonly #mapped = new Map<DirectPiece, Progress>();
  readonly #hooks = new Set<() => void>();
  readonly #warned = new Set<string>();
  /** Pieces that are not mapped yet, or not completely. */
  #pending: DirectPiece[] = [];
  #registers: DirectPiece[] = [];
  #ranges: readonly IovaRange[] = [];
  /** Whether the devices of the machine may access each other. */
  #peers = false;
  /** Why the machine cannot start, during the first mapping. */
  #failure: HostDeviceError | null = null;
  /** Called at the end of the steps. */
  #waiting: ((failure: HostDeviceError | null) => void)[] = [];
  #phase: 'stopped' | 'starting' | 'stepping' | 'following' = 'stopped';
  #unlisten: Cancel = () => {};

  constructor(options: DmaMapOptions) {
    this.#options = options;
  }

  get active(): boolean {
    return this.#phase !== 'stopped';
  }

  /** Guest memory that devices access, and the number of its mappings. */
  get mappings(): { readonly bytes: number; readonly count: number } {
    let bytes = 0;
    let count = 0;
    for (const progress of this.#mapped.values()) {
      bytes += progress.bytes;
      count += progress.count;
    }
    return { bytes, count };
  }

  /** Calls back when `mappings` has changed. */
  onChange(hook: () => void): Cancel {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  /** Maps everything immediately, and follows from then on. @throws HostDeviceError, with nothing left mapped */
  start(space: AddressSpace): void {
    this.#begin(space, 'starting');
    const failure = this.#failure;
    if (failure !== null) {
      this.stop();
      throw failure;
    }
    this.#phase = 'following';
    this.#changed();
  }

  /**
   * Same, in steps, between which other work may use the thread, unless it is done or in progress. Changes in the
   * meantime are followed.
   * @param later calls back in a moment. @param done called with the error if it failed: nothing is then mapped
   * @throws SystemError if the kernel does not report which addresses can be mapped
   */
  startInSteps(
    space: AddressSpace,
    later: (step: () => void) => void,
    done: (failure: HostDeviceError | null) => void,
  ): void {
    if (this.#phase === 'following') {
      done(null);
      return;
    }
    if (this.#phase === 'stepping') {
      this.#waiting.push(done);
      return;
    }
    this.#begin(space, 'stepping');
    this.#waiting.push(done);
    const step = () => {
      if (this.#phase !== 'stepping') return;
      if (this.#failure === null && this.#mapStep()) later(step);
      else this.#endSteps(this.#failure);
    };
    later(step);
  }

  /** The machine now has several devices, which may access each other's registers. */
  meetPeers(): void {
    if (this.#peers) return;
    this.#peers = true;
    this.#pending.push(...this.#registers.splice(0));
    if (this.#phase === 'following') this.#mapPending();
    this.#changed();
  }

  /**
   * Another device has been added, for which the platform may reserve addresses.
   * @throws HostDeviceError if the machine has memory there
   */
  recheck(): void {
    this.#ranges = this.#options.domain.ranges();
    for (const piece of this.#mapped.keys()) {
      const problem = piece.block.registers ? null : this.#reserved(piece);
      if (problem !== null) throw new HostDeviceError(problem, 'EINVAL');
    }
  }

  commit({ removed, added }: MapChanges): void {
    for (const piece of removed) this.#unmap(piece);
    const gone = new Set(removed);
    this.#registers = this.#registers.filter(piece => !gone.has(piece));
    this.#pending = this.#pending.filter(piece => !gone.has(piece));
    for (const piece of added) {
      if (piece.block.registers && !this.#peers) this.#registers.push(piece);
      else this.#pending.push(piece);
    }
    if (this.#phase !== 'stepping') this.#mapPending();
    if (this.#phase === 'following') this.#changed();
  }

  /** Unmaps everything, and stops following. */
  stop(): void {
    if (this.#phase === 'stopped') return;
    if (this.#phase === 'stepping') {
      this.#endSteps(new HostDeviceError('the host devices were taken from the VM', 'ECANCELED'));
      return;
    }
    this.#unlisten();
    this.#phase = 'stopped';
    this.#pending = [];
    this.#registers = [];
    for (const piece of [...this.#mapped.keys()]) this.#unmap(piece);
    this.#changed();
  }

  #endSteps(failure: HostDeviceError | null): void {
    this.#phase = 'following';
    if (failure === null) this.#changed();
    else this.stop();
    for (const done of this.#waiting.splice(0)) done(failure);
  }

  #begin(space: AddressSpace, phase: 'starting' | 'stepping'): void {
    if (this.#phase !== 'stopped') throw new Error('the memory is being mapped already');
    this.#ranges = this.#options.domain.ranges();
    this.#failure = null;
    this.#phase = phase;
    this.#unlisten = space.listen(this);
  }

  #mapPending(): void {
    for (const piece of this.#pending) {
      if (this.#failure === null) this.#map(piece, piece.size);
    }
    this.#pending = [];
  }

  /** @returns whether there is more */
  #mapStep(): boolean {
    const piece = this.#pending[0];
    if (piece === undefined) return false;
    const done = this.#mapped.get(piece)?.bytes ?? 0;
    // Up to the end of a page of RAM.
    const end = Math.min(this.#stepEnd(piece, done), piece.size);
    if (!this.#map(piece, end - done) || end === piece.size) this.#pending.shift();
    return this.#pending.length > 0;
  }

  #stepEnd({ address, size }: DirectPiece, done: number): number {
    const { pageSize } = this.#options;
    const unit = Math.max(STEP, pageSize, Math.ceil(size / MAX_STEPS / pageSize) * pageSize);
    return (Math.floor((address + done) / unit) + 1) * unit - address;
  }

  /** Maps the next `length` bytes of a piece. @returns whether that succeeded */
  #map(piece: DirectPiece, length: number): boolean {
    const progress = this.#mapped.get(piece) ?? { bytes: 0, count: 0 };
    const reserved = this.#reserved(piece);
    if (reserved !== null) {
      this.#failed(piece, reserved, 'EINVAL');
      return false;
    }
    const { address, block, offset, kind } = piece;
    try {
      this.#options.domain.map({
        iova: address + progress.bytes,
        size: length,
        host: block.host + BigInt(offset + progress.bytes),
        writable: kind !== 'rom',
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const why = explainMapping(error, this.#needed, lockLimit());
      this.#failed(
        piece,
        `${this.#place(piece)} cannot be mapped for the VM's host devices: ${why}`,
        error.code,
      );
      return false;
    }
    this.#mapped.set(piece, { bytes: progress.bytes + length, count: progress.count + 1 });
    return true;
  }

  /** Bytes that are locked once everything is mapped. */
  get #needed(): number {
    const pieces = new Set([...this.#mapped.keys(), ...this.#pending]);
    return [...pieces].reduce((sum, { size, block }) => sum + (block.registers ? 0 : size), 0);
  }

  #unmap(piece: DirectPiece): void {
    const progress = this.#mapped.get(piece);
    if (progress === undefined) return;
    this.#mapped.delete(piece);
    try {
      this.#options.domain.unmap(piece.address, progress.bytes);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // When the host removes the last device of a domain, it unmaps everything, before or while the machine closes the
      // device.
      if (this.#phase === 'following')
        this.#warnOnce(
          'unmap',
          `${this.#place(piece)} cannot be unmapped from the VM's host devices: ${error.message}`,
        );
    }
  }

  /**
   * A problem that prevents the machine's start is a failure; later, and for registers, a warning once for each kind.
   */
  #failed(piece: DirectPiece, problem: string, code: string): void {
    const isStart = this.#phase === 'starting' || this.#phase === 'stepping';
    if (piece.block.registers) {
      this.#warnOnce('registers', `host devices of the VM cannot reach each other's memory: ${problem}`);
    } else if (isStart) {
      this.#failure ??= new HostDeviceError(problem, code);
    } else {
      this.#warnOnce(code, problem);
    }
  }

  #warnOnce(kind: string, text: string): void {
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#options.warn(text);
  }

  /** A sentence if the platform reserves some of the addresses of a piece. */
  #reserved(piece: DirectPiece): string | null {
    const { address, size } = piece;
    const range = this.#ranges.find(({ start, end }) => address >= start && address < end);
    if (range !== undefined && address + size <= range.end) return null;
    const from = range === undefined ? address : range.end;
    const place = `${this.#place(piece)} cannot be mapped for the VM's host devices`;
    const reserved = `the platform reserves addresses from ${hex(from)} on (/sys/kernel/iommu_groups/*/reserved_regions)`;
    return piece.kind === 'ram'
      ? `${place}: ${reserved}; give the VM so little memory that it ends before`
      : `${place}: ${reserved}`;
  }

  #place({ block, address, size }: DirectPiece): string {
    return `${block.name} at ${hex(address)}-${hex(address + size - 1)}`;
  }

  #changed(): void {
    for (const hook of this.#hooks) hook();
  }
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
