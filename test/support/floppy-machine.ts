import * as zod from 'zod';
import { floppyDrive, isaFdc } from '../../src/devices/storage/floppy/rows.ts';
import { FakeBlockBackend } from './fake-block-backend.ts';
import { FakeMachine } from './fake-machine.ts';

/** Ports of a floppy controller, and those of DMA channel 2. */
const PORT = { dor: 0x3f2, status: 0x3f4, fifo: 0x3f5, dir: 0x3f7 } as const;
const IRQ = 6;
const READY = 0x80;
const TO_HOST = 0x40;
/** The result phase begins within this many disk requests. */
const MAX_STEPS = 100;

export type FloppyOptions = {
  readonly bytes?: number;
  readonly readonly?: boolean;
  readonly empty?: boolean;
};

/** A machine without KVM that has a floppy controller with one drive, driven as by software. */
export class FloppyMachine {
  readonly machine = new FakeMachine();
  readonly disk = new FakeBlockBackend();
  readonly controller;
  readonly drive;

  constructor({ bytes = 1_474_560, readonly = false, empty = false }: FloppyOptions = {}) {
    this.disk.size = bytes;
    Object.assign(this.disk, { readonly });
    this.machine.disk = this.disk;
    const { services, chipset } = this.machine;
    this.controller = isaFdc.create(services, isaFdc.config(zod).parse({ type: 'isa-fdc' }), 'fdc0');
    const given = { type: 'floppy', ...(empty ? {} : { path: 'a.img' }), readonly };
    this.drive = floppyDrive.create(services, floppyDrive.config(zod).parse(given), 'fd0');
    chipset.attach(
      { type: isaFdc, built: this.controller },
      { type: floppyDrive, built: this.drive, place: { bus: 'fdc0', address: null } },
    );
  }

  get interrupt(): boolean {
    return this.machine.lines[IRQ]!.level;
  }

  in(port: number): number {
    return this.machine.ports.read(port, 1);
  }

  out(port: number, value: number): void {
    this.machine.ports.write(port, 1, value);
  }

  get status(): number {
    return this.in(PORT.status);
  }

  /** The disk change line. */
  get isChanged(): boolean {
    return (this.in(PORT.dir) & 0x80) !== 0;
  }

  /** Enables the controller, and acknowledges its reset. */
  start(): void {
    this.out(PORT.dor, 0x1c);
    for (let drive = 0; drive < 4; drive++) this.command(0x08);
  }

  /** Sends a command without waiting for its end. */
  send(...bytes: number[]): void {
    for (const byte of bytes) {
      if ((this.status & (READY | TO_HOST)) !== READY)
        throw new Error(`no command byte is expected: status 0x${this.status.toString(16)}`);
      this.out(PORT.fifo, byte);
    }
  }

  /** Lets the disk answer until the controller has a result, and reads the result. */
  result(): number[] {
    for (let steps = 0; (this.status & READY) === 0; steps++) {
      if (steps === MAX_STEPS || !this.disk.port?.step()) throw new Error('the command does not end');
    }
    const bytes: number[] = [];
    while ((this.status & (READY | TO_HOST)) === (READY | TO_HOST)) bytes.push(this.in(PORT.fifo));
    return bytes;
  }

  command(...bytes: number[]): number[] {
    this.send(...bytes);
    return this.result();
  }

  /** Sets up DMA channel 2. @param mode 0x46 for single transfers to memory, 0x4a for transfers from memory */
  dma(address: number, bytes: number, mode: number): void {
    this.out(0x0a, 0x06);
    this.out(0x0c, 0);
    this.out(0x0b, mode);
    for (const shift of [0, 8]) this.out(0x04, (address >>> shift) & 0xff);
    for (const shift of [0, 8]) this.out(0x05, ((bytes - 1) >>> shift) & 0xff);
    this.out(0x81, address >>> 16);
    this.out(0x0a, 0x02);
  }

  /** Fills each sector with its number, in both bytes of each word. */
  fill(): void {
    for (let lba = 0; lba < this.disk.size / 512; lba++)
      this.disk.content.write(lba * 512, new Uint8Array(512).fill(1 + (lba % 251)));
  }
}
