import * as zod from 'zod';
import { AtaDisk } from '../../src/devices/storage/ata/ata-disk.ts';
import type { AtaDrive } from '../../src/devices/storage/ata/ata-drive.ts';
import { Drive } from '../../src/devices/storage/drive.ts';
import type { PiixIde } from '../../src/devices/storage/ide/piix-ide.ts';
import { piix3Ide } from '../../src/devices/storage/ide/rows.ts';
import { FakeBlockBackend } from './fake-block-backend.ts';
import { FakeMachine } from './fake-machine.ts';

const IRQ = 14;
const COMMANDS = 0x1f0;
const STATUS = 0x1f7;
const BUSY = 0x80;
const DATA_REQUEST = 0x08;
const MAX_STEPS = 1000;

/** A command's task file, in register order: features, count, three bytes of LBA, device. */
export type TaskFile = readonly [number, number, number, number, number, number];

/**
 * A machine without KVM that has an IDE controller, with a disk as the first drive of its first
 * channel, driven as by a driver.
 */
export class IdeMachine {
  readonly machine = new FakeMachine();
  readonly disk = new FakeBlockBackend();
  readonly controller;
  readonly drive: AtaDisk;

  constructor() {
    this.disk.memory = this.machine.memory;
    this.machine.disk = this.disk;
    const { services, chipset } = this.machine;
    this.controller = piix3Ide.create(services, piix3Ide.config(zod).parse({ type: 'piix3-ide' }), 'ide0');
    chipset.attach({ type: piix3Ide, built: this.controller });
    const medium = { path: 'disk.img', readonly: false, cache: 'writeback' } as const;
    this.drive = new AtaDisk({
      drive: new Drive(services, { name: 'hd0', type: 'ide-hd', medium, limits: {}, depth: 1 }),
      identity: { serial: 'S1', firmware: '1.0', model: 'DISK', wwn: 0n },
      physicalBlock: 512,
      rotationRate: 0,
    });
    this.connect(this.drive, 0);
    chipset.pci.assign();
    const { slot } = this.controller.pci!.place;
    chipset.pci.writeConfig(0, slot * 8, 4, 2, 0x5);
  }

  /** Connects a drive. */
  connect(ata: AtaDrive, unit: number): void {
    this.controller.bus!.attach({ device: ata, ata }, { unit, function: 0 });
  }

  get piix(): PiixIde {
    return this.controller.device as PiixIde;
  }

  get interrupt(): boolean {
    return this.machine.lines[IRQ]!.level;
  }

  get busMaster(): number {
    return this.controller.pci!.bars[0]!.address!;
  }

  in(port: number, size: 1 | 2 | 4 = 1): number {
    return this.machine.ports.read(port, size);
  }

  out(port: number, value: number, size: 1 | 2 | 4 = 1): void {
    this.machine.ports.write(port, size, value);
  }

  /** The alternate status: reading it does not acknowledge the interrupt. */
  get status(): number {
    return this.in(0x3f6);
  }

  /** Writes the registers, twice for a 48-bit command, and starts a command. */
  send(command: number, tasks: readonly TaskFile[]): void {
    for (const task of tasks)
      task.forEach((value, index) => {
        this.out(COMMANDS + 1 + index, value);
      });
    this.out(STATUS, command);
  }

  /** Lets the disk answer until the drive is not busy. */
  settle(): number {
    for (let steps = 0; (this.status & BUSY) !== 0; steps++)
      if (steps === MAX_STEPS || !this.disk.port?.step()) throw new Error('the drive stays busy');
    return this.status;
  }

  /** Reads a command's blocks, one interrupt each. @returns them */
  read(blockBytes: number): Uint8Array {
    const parts: Uint8Array[] = [];
    while ((this.settle() & DATA_REQUEST) !== 0) {
      this.in(STATUS);
      const into = new DataView(new ArrayBuffer(blockBytes));
      this.machine.ports.readStringTo(COMMANDS, 2, blockBytes / 2, into, 0);
      parts.push(new Uint8Array(into.buffer));
    }
    return Buffer.concat(parts);
  }

  write(bytes: Uint8Array, blockBytes: number): void {
    for (let at = 0; at < bytes.length; at += blockBytes) {
      if ((this.settle() & DATA_REQUEST) === 0) throw new Error('the drive takes no data');
      const from = new DataView(bytes.buffer, bytes.byteOffset + at, blockBytes);
      this.machine.ports.writeStringFrom(COMMANDS, 4, blockBytes / 4, from, 0);
    }
    this.settle();
  }

  /** Sets up the bus master. @param regions address and bytes of each */
  dma(regions: readonly (readonly [number, number])[], toMemory: boolean): void {
    const table = 0x1000;
    regions.forEach(([address, bytes], index) => {
      this.machine.memory.writeU32(table + 8 * index, address);
      const end = index === regions.length - 1 ? 0x8000_0000 : 0;
      this.machine.memory.writeU32(table + 8 * index + 4, ((bytes & 0xffff) | end) >>> 0);
    });
    this.out(this.busMaster, 0);
    this.out(this.busMaster + 4, table, 4);
    this.out(this.busMaster + 2, 0x06);
    this.out(this.busMaster, toMemory ? 0x09 : 0x01);
  }

  /** Fills sectors with their numbers. */
  fill(sectors = 300): void {
    for (let lba = 0; lba < sectors; lba++)
      this.disk.content.write(lba * 512, new Uint8Array(512).fill(1 + (lba % 251)));
  }
}
