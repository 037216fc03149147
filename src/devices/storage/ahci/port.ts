import type { DeviceState } from '../../device.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { booleanOf, numberOf } from '../../state.ts';
import type { AtaDrive } from '../ata/ata-drive.ts';
import { READY, STATUS } from '../ata/registers.ts';
import { CommandList } from './command-list.ts';
import { type HostFrame, registerFrame } from './fis.ts';
import { PortMemory } from './port-memory.ts';
import { PortRegisters } from './port-registers.ts';
import {
  NO_DEVICE_TFD,
  PORT,
  PORT_CMD,
  PORT_IRQ,
  PORT_IRQ_MASK,
  RECEIVED,
  SCTL,
  SERR,
  SLOTS,
  SSTS,
} from './registers.ts';

const NO_SIGNATURE = 0xffff_ffff;

/** Bits of PxCMD that are only stored; the others have effects, or belong to the controller. */
const PLAIN_COMMAND_BITS = PORT_CMD.atapi;

/** The controller as a port sees it. */
export type PortHost = {
  readonly memory: GuestMemory;
  /** Whether the function reaches memory. */
  readonly isBusMaster: () => boolean;
  /** Whether the drive spins up, and its link comes up, only when software requests it. */
  readonly staggersSpinUp: boolean;
  /** These bits of PxIS have been set; 0 if the enabled or pending interrupts have changed otherwise. */
  readonly raised: (bits: number) => void;
};

/** One port of an AHCI controller (AHCI 1.3.1 §3.3, §5.3): its registers, the command list, and the link to a drive. */
export class AhciPort {
  readonly #host: PortHost;
  #drive: AtaDrive | null = null;
  readonly #registers = new PortRegisters();
  readonly #memory: PortMemory;
  readonly #list: CommandList;
  /** The signature has been received, but not written to memory. */
  #hasSignature = false;
  /** Called when the drive has dropped its commands for a reset of the controller. */
  #stopping: (() => void) | null = null;

  constructor(host: PortHost) {
    this.#host = host;
    this.#memory = new PortMemory(host.memory, host.isBusMaster);
    this.#list = new CommandList({
      registers: this.#registers,
      memory: this.#memory,
      drive: () => this.#drive,
      raise: bits => this.#raise(bits),
      receive: (offset, frame) => this.#receive(offset, frame),
      control: frame => this.#control(frame),
    });
    this.reset();
  }

  get drive(): AtaDrive | null {
    return this.#drive;
  }

  /** Connects a drive: the link comes up, unless software has disabled it. */
  attach(drive: AtaDrive): void {
    this.#drive = drive;
    drive.interface = 'serial';
    if (this.#detect === SCTL.noAction) this.#connect();
  }

  /** Notifies software of a new drive (§7.3). @returns whether it has asked for that */
  announce(): boolean {
    if (this.#detect !== SCTL.noAction) return false;
    this.#changed(SERR.exchanged | SERR.phyChange);
    return (this.enabledInterrupts & (PORT_IRQ.connectChange | PORT_IRQ.phyChange)) !== 0;
  }

  /** Unplugs the drive. Its commands never complete. */
  unplug(): void {
    const drive = this.#drive;
    if (drive === null) return;
    this.#drive = null;
    this.#list.removed();
    drive.abort(() => {});
    const isOff = this.#detect === SCTL.offline;
    this.#disconnect(isOff ? SSTS.offline : SSTS.none);
    this.#registers.change(PORT.cmd, { clear: PORT_CMD.atapi });
    // A reset of the controller need not wait for it.
    if (this.#stopping !== null) this.#stopped();
    if (!isOff) this.#changed(SERR.phyChange);
  }

  /** Whether an interrupt is enabled and pending. */
  get isPending(): boolean {
    return (this.#registers.get(PORT.is) & this.#registers.get(PORT.ie)) !== 0;
  }

  get enabledInterrupts(): number {
    return this.#registers.get(PORT.ie);
  }

  /** Restores the power-on state. The drive has no commands any more. */
  reset(): void {
    this.#stopping = null;
    this.#list.reset();
    this.#hasSignature = false;
    this.#registers.clear();
    const { staggersSpinUp } = this.#host;
    this.#registers.set(PORT.cmd, PORT_CMD.powerOn | (staggersSpinUp ? 0 : PORT_CMD.spinUp));
    this.#disconnect(SSTS.none);
    if (!staggersSpinUp) this.#connect();
  }

  /** The controller is reset: as `reset`, but the drive may have commands. @param done called when it has none */
  stop(done: () => void): void {
    const drive = this.#drive;
    if (drive === null) {
      this.reset();
      done();
      return;
    }
    this.#stopping = done;
    this.#list.abortDrive(drive, () => {
      drive.softReset();
      this.#stopped();
    });
  }

  #stopped(): void {
    const done = this.#stopping;
    this.reset();
    done?.();
  }

  read(offset: number): number {
    return this.#registers.get(offset);
  }

  write(offset: number, value: number): void {
    switch (offset) {
      case PORT.clb:
        this.#registers.set(offset, value & ~0x3ff);
        break;
      case PORT.fb:
        this.#registers.set(offset, value & ~0xff);
        break;
      case PORT.clbu:
      case PORT.fbu:
        this.#registers.set(offset, value);
        break;
      case PORT.is:
        this.#registers.change(PORT.is, { clear: value });
        this.#followErrors();
        this.#host.raised(0);
        break;
      case PORT.ie:
        this.#registers.set(PORT.ie, value & PORT_IRQ_MASK);
        this.#host.raised(0);
        break;
      case PORT.cmd:
        this.#writeCommand(value);
        break;
      case PORT.sctl:
        this.#writeControl(value & SCTL.writable);
        break;
      case PORT.serr:
        this.#registers.change(PORT.serr, { clear: value });
        this.#registers.change(PORT.is, { clear: PORT_IRQ.connectChange | PORT_IRQ.phyChange });
        this.#followErrors();
        this.#host.raised(0);
        break;
      case PORT.sact:
        if (this.#registers.has(PORT_CMD.start)) this.#registers.change(PORT.sact, { set: value });
        break;
      case PORT.ci:
        if (!this.#registers.has(PORT_CMD.start)) break;
        this.#registers.change(PORT.ci, { set: value });
        this.#list.issue();
        break;
    }
  }

  /** The machine continues; after a load, the drive's commands are repeated. */
  resume(): void {
    this.#list.resume();
  }

  save(): DeviceState {
    return {
      ...this.#registers.save(),
      running: this.#list.busySlots,
      halted: this.#list.isHalted,
      inSoftReset: this.#list.isHeld,
      hasSignature: this.#hasSignature,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const takeOver = this.#registers.load(state);
    const running = numberOf(state, 'running', 2 ** SLOTS - 1);
    const [halted, inSoftReset, hasSignature] = [
      booleanOf(state, 'halted'),
      booleanOf(state, 'inSoftReset'),
      booleanOf(state, 'hasSignature'),
    ];
    takeOver();
    this.#stopping = null;
    this.#list.load(running, halted);
    this.#list.isHeld = inSoftReset;
    this.#hasSignature = hasSignature;
  }

  #raise(bits: number): void {
    this.#registers.change(PORT.is, { set: bits });
    this.#host.raised(bits);
  }

  /** The state of the link has changed. @param errors bits of PxSERR */
  #changed(errors: number): void {
    this.#registers.change(PORT.serr, { set: errors });
    this.#followErrors();
  }

  /** Updates the bits of PxIS that mirror PxSERR. */
  #followErrors(): void {
    const errors = this.#registers.get(PORT.serr);
    const bits =
      (errors & SERR.exchanged ? PORT_IRQ.connectChange : 0) |
      (errors & SERR.phyChange ? PORT_IRQ.phyChange : 0);
    if (bits !== 0) this.#raise(bits);
  }

  /** PxCMD (§3.3.7). */
  #writeCommand(value: number): void {
    const before = this.#registers.get(PORT.cmd);
    const { staggersSpinUp } = this.#host;
    let cmd = (before & ~PLAIN_COMMAND_BITS) | (value & PLAIN_COMMAND_BITS);
    if (value & PORT_CMD.commandListOverride && !(before & PORT_CMD.start)) {
      this.#registers.change(PORT.tfd, { clear: STATUS.busy | STATUS.dataRequest });
    }
    // Frames are received until the list has stopped.
    const receives = (value & PORT_CMD.fisReceive) !== 0 || (before & PORT_CMD.listRunning) !== 0;
    cmd &= ~(PORT_CMD.fisReceive | PORT_CMD.fisRunning);
    if (receives) cmd |= PORT_CMD.fisReceive | PORT_CMD.fisRunning;
    if (staggersSpinUp) cmd = (cmd & ~PORT_CMD.spinUp) | (value & PORT_CMD.spinUp);
    const starts = (value & PORT_CMD.start) !== 0 && receives;
    cmd = starts ? cmd | PORT_CMD.start : cmd & ~PORT_CMD.start;
    this.#registers.set(PORT.cmd, cmd);
    if (receives && this.#hasSignature) this.#receiveSignature();
    if (staggersSpinUp && ~before & cmd & PORT_CMD.spinUp) this.#connect();
    if (starts && !(before & PORT_CMD.start)) this.#list.start();
    else if (!starts && before & PORT_CMD.start) this.#list.stop();
  }

  /** PxSCTL (§3.3.11): COMRESET, and disabling the interface. */
  #writeControl(value: number): void {
    const before = this.#detect;
    this.#registers.set(PORT.sctl, value);
    const detect = value & SCTL.detectMask;
    if (detect === before) return;
    if (detect === SCTL.initialize || detect === SCTL.offline) {
      this.#list.isHeld = false;
      const off = detect === SCTL.offline ? SSTS.offline : this.#drive === null ? SSTS.none : SSTS.present;
      this.#disconnect(off);
      this.#list.abort(() => {});
      return;
    }
    if (before !== SCTL.initialize && before !== SCTL.offline) return;
    const drive = this.#drive;
    if (drive === null) {
      this.#disconnect(SSTS.none);
      return;
    }
    // It responds once it has dropped its commands.
    drive.abort(() => {
      if (this.#detect !== SCTL.noAction || this.#drive !== drive) return;
      drive.softReset();
      this.#connect();
      this.#changed(SERR.exchanged | SERR.phyChange);
    });
  }

  /** PxSCTL.DET. */
  get #detect(): number {
    return this.#registers.get(PORT.sctl) & SCTL.detectMask;
  }

  #disconnect(status: number): void {
    this.#registers.set(PORT.ssts, status);
    this.#registers.set(PORT.tfd, NO_DEVICE_TFD);
    this.#registers.set(PORT.sig, NO_SIGNATURE);
    this.#hasSignature = false;
  }

  /** Brings the link up; the drive sends its signature. */
  #connect(): void {
    const drive = this.#drive;
    if (drive === null || !this.#registers.has(PORT_CMD.spinUp)) return;
    this.#registers.set(PORT.ssts, SSTS.established);
    if (drive.kind === 'packet') this.#registers.change(PORT.cmd, { set: PORT_CMD.atapi });
    this.#sendSignature(drive);
  }

  #sendSignature(drive: AtaDrive): void {
    const { error, count, lba } = drive.signature;
    const status = drive.kind === 'packet' ? 0 : READY;
    this.#registers.set(PORT.tfd, (error << 8) | status);
    this.#registers.set(PORT.sig, lba * 2 ** 8 + count);
    this.#hasSignature = true;
    if (this.#registers.has(PORT_CMD.fisReceive)) this.#receiveSignature();
  }

  #receiveSignature(): void {
    this.#hasSignature = false;
    const drive = this.#drive;
    if (drive === null) return;
    const status = drive.kind === 'packet' ? 0 : READY;
    this.#receive(RECEIVED.register, registerFrame({ ...drive.signature, status }, false));
  }

  /** Writes a frame to memory. @returns whether it succeeded */
  #receive(offset: number, frame: Uint8Array): boolean {
    if (!this.#registers.has(PORT_CMD.fisReceive)) return true;
    const at = this.#registers.address(PORT.fb, PORT.fbu) + offset;
    if (this.#memory.contains(at, frame.length, 'write')) {
      this.#memory.guest.writable(at, frame.length).set(frame);
      return true;
    }
    this.#list.fatal(PORT_IRQ.hostBusFatal);
    return false;
  }

  /** Device control: a software reset begins, and ends with the next frame. */
  #control({ softReset }: HostFrame): void {
    const wasHeld = this.#list.isHeld;
    this.#list.isHeld = softReset;
    const drive = this.#drive;
    if (softReset || !wasHeld || drive === null) return;
    this.#list.abortDrive(drive, () => {
      drive.softReset();
      this.#sendSignature(drive);
    });
  }
}
