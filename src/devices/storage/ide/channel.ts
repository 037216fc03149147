import type { AccessSize, DeviceState, InterruptLine, IoHandler } from '../../device.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { booleanOf, DeviceStateError, numberOf, stateOf, statesOf } from '../../state.ts';
import type { AtaDrive, ResultRegisters } from '../ata/ata-drive.ts';
import { BusMaster } from './bus-master.ts';
import { type CommandChannel, IdeCommand } from './command.ts';
import { COMMAND, CONTROL, DEVICE, FLOATING, REASON, REG, STATUS } from './registers.ts';
import { IdeUnit } from './unit.ts';

const HIGH_ORDER = CONTROL.highOrderByte;
const LAST_REGISTER = REG.device;

export type IdeChannelOptions = {
  readonly line: InterruptLine;
  readonly memory: GuestMemory;
  readonly isMaster: () => boolean;
};

/**
 * An ATA channel: two drives that share registers and an interrupt, with programmed I/O and a bus master (ATA/ATAPI-6
 * §7 and §9).
 */
export class IdeChannel implements CommandChannel {
  readonly memory: GuestMemory;
  readonly busMaster: BusMaster;
  readonly units: readonly [IdeUnit, IdeUnit] = [new IdeUnit(false), new IdeUnit(true)];
  /** The registers of the command block. */
  readonly commandBlock: IoHandler;
  readonly #line: InterruptLine;
  #control = 0;
  #interrupt = false;
  /** The command that is being carried out, with its unit. */
  #active: IdeCommand | null = null;
  #activeUnit: IdeUnit = this.units[0];
  /** Whether a loaded command must be continued. */
  #goesOn = false;
  /** Counts resets, so that completions from before a reset are ignored. */
  #resets = 0;

  constructor({ line, memory, isMaster }: IdeChannelOptions) {
    this.memory = memory;
    this.#line = line;
    this.busMaster = new BusMaster({
      ...{ memory, isMaster },
      onStart: () => this.#active?.offerDma(),
      onPoll: () => this.#poll(),
      onStop: () => {
        // The drive stays busy, waiting for data that never comes, until it is reset.
        if (this.#active?.isCutShort) this.#abort(() => {});
      },
    });
    this.commandBlock = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
      readString: (offset, size, bytes) => this.#readString(offset, size, bytes),
      writeString: (offset, size, bytes) => this.#writeString(offset, size, bytes),
    };
  }

  connect(unit: 0 | 1, drive: AtaDrive): void {
    drive.interface = 'parallel';
    this.units[unit].drive = drive;
    this.units[unit].identify();
  }

  disconnect(unit: 0 | 1): void {
    this.units[unit].drive = null;
    this.units[unit].identify();
  }

  /** The selected unit. */
  get #selected(): IdeUnit {
    return this.units[this.units[0].device & DEVICE.second ? 1 : 0];
  }

  get #isEmpty(): boolean {
    return this.units.every(({ drive }) => drive === null);
  }

  #read(offset: number, size: AccessSize): number {
    if (offset === REG.data) {
      const bytes = new Uint8Array(4);
      this.#active?.take(bytes.subarray(0, size));
      return new DataView(bytes.buffer).getUint32(0, true);
    }
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readRegister(offset + i) << (8 * i);
    return value >>> 0;
  }

  #write(offset: number, size: AccessSize, value: number): void {
    if (offset === REG.data) {
      const bytes = Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
      this.#active?.give(bytes.subarray(0, size));
      return;
    }
    for (let i = 0; i < size; i++) this.#writeRegister(offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** A string instruction takes whole blocks from the data register. */
  #readString(offset: number, size: AccessSize, bytes: Uint8Array): void {
    if (offset !== REG.data) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let at = 0; at < bytes.length; at += size) put(view, at, size, this.#read(offset, size));
      return;
    }
    let done = 0;
    while (done < bytes.length) {
      const taken = this.#active?.take(bytes.subarray(done)) ?? 0;
      if (taken === 0) break;
      done += taken;
    }
    bytes.fill(0, done);
  }

  #writeString(offset: number, size: AccessSize, bytes: Uint8Array): void {
    if (offset !== REG.data) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let at = 0; at < bytes.length; at += size) this.#write(offset, size, get(view, at, size));
      return;
    }
    for (let done = 0; done < bytes.length; ) {
      const given = this.#active?.give(bytes.subarray(done)) ?? 0;
      if (given === 0) return;
      done += given;
    }
  }

  #readRegister(offset: number): number {
    if (this.#isEmpty) return offset === REG.status ? FLOATING.status : FLOATING.other;
    const unit = this.#selected;
    if (offset === REG.status) {
      // With interrupts enabled, the driver waits for one.
      if ((this.#control & CONTROL.noInterrupt) !== 0) this.#poll();
      // Reading it acknowledges the interrupt.
      this.#interrupt = false;
      this.#updateLine();
      return this.#statusOf(unit);
    }
    if (offset === REG.data) return 0;
    // The drive that is present responds for the other one, whose status is 0.
    const answering = unit.drive === null ? this.units[unit.isSecond ? 0 : 1] : unit;
    return answering.read(offset, (this.#control & HIGH_ORDER) !== 0);
  }

  /** A second way to read the status, without acknowledging the interrupt. */
  readAlternateStatus(): number {
    this.#poll();
    return this.#isEmpty ? FLOATING.status : this.#statusOf(this.#selected);
  }

  /** The driver polls for the end of its command: completes it if it has ended. */
  #poll(): void {
    if (this.#active !== null) this.#activeUnit.drive?.port?.poll();
  }

  #statusOf({ drive, status }: IdeUnit): number {
    return drive === null ? 0 : status;
  }

  #writeRegister(offset: number, value: number): void {
    this.#control &= ~HIGH_ORDER;
    if (offset === REG.status) {
      this.#command(value);
      return;
    }
    if (offset === REG.data || offset > LAST_REGISTER || this.#isBusy) return;
    for (const unit of this.units) unit.write(offset, value);
  }

  get #isBusy(): boolean {
    return this.units.some(({ drive, status }) => drive !== null && (status & STATUS.busy) !== 0);
  }

  writeControl(value: number): void {
    const before = this.#control;
    this.#control = value & (CONTROL.noInterrupt | CONTROL.softReset | HIGH_ORDER);
    const isReset = (value & CONTROL.softReset) !== 0;
    const wasReset = (before & CONTROL.softReset) !== 0;
    if (isReset && !wasReset) this.#startReset();
    else if (wasReset && !isReset) this.#endReset();
    this.#updateLine();
  }

  #startReset(): void {
    this.#resets++;
    this.#interrupt = false;
    for (const unit of this.units) if (unit.drive !== null) unit.status = STATUS.busy;
  }

  /** The drives are busy until all of their commands have ended, and then show their signatures. */
  #endReset(): void {
    this.#abort(() => {
      for (const unit of this.units) {
        unit.drive?.softReset();
        unit.identify();
      }
    });
  }

  /** Drops all commands. */
  #abort(then: () => void): void {
    const reset = ++this.#resets;
    const active = this.#active;
    this.#active = null;
    if (active === null) then();
    else
      active.abort(() => {
        if (this.#resets === reset) then();
      });
  }

  #command(value: number): void {
    this.#interrupt = false;
    this.#updateLine();
    const unit = this.#selected;
    const { drive } = unit;
    if (this.#control & CONTROL.softReset) return;
    if (value === COMMAND.deviceReset && drive?.kind === 'packet') {
      this.#resetUnit(unit, drive);
      return;
    }
    if (this.#isBusy) return;
    if (value === COMMAND.diagnostic && !this.#isEmpty) {
      this.#abort(() => this.#diagnose());
      return;
    }
    if (drive === null) return;
    // A driver that does not wait for a command abandons it.
    unit.status = STATUS.busy | STATUS.ready | STATUS.seekComplete;
    this.#abort(() => {
      this.#activeUnit = unit;
      this.#active = new IdeCommand(unit.command(value), drive, this);
      this.#active.begin();
    });
  }

  /** DEVICE RESET, which ends a command of a packet drive (ATA/ATAPI-6 §8.7). */
  #resetUnit(unit: IdeUnit, drive: AtaDrive): void {
    unit.status = STATUS.busy;
    const { device } = unit;
    this.#abort(() => {
      drive.softReset();
      unit.identify();
      unit.write(REG.device, device);
    });
  }

  /** EXECUTE DEVICE DIAGNOSTIC, on both drives. */
  #diagnose(): void {
    for (const unit of this.units) unit.identify();
    this.#raise();
  }

  requestData(
    direction: 'in' | 'out',
    bytes: number,
    { packet, interrupts }: { packet: boolean; interrupts: boolean },
  ): void {
    const unit = this.#activeUnit;
    unit.status = STATUS.ready | STATUS.seekComplete | STATUS.dataRequest;
    if (packet) unit.setReason(REASON.command);
    else if (this.#isPacket) unit.setPacketData(direction === 'in' ? REASON.toHost : 0, bytes);
    if (interrupts) this.#raise();
  }

  takeBusy(): void {
    this.#activeUnit.status = STATUS.busy | STATUS.ready | STATUS.seekComplete;
  }

  complete(result: ResultRegisters): void {
    const unit = this.#activeUnit;
    const isPacket = this.#isPacket;
    this.#active = null;
    unit.accept(result);
    unit.status = result.status;
    if (isPacket) unit.setReason(REASON.command | REASON.toHost);
    this.#raise();
  }

  get #isPacket(): boolean {
    return this.#active?.registers.command === COMMAND.packet;
  }

  #raise(): void {
    this.#interrupt = true;
    if ((this.#control & CONTROL.noInterrupt) === 0) this.busMaster.interrupted();
    this.#updateLine();
  }

  #updateLine(): void {
    this.#line.set(this.#interrupt && (this.#control & CONTROL.noInterrupt) === 0);
  }

  /** Restores the power-on state; the drives are reset separately. */
  reset(): void {
    this.#goesOn = false;
    this.#abort(() => {});
    this.#control = 0;
    this.#interrupt = false;
    this.#activeUnit = this.units[0];
    this.busMaster.reset();
    for (const unit of this.units) unit.identify();
    this.#updateLine();
  }

  /** Continues with the loaded command. */
  resume(): void {
    if (!this.#goesOn) return;
    this.#goesOn = false;
    if (this.#active !== null) this.#active.begin();
    // A drive that was being reset, or was waiting for data from a bus master that was stopped.
    else if (this.#isBusy && (this.#control & CONTROL.softReset) === 0)
      for (const unit of this.units) unit.identify();
  }

  save(): DeviceState {
    return {
      control: this.#control,
      interrupt: this.#interrupt,
      busMaster: this.busMaster.save(),
      units: this.units.map(unit => unit.save()),
      active: this.#activeUnit.isSecond ? 1 : 0,
      command: this.#active?.save() ?? null,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#abort(() => {});
    this.#control = numberOf(state, 'control', 0xff) & (CONTROL.noInterrupt | CONTROL.softReset | HIGH_ORDER);
    this.#interrupt = booleanOf(state, 'interrupt');
    this.busMaster.load(stateOf(state, 'busMaster'));
    const units = statesOf(state, 'units', 2);
    this.units.forEach((unit, index) => {
      unit.load(units[index]!);
    });
    this.#activeUnit = this.units[numberOf(state, 'active', 1)]!;
    this.#goesOn = true;
    if (state.command !== null) {
      const { drive } = this.#activeUnit;
      if (drive === null) throw new DeviceStateError('command', 'command of a drive that there is');
      this.#active = IdeCommand.load(stateOf(state, 'command'), drive, this);
    }
    this.#updateLine();
  }

  close(): void {
    this.#abort(() => {});
    this.#line.release();
  }
}

function get(view: DataView, at: number, size: AccessSize): number {
  if (size === 4) return view.getUint32(at, true);
  return size === 2 ? view.getUint16(at, true) : view.getUint8(at);
}

function put(view: DataView, at: number, size: AccessSize, value: number): void {
  if (size === 4) view.setUint32(at, value, true);
  else if (size === 2) view.setUint16(at, value, true);
  else view.setUint8(at, value);
}
