import * as z from 'zod';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import { COMMAND, REG } from '../../../src/devices/pci/registers.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { PORT, PORT_CMD, PORT_SIZE, PORTS } from '../../../src/devices/storage/ahci/registers.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { FakeMemory } from '../../support/fake-memory.ts';

const MiB = 2 ** 20;

/** Addresses of the driver's memory. */
export const LIST = 0x1_0000;
export const RECEIVED = 0x1_1000;
export const TABLES = 0x1_2000;
const TABLE_BYTES = 0x1000;
export const DATA = 0x4_0000;

export type Issued = {
  readonly command: number;
  readonly features?: number;
  readonly count?: number;
  readonly lba?: number;
  readonly device?: number;
  readonly packet?: readonly number[];
  /** Memory ranges; DATA with 4096 bytes if absent. */
  readonly data?: readonly { readonly address: number; readonly length: number }[];
  /** Bits of the command header besides its lengths. */
  readonly flags?: number;
};

/** A machine with an AHCI controller that has a drive on port 0, and its driver. */
export class AhciRig {
  readonly machine = new FakeMachine(new FakeMemory(MiB));
  readonly disk = new FakeBlockBackend();
  readonly controller: BuiltDevice;
  readonly drive: BuiltDevice;

  constructor(type: 'sata-hd' | 'sata-cd' = 'sata-hd', options: Record<string, unknown> = {}) {
    const { machine } = this;
    machine.disk = this.disk;
    const build = (type: string, options: Record<string, unknown>): BuiltDevice => {
      const row = deviceTable.configurable.find(row => row.type === type)!;
      const built = row.create(machine.services, row.config(z).parse({ type, ...options }), `${type}0`);
      return built;
    };
    this.controller = build('ahci', options);
    this.drive = build(type, { path: 'disk.img' });
    this.controller.bus!.attach(this.drive, { unit: 0, function: 0 });
    machine.pci.plug(this.controller.pci!);
    machine.pci.assign();
    this.controller.pci!.writeConfig(REG.command, 2, COMMAND.memory | COMMAND.busMaster | COMMAND.io);
  }

  get #base(): number {
    return this.controller.pci!.bars.find(({ index }) => index === 5)!.address!;
  }

  read(offset: number): number {
    return this.machine.memoryBus.read(this.#base + offset, 4);
  }

  write(offset: number, value: number): void {
    this.machine.memoryBus.write(this.#base + offset, 4, value >>> 0);
  }

  port(register: keyof typeof PORT, port = 0): number {
    return this.read(PORTS + port * PORT_SIZE + PORT[register]);
  }

  setPort(register: keyof typeof PORT, value: number, port = 0): void {
    this.write(PORTS + port * PORT_SIZE + PORT[register], value);
  }

  /** Gives the port its memory, and starts it, with all interrupts. */
  start(): void {
    this.write(0x04, 0x8000_0002);
    this.setPort('clb', LIST);
    this.setPort('fb', RECEIVED);
    this.setPort('ie', 0xffff_ffff);
    this.setPort('serr', 0xffff_ffff);
    this.setPort('cmd', PORT_CMD.fisReceive | PORT_CMD.start);
  }

  /** Puts a command into a slot. */
  fill(slot: number, issued: Issued): void {
    const { memory } = this.machine;
    const { command, features = 0, count = 0, lba = 0, device = 0x40, packet, flags = 0 } = issued;
    const data = issued.data ?? [{ address: DATA, length: 4096 }];
    const table = TABLES + slot * TABLE_BYTES;
    const byte = (index: number) => Math.floor(lba / 2 ** (8 * index)) & 0xff;
    memory.writable(table, 0x80).fill(0);
    memory
      .writable(table, 16)
      .set([
        ...[0x27, 0x80, command, features & 0xff, byte(0), byte(1), byte(2), device],
        ...[byte(3), byte(4), byte(5), features >> 8, count & 0xff, count >> 8, 0, 0],
      ]);
    if (packet !== undefined) memory.writable(table + 0x40, packet.length).set(packet);
    data.forEach(({ address, length }, index) => {
      memory.writeU64(table + 0x80 + 16 * index, BigInt(address));
      memory.writeU32(table + 0x80 + 16 * index + 12, length - 1);
    });
    const header = LIST + 32 * slot;
    memory.writeU32(header, 5 | flags | (packet === undefined ? 0 : 0x20) | (data.length << 16));
    memory.writeU32(header + 4, 0);
    memory.writeU32(header + 8, table);
    memory.writeU32(header + 12, 0);
  }

  /** Executes a command in slot 0. @returns status and error */
  run(issued: Issued): { readonly status: number; readonly error: number } {
    this.fill(0, issued);
    this.setPort('ci', 1);
    this.settle();
    const tfd = this.port('tfd');
    return { status: tfd & 0xff, error: tfd >> 8 };
  }

  settle(): void {
    this.disk.port?.settle();
  }

  data(length: number, address = DATA): Uint8Array {
    return this.machine.memory.readable(address, length);
  }
}
