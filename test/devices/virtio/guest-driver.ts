import type { AccessSize } from '../../../src/devices/device.ts';
import type { FakeMachine } from '../../support/fake-machine.ts';

/** ECAM of a FakeMachine. */
const ECAM = 0xe000_0000;
const CAP_VENDOR = 0x09;
const COMMAND = 0x04;
const BUS_MASTER = 0x4;
const CAP_MSIX = 0x11;

export const STATUS = { acknowledge: 1, driver: 2, driverOk: 4, featuresOk: 8, needsReset: 0x40 } as const;
export const VERSION_1 = 1n << 32n;
export const EVENT_IDX = 1n << 29n;
export const INDIRECT = 1n << 28n;
export const PACKED = 1n << 34n;
export const RING_RESET = 1n << 40n;

/** Offsets in the common configuration structure. */
export const COMMON = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  numQueues: 0x12,
  status: 0x14,
  generation: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  notifyOffset: 0x1e,
  descriptors: 0x20,
  available: 0x28,
  used: 0x30,
  queueReset: 0x3a,
} as const;

type Structure = { readonly address: number; readonly size: number; readonly at: number };

/** A virtio driver like a guest's: finds the structures through PCI, negotiates, drives queues. */
export class GuestDriver {
  readonly machine: FakeMachine;
  readonly config: number;
  readonly common: Structure;
  readonly isr: Structure;
  readonly notify: Structure;
  readonly device: Structure | null;
  readonly access: Structure;
  readonly notifyMultiplier: number;
  readonly msix: number;
  readonly table: number;
  readonly pending: number;

  /** @param slot on bus 0 */
  constructor(machine: FakeMachine, slot: number) {
    this.machine = machine;
    this.config = ECAM + slot * 0x8000;
    this.busMaster = true;
    const structures = new Map<number, Structure>();
    let msix = 0;
    for (let at = this.read(this.config + 0x34, 1); at !== 0; at = this.read(this.config + at + 1, 1)) {
      const id = this.read(this.config + at, 1);
      if (id === CAP_MSIX) msix = at;
      if (id !== CAP_VENDOR) continue;
      const bar = this.#bar(this.read(this.config + at + 4, 1));
      const address = bar + this.read(this.config + at + 8, 4);
      const size = this.read(this.config + at + 12, 4);
      structures.set(this.read(this.config + at + 3, 1), { address, size, at: this.config + at });
    }
    this.common = structures.get(1)!;
    this.notify = structures.get(2)!;
    this.isr = structures.get(3)!;
    this.device = structures.get(4) ?? null;
    this.access = structures.get(5)!;
    this.notifyMultiplier = this.read(this.notify.at + 16, 4);
    this.msix = this.config + msix;
    const table = this.read(this.msix + 4, 4);
    const pending = this.read(this.msix + 8, 4);
    this.table = this.#bar(table & 7) + (table & ~7);
    this.pending = this.#bar(pending & 7) + (pending & ~7);
  }

  read(address: number, size: AccessSize): number {
    return this.machine.memoryBus.read(address, size);
  }

  write(address: number, size: AccessSize, value: number): void {
    this.machine.memoryBus.write(address, size, value);
  }

  /** Whether the driver lets the device reach memory. */
  set busMaster(allowed: boolean) {
    const command = this.read(this.config + COMMAND, 2) & ~BUS_MASTER;
    this.write(this.config + COMMAND, 2, allowed ? command | BUS_MASTER : command);
  }

  get status(): number {
    return this.read(this.common.address + COMMON.status, 1);
  }

  set status(value: number) {
    this.write(this.common.address + COMMON.status, 1, value);
  }

  set16(field: number, value: number): void {
    this.write(this.common.address + field, 2, value);
  }

  get16(field: number): number {
    return this.read(this.common.address + field, 2);
  }

  set32(field: number, value: number): void {
    this.write(this.common.address + field, 4, value);
  }

  set64(field: number, value: number): void {
    this.set32(field, value % 2 ** 32);
    this.set32(field + 4, Math.floor(value / 2 ** 32));
  }

  get offered(): bigint {
    const words = [0, 1].map(select => {
      this.set32(COMMON.deviceFeatureSelect, select);
      return BigInt(this.read(this.common.address + COMMON.deviceFeature, 4));
    });
    return words[0]! | (words[1]! << 32n);
  }

  accept(features: bigint): void {
    for (const select of [0, 1]) {
      this.set32(COMMON.driverFeatureSelect, select);
      this.set32(COMMON.driverFeature, Number((features >> BigInt(32 * select)) & 0xffff_ffffn));
    }
  }

  /** Everything up to FEATURES_OK. @returns the status read back. */
  negotiate(features: bigint): number {
    this.status = 0;
    this.status = STATUS.acknowledge;
    this.status = STATUS.acknowledge | STATUS.driver;
    this.accept(features);
    this.status = STATUS.acknowledge | STATUS.driver | STATUS.featuresOk;
    return this.status;
  }

  driverOk(): void {
    this.status = this.status | STATUS.driverOk;
  }

  /** MSI-X on, every vector unmasked; vector v sends data 0x40 + v. */
  enableMsix(vectors: number): void {
    for (let v = 0; v < vectors; v++) {
      this.write(this.table + 16 * v, 4, 0xfee0_0000);
      this.write(this.table + 16 * v + 4, 4, 0);
      this.write(this.table + 16 * v + 8, 4, 0x40 + v);
      this.write(this.table + 16 * v + 12, 4, 0);
    }
    this.write(this.msix + 2, 2, 0x8000);
  }

  queue(index: number, size: number, at: number): DriverQueue {
    return new DriverQueue(this, index, size, at);
  }

  #bar(index: number): number {
    return (this.read(this.config + 0x10 + 4 * index, 4) & ~0xf) >>> 0;
  }
}

export type Buffer = { readonly address: number; readonly length: number; readonly write?: boolean };

/** The driver's side of a split virtqueue at `at`: descriptors, then the avail ring, then the used ring. */
export class DriverQueue {
  readonly driver: GuestDriver;
  readonly index: number;
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  #nextDescriptor = 0;
  #seen = 0;

  constructor(driver: GuestDriver, index: number, size: number, at: number) {
    this.driver = driver;
    this.index = index;
    this.size = size;
    this.descriptors = at;
    this.available = at + 16 * size;
    this.used = (this.available + 6 + 2 * size + 3) & ~3;
  }

  /** Configures the queue and enables it. */
  enable(vector = 0xffff): void {
    const { driver } = this;
    driver.set16(COMMON.queueSelect, this.index);
    driver.set16(COMMON.queueSize, this.size);
    driver.set16(COMMON.queueVector, vector);
    driver.set64(COMMON.descriptors, this.descriptors);
    driver.set64(COMMON.available, this.available);
    driver.set64(COMMON.used, this.used);
    driver.set16(COMMON.queueEnable, 1);
  }

  describe(
    index: number,
    address: number,
    length: number,
    flags: number,
    next = 0,
    table = this.descriptors,
  ): void {
    const { memory } = this.driver.machine;
    const at = table + 16 * index;
    memory.writeU64(at, BigInt(address));
    memory.writeU32(at + 8, length);
    memory.writeU16(at + 12, flags);
    memory.writeU16(at + 14, next);
  }

  /** Makes a chain of buffers available. @returns its head. */
  add(...buffers: Buffer[]): number {
    const head = this.#nextDescriptor;
    buffers.forEach(({ address, length, write }, i) => {
      const index = (head + i) % this.size;
      const last = i === buffers.length - 1;
      this.describe(index, address, length, (write ? 2 : 0) | (last ? 0 : 1), (index + 1) % this.size);
    });
    this.#nextDescriptor = (head + buffers.length) % this.size;
    this.expose(head);
    return head;
  }

  /** Makes the chain that begins with descriptor `head` available. */
  expose(head: number): void {
    const { memory } = this.driver.machine;
    const index = memory.readU16(this.available + 2);
    memory.writeU16(this.available + 4 + 2 * (index % this.size), head);
    memory.writeU16(this.available + 2, (index + 1) & 0xffff);
  }

  /** Notifies the device, through the kernel's doorbell if there is one. */
  kick(): void {
    const { driver } = this;
    driver.set16(COMMON.queueSelect, this.index);
    const address = driver.notify.address + driver.get16(COMMON.notifyOffset) * driver.notifyMultiplier;
    const fd = driver.machine.doorbells.get(address);
    if (fd === undefined) driver.write(address, 2, this.index);
    else driver.machine.eventFds.signal(fd);
  }

  /** The chains returned since the last call. */
  collect(): { head: number; written: number }[] {
    const { memory } = this.driver.machine;
    const end = memory.readU16(this.used + 2);
    const chains: { head: number; written: number }[] = [];
    for (; this.#seen !== end; this.#seen = (this.#seen + 1) & 0xffff) {
      const at = this.used + 4 + 8 * (this.#seen % this.size);
      chains.push({ head: memory.readU32(at), written: memory.readU32(at + 4) });
    }
    return chains;
  }
}
