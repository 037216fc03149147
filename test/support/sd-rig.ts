import { expect } from 'vitest';
import * as zod from 'zod';
import type { BuiltDevice } from '../../src/devices/device-type.ts';
import { REG as PCI } from '../../src/devices/pci/registers.ts';
import { sdCard } from '../../src/devices/sd/card/row.ts';
import type { SdhciController } from '../../src/devices/sd/host/controller.ts';
import { CLOCK, COMMAND, ERROR, INTERRUPT, MODE, REG, RESET } from '../../src/devices/sd/host/registers.ts';
import { sdhciPci } from '../../src/devices/sd/host/row.ts';
import { FakeBlockBackend } from './fake-block-backend.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakeMemory } from './fake-memory.ts';

const MiB = 2 ** 20;
const HIGH_CAPACITY = 0x4000_0000;
const VOLTAGE_3_3 = 0x0010_0000;

/** The response that a driver expects to a command. */
export const R0 = 0;
export const R2 = COMMAND.longResponse;
export const R1 = COMMAND.shortResponse;
export const R1B = COMMAND.busyResponse;

export type SdTransfer = {
  /** `MODE` bits. */
  readonly mode?: number;
  readonly blockSize?: number;
  readonly blocks?: number;
};

/** A machine without KVM that has an SD host controller with a card, driven as by a driver. */
export class SdRig {
  readonly machine: FakeMachine;
  readonly disk = new FakeBlockBackend();
  readonly host: BuiltDevice;
  card: BuiltDevice | null = null;
  /** The card's relative address, once it has one. */
  address = 0;

  /** @param size of the card in bytes; null for no card */
  constructor(size: number | null = 64 * MiB, options: Record<string, unknown> = {}) {
    this.machine = new FakeMachine(new FakeMemory(MiB));
    this.machine.disk = this.disk;
    const { services, chipset } = this.machine;
    this.host = sdhciPci.create(services, sdhciPci.config(zod).parse({ type: 'sdhci-pci' }), 'sdhci0');
    chipset.attach({ type: sdhciPci, built: this.host });
    chipset.pci.assign();
    this.host.pci!.writeConfig(PCI.command, 2, 6);
    if (size !== null) this.insert(size, options);
  }

  get memory(): FakeMemory {
    return this.machine.memory;
  }

  get controller(): SdhciController {
    return this.host.device as SdhciController;
  }

  insert(size: number, options: Record<string, unknown> = {}): void {
    this.disk.size = size;
    const parsed = sdCard.config(zod).parse({ type: 'sd-card', path: 'card.img', ...options });
    this.card = sdCard.create(this.machine.services, parsed, 'card0');
    this.machine.chipset.attach({ type: sdCard, built: this.card, place: { bus: 'sdhci0', address: null } });
  }

  read(offset: number, size: 1 | 2 | 4 = 4): number {
    return this.machine.memoryBus.read(this.host.pci!.bars[0]!.address! + offset, size);
  }

  write(offset: number, value: number, size: 1 | 2 | 4 = 4): void {
    this.machine.memoryBus.write(this.host.pci!.bars[0]!.address! + offset, size, value >>> 0);
  }

  /** Its INTx wire. */
  get interrupt(): boolean {
    return this.machine.lines.some(line => line.level);
  }

  get response(): number {
    return this.read(REG.response);
  }

  /** Resets the controller and turns on power and clock, with all interrupts reported and signaled. */
  start(): this {
    this.write(REG.softwareReset, RESET.all, 1);
    this.write(REG.statusEnable, INTERRUPT.enableable, 2);
    this.write(REG.errorStatusEnable, ERROR.enableable, 2);
    this.write(REG.signalEnable, INTERRUPT.enableable, 2);
    this.write(REG.errorSignalEnable, ERROR.enableable, 2);
    this.write(REG.powerControl, 0x0f, 1);
    this.write(REG.clockControl, CLOCK.internal, 2);
    expect(this.read(REG.clockControl, 2) & CLOCK.stable).not.toBe(0);
    this.write(REG.clockControl, CLOCK.internal | CLOCK.card, 2);
    return this;
  }

  /** Issues a command. @returns the interrupts and errors that it raised, which are acknowledged */
  command(
    index: number,
    argument = 0,
    type: number = R1,
    transfer: SdTransfer | null = null,
  ): { normal: number; errors: number } {
    if (transfer !== null) {
      this.write(REG.blockSize, transfer.blockSize ?? 512, 2);
      this.write(REG.blockCount, transfer.blocks ?? 1, 2);
    }
    this.write(REG.argument, argument);
    this.write(REG.transferMode, transfer?.mode ?? 0, 2);
    this.write(
      REG.command,
      (index << COMMAND.indexShift) | type | (transfer === null ? 0 : COMMAND.hasData),
      2,
    );
    return this.acknowledge();
  }

  /** The buffer interrupts are left to the code that reads and writes it. */
  acknowledge(): { normal: number; errors: number } {
    const ofBuffer = INTERRUPT.bufferReadReady | INTERRUPT.bufferWriteReady;
    const normal = this.read(REG.status, 2) & ~ofBuffer;
    const errors = this.read(REG.errorStatus, 2);
    this.write(REG.status, normal, 2);
    this.write(REG.errorStatus, errors, 2);
    return { normal, errors };
  }

  application(index: number, argument = 0, type: number = R1, transfer: SdTransfer | null = null) {
    this.command(55, this.address << 16);
    return this.command(index, argument, type, transfer);
  }

  /** Identifies the card and selects it. */
  select(): this {
    this.start();
    this.address = 0;
    this.command(0, 0, R0);
    this.command(8, 0x1aa);
    expect(this.response).toBe(0x1aa);
    this.application(41, HIGH_CAPACITY | VOLTAGE_3_3);
    expect(this.response >>> 31).toBe(1);
    this.command(2, 0, R2);
    this.command(3);
    this.address = this.response >>> 16;
    expect(this.command(7, this.address << 16, R1B)).toEqual({
      normal: INTERRUPT.commandComplete | INTERRUPT.transferComplete,
      errors: 0,
    });
    return this;
  }

  /** The card's status. */
  status(): number {
    this.command(13, this.address << 16);
    return this.response;
  }

  /** Lets the host do what was requested, and what follows from that. */
  settle(): void {
    this.disk.port!.settle();
  }

  /** Reads blocks through the buffer data port. */
  readPort(blocks: number, blockSize = 512): Uint8Array {
    const bytes = new Uint8Array(blocks * blockSize);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += blockSize) {
      this.settle();
      expect(this.read(REG.status, 2) & INTERRUPT.bufferReadReady).not.toBe(0);
      this.write(REG.status, INTERRUPT.bufferReadReady, 2);
      for (let word = 0; word < blockSize; word += 4)
        view.setUint32(at + word, this.read(REG.bufferData), true);
    }
    return bytes;
  }

  writePort(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; at += 512) {
      this.settle();
      expect(this.read(REG.status, 2) & INTERRUPT.bufferWriteReady).not.toBe(0);
      this.write(REG.status, INTERRUPT.bufferWriteReady, 2);
      for (let word = 0; word < 512; word += 4) this.write(REG.bufferData, view.getUint32(at + word, true));
    }
  }

  /** Fills blocks with bytes derived from their positions. */
  fill(blocks: number): void {
    for (let block = 0; block < blocks; block++) this.disk.content.write(block * 512, pattern(block, 1));
  }
}

/** The bytes that `fill` writes to blocks. */
export function pattern(block: number, blocks: number): Uint8Array {
  return Uint8Array.from({ length: blocks * 512 }, (_, at) => (block * 31 + (at >>> 9) * 31 + at * 7) & 0xff);
}

/** Multiple blocks, with a block count. */
export const MANY = MODE.multiple | MODE.countsBlocks;
