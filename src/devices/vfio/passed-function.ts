import type { AccessSize } from '../device.ts';
import { PciFunction, type PciIdentity } from '../pci/pci-function.ts';
import { COMMAND, EXTENDED_CONFIG_SIZE, REG } from '../pci/registers.ts';
import type { HostRegion } from './host-device.ts';
import { RegionAccess } from './region-access.ts';

/** Bits of the command register that are forwarded to the device. Error reporting stays as the host has set it. */
const MIRRORED = COMMAND.io | COMMAND.memory | COMMAND.busMaster | COMMAND.interruptDisable;

/** What determines, besides the guest, whether the device responds. */
export type FunctionPower = {
  /** It is in D0, and has not been returned to the host. */
  readonly awake: boolean;
  /** Its machine is not quiesced. */
  readonly running: boolean;
};

/**
 * The configuration space of a passed-through function: registers of this model, and registers of the device, which are
 * read and written there. The device's command register follows the guest's: it decodes its BARs before the guest
 * reaches them, and as long as the guest does.
 */
export class PassedFunction extends PciFunction {
  readonly #device: RegionAccess;
  /** For each byte, the bits that the guest reads from the device. */
  readonly #read = new Uint8Array(EXTENDED_CONFIG_SIZE);
  /** For each byte, whether the guest writes it to the device: 0 or 1. */
  readonly #written = new Uint8Array(EXTENDED_CONFIG_SIZE);
  #power: FunctionPower = { awake: true, running: true };
  /** The last value of the device's command register; null if unknown. */
  #command: number | null = null;
  /** The device has been returned to the host. */
  #gone = false;

  /** @param deviceKey functions with the same key share a slot */
  constructor(
    name: string,
    identity: PciIdentity,
    deviceKey: string | null,
    config: HostRegion,
    onError: (error: Error) => void,
  ) {
    super(name, identity, 0, deviceKey);
    this.#device = new RegionAccess(config, onError);
  }

  /** The guest reads `mask` of [start, end) from the device, and writes it there if `writable`. */
  pass(start: number, end: number, { writable, mask = 0xff }: { writable: boolean; mask?: number }): void {
    this.#read.fill(mask, start, end);
    this.#written.fill(writable ? 1 : 0, start, end);
  }

  /** The guest reads zeros from [start, end). */
  hide(start: number, end: number): void {
    this.pass(start, end, { writable: false, mask: 0 });
    for (let at = start; at < end; at++) this.config.define(at, 1, 0);
  }

  /** Changes bits of a 16-bit register of the device. */
  change16(offset: number, mask: number, value: number): void {
    if (this.#gone) return;
    const before = this.#device.read(offset, 2);
    const after = (before & ~mask) | (value & mask);
    if (after !== before) this.#device.write(offset, 2, after);
  }

  get power(): FunctionPower {
    return this.#power;
  }

  set power(power: FunctionPower) {
    this.#power = power;
    this.refresh();
  }

  /** The device has been reset: it decodes nothing, whatever was set before. */
  deviceReset(): void {
    this.#command = null;
    this.#mirror(0);
  }

  /**
   * The device has been returned to the host: from now on the function reads as all ones, like one that was removed.
   */
  leave(): void {
    this.#gone = true;
  }

  protected override get decodes(): boolean {
    return this.#power.awake;
  }

  override readConfig(offset: number, size: AccessSize): number {
    if (this.#gone) return 0xffff_ffff >>> (32 - 8 * size);
    const own = super.readConfig(offset, size);
    const mask = this.#mask(this.#read, offset, size);
    if (mask === 0) return own;
    return ((own & ~mask) | (this.#device.read(offset, size) & mask)) >>> 0;
  }

  override writeConfig(offset: number, size: AccessSize, value: number): void {
    if (this.#gone) return;
    super.writeConfig(offset, size, value);
    if (offset + size > this.configSize) return;
    const end = offset + size;
    const written = this.#written.subarray(offset, end);
    if (written.every(each => each === 1)) this.#device.write(offset, size, value);
    else
      written.forEach((each, i) => {
        if (each === 1) this.#device.write(offset + i, 1, (value >>> (8 * i)) & 0xff);
      });
  }

  override refresh(): void {
    const wanted = this.config.u16(REG.command) & (COMMAND.io | COMMAND.memory);
    if (this.#power.awake) this.#mirror((this.#command ?? 0) | wanted);
    super.refresh();
    this.#mirror(this.#wantedCommand);
  }

  override detach(): void {
    super.detach();
    this.#mirror(0);
  }

  get #wantedCommand(): number {
    if (this.bus === null) return 0;
    const own = this.config.u16(REG.command) & MIRRORED & ~COMMAND.busMaster;
    return this.busMaster && this.#power.running && this.#power.awake ? own | COMMAND.busMaster : own;
  }

  #mirror(command: number): void {
    if (command === this.#command) return;
    this.#command = command;
    this.change16(REG.command, MIRRORED, command);
  }

  #mask(bytes: Uint8Array, offset: number, size: AccessSize): number {
    if (offset + size > this.configSize) return 0;
    let mask = 0;
    for (let i = 0; i < size; i++) mask |= bytes[offset + i]! << (8 * i);
    return mask;
  }
}
