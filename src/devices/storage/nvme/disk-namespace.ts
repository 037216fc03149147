import type { DiskDone, DiskPort } from '../../backends/disk-port.ts';
import type { Device, DeviceState } from '../../device.ts';
import type { MachineServices } from '../../machine-services.ts';
import { Drive, type DriveOptions } from '../drive.ts';
import type { NamespaceIdentity, NvmeNamespace } from './namespace.ts';

/** A namespace that is a disk of the host. */
export class DiskNamespace implements Device, NvmeNamespace {
  readonly name: string;
  readonly drive: Drive;
  readonly identity: NamespaceIdentity;
  readonly physicalBlock: number;
  onResized: (() => void) | null = null;
  /** Flushes that have not ended. */
  readonly #flushes = new Set<DiskDone>();

  /** @param physicalBlock given the block size of the host's disk, in bytes */
  constructor(
    services: MachineServices,
    options: DriveOptions,
    identity: NamespaceIdentity,
    physicalBlock: (disk: Drive['disk']) => number,
  ) {
    this.name = options.name;
    this.identity = identity;
    this.drive = new Drive(services, { ...options, block: identity.block });
    this.physicalBlock = physicalBlock(this.drive.disk);
    this.drive.onResized = () => this.onResized?.();
    this.setWriteCache(true);
  }

  get blocks(): number {
    return Math.floor((this.drive.disk?.size ?? 0) / this.identity.block);
  }

  get port(): DiskPort | null {
    return this.drive.port;
  }

  get isReadOnly(): boolean {
    return this.drive.disk?.readonly === true;
  }

  get canDiscard(): boolean {
    return this.drive.disk?.canDiscard === true && !this.isReadOnly;
  }

  setWriteCache(on: boolean): void {
    this.drive.disk?.setWriteThrough(!on);
  }

  flush(done: DiskDone): void {
    this.#flushes.add(done);
    this.port?.flush(error => {
      if (this.#flushes.delete(done)) done(error);
    });
  }

  drop(): void {
    const flushes = [...this.#flushes];
    this.#flushes.clear();
    for (const done of flushes) done('host');
  }

  cancel(ended: () => void): void {
    this.#flushes.clear();
    const { port } = this;
    if (port === null) ended();
    else port.cancel(ended);
  }

  reset(): void {
    this.#flushes.clear();
    this.drive.forget();
  }

  quiesce(done: () => void): void {
    this.drive.quiesce(done);
  }

  resume(): void {
    this.drive.resume();
  }

  save(): DeviceState {
    return this.drive.save();
  }

  load(state: DeviceState): void {
    this.drive.load(state);
    this.#flushes.clear();
  }

  close(): void {
    this.drive.close();
  }
}
