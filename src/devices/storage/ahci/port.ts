import type { Segment } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { booleanOf, DeviceStateError, numberOf } from '../../state.ts';
import type { AtaDrive, CommandHost, DataPhase, PhaseDone, ResultRegisters } from '../ata/ata-drive.ts';
import { COMMAND, READY, STATUS } from '../ata/registers.ts';
import { Descriptors } from './descriptors.ts';
import {
  COMMAND_FIS,
  type HostFrame,
  parseHostFrame,
  pioSetupFrame,
  registerFrame,
  setDeviceBitsFrame,
} from './fis.ts';
import {
  COMMAND_HEADER,
  COMMAND_TABLE,
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
const WORDS = 2 ** 32;

/** Bits of PxCMD that software writes as they are; the others have effects, or are the controller's. */
const PLAIN_COMMAND_BITS = PORT_CMD.atapi;

/** What a port has of its controller. */
export type PortHost = {
  readonly memory: GuestMemory;
  /** Whether the function reaches memory. */
  readonly isBusMaster: () => boolean;
  /** The drive spins up, and its link comes up, when software says so. */
  readonly staggersSpinUp: boolean;
  /** These bits of PxIS have been set; 0: what is enabled or pending has changed otherwise. */
  readonly raised: (bits: number) => void;
};

/** A command that the drive has. */
type Run = {
  readonly slot: number;
  readonly isQueued: boolean;
  /** Guest-physical address of its header. */
  readonly header: number;
  readonly table: number;
  readonly descriptors: Descriptors;
  /** Bytes moved so far. */
  moved: number;
  /** The data that the drive has last given by PIO. */
  pioBlock: number | null;
};

/** One port of an AHCI controller (AHCI 1.3.1 §3.3, §5.3): its registers, the command list, and the link to a drive. */
export class AhciPort {
  readonly #host: PortHost;
  #drive: AtaDrive | null = null;
  /** Registers by the offsets of `PORT`, 32 bits each. */
  readonly #registers = new Map<number, number>();
  /** Commands that the drive has, by slot. */
  readonly #running = new Map<number, Run>();
  /** An error has stopped the list until software has cleared ST. */
  #isHalted = false;
  /** Earlier commands are being dropped: their memory may still be written to. */
  #isAborting = false;
  /** A software reset has begun, and not ended. */
  #inSoftReset = false;
  /** The signature has come, and has not been put into memory. */
  #hasSignature = false;
  /** Slots whose commands are to be carried out again after a load. */
  #again = 0;
  #isIssuing = false;

  constructor(host: PortHost) {
    this.#host = host;
    this.reset();
  }

  get drive(): AtaDrive | null {
    return this.#drive;
  }

  /** Connects a drive, which is there from power-on. */
  attach(drive: AtaDrive): void {
    this.#drive = drive;
    drive.interface = 'serial';
    this.reset();
  }

  /** Whether an interrupt is enabled and pending. */
  get isPending(): boolean {
    return (this.#get(PORT.is) & this.#get(PORT.ie)) !== 0;
  }

  get enabledInterrupts(): number {
    return this.#get(PORT.ie);
  }

  /** The state after power-on. Its drive has no commands any more. */
  reset(): void {
    this.#running.clear();
    this.#isHalted = false;
    this.#isAborting = false;
    this.#inSoftReset = false;
    this.#hasSignature = false;
    this.#again = 0;
    for (const offset of Object.values(PORT)) this.#registers.set(offset, 0);
    const { staggersSpinUp } = this.#host;
    this.#set(PORT.cmd, PORT_CMD.powerOn | (staggersSpinUp ? 0 : PORT_CMD.spinUp));
    this.#disconnect(SSTS.none);
    if (!staggersSpinUp) this.#connect();
  }

  /** The controller is reset: as `reset`, with commands that the drive may have. @param done called when it has none */
  stop(done: () => void): void {
    const drive = this.#drive;
    this.#running.clear();
    if (drive === null) {
      this.reset();
      done();
      return;
    }
    drive.abort(() => {
      drive.softReset();
      this.reset();
      done();
    });
  }

  read(offset: number): number {
    return this.#get(offset);
  }

  write(offset: number, value: number): void {
    switch (offset) {
      case PORT.clb:
        this.#set(offset, value & ~0x3ff);
        break;
      case PORT.fb:
        this.#set(offset, value & ~0xff);
        break;
      case PORT.clbu:
      case PORT.fbu:
        this.#set(offset, value);
        break;
      case PORT.is:
        this.#set(PORT.is, this.#get(PORT.is) & ~value);
        this.#followErrors();
        this.#host.raised(0);
        break;
      case PORT.ie:
        this.#set(PORT.ie, value & PORT_IRQ_MASK);
        this.#host.raised(0);
        break;
      case PORT.cmd:
        this.#writeCommand(value);
        break;
      case PORT.sctl:
        this.#writeControl(value & SCTL.writable);
        break;
      case PORT.serr:
        this.#set(PORT.serr, this.#get(PORT.serr) & ~value);
        this.#set(PORT.is, this.#get(PORT.is) & ~(PORT_IRQ.connectChange | PORT_IRQ.phyChange));
        this.#followErrors();
        this.#host.raised(0);
        break;
      case PORT.sact:
        if (this.#has(PORT_CMD.start)) this.#set(PORT.sact, this.#get(PORT.sact) | value);
        break;
      case PORT.ci:
        if (!this.#has(PORT_CMD.start)) break;
        this.#set(PORT.ci, this.#get(PORT.ci) | value);
        this.#issue();
        break;
    }
  }

  /** The machine goes on: after a load, with the commands that the drive had. */
  resume(): void {
    const again = this.#again;
    this.#again = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((again & (1 << slot)) !== 0 && !this.#isHalted) this.#begin(slot, true);
    }
    this.#issue();
  }

  save(): DeviceState {
    const running = [...this.#running.keys()].reduce((bits, slot) => bits | (1 << slot), this.#again);
    return {
      ...Object.fromEntries(Object.entries(PORT).map(([name, offset]) => [name, this.#get(offset)])),
      running: running >>> 0,
      halted: this.#isHalted,
      inSoftReset: this.#inSoftReset,
      hasSignature: this.#hasSignature,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const registers = Object.entries(PORT).map(
      ([name, offset]) => [offset, numberOf(state, name, WORDS - 1)] as const,
    );
    const running = numberOf(state, 'running', WORDS - 1);
    const [halted, inSoftReset, hasSignature] = [
      booleanOf(state, 'halted'),
      booleanOf(state, 'inSoftReset'),
      booleanOf(state, 'hasSignature'),
    ];
    const of = new Map<number, number>(registers);
    const isClean =
      (of.get(PORT.clb)! & 0x3ff) === 0 &&
      (of.get(PORT.fb)! & 0xff) === 0 &&
      (of.get(PORT.ie)! & ~PORT_IRQ_MASK) === 0 &&
      of.get(PORT.sctl)! <= SCTL.writable;
    if (!isClean) throw new DeviceStateError('clb', 'state of a port');
    for (const [offset, value] of registers) this.#registers.set(offset, value);
    this.#running.clear();
    this.#isAborting = false;
    this.#isHalted = halted;
    this.#inSoftReset = inSoftReset;
    this.#hasSignature = hasSignature;
    this.#again = running | 0;
  }

  #get(offset: number): number {
    return this.#registers.get(offset) ?? 0;
  }

  #set(offset: number, value: number): void {
    this.#registers.set(offset, value >>> 0);
  }

  #has(bit: number): boolean {
    return (this.#get(PORT.cmd) & bit) !== 0;
  }

  #address(low: number, high: number): number {
    return this.#get(low) + this.#get(high) * WORDS;
  }

  #raise(bits: number): void {
    this.#set(PORT.is, this.#get(PORT.is) | bits);
    this.#host.raised(bits);
  }

  /** The bits of PxIS that follow those of PxSERR. */
  #followErrors(): void {
    const errors = this.#get(PORT.serr);
    const bits =
      (errors & SERR.exchanged ? PORT_IRQ.connectChange : 0) |
      (errors & SERR.phyChange ? PORT_IRQ.phyChange : 0);
    if (bits !== 0) this.#raise(bits);
  }

  /** PxCMD (§3.3.7). */
  #writeCommand(value: number): void {
    const before = this.#get(PORT.cmd);
    const { staggersSpinUp } = this.#host;
    let cmd = (before & ~PLAIN_COMMAND_BITS) | (value & PLAIN_COMMAND_BITS);
    if (value & PORT_CMD.commandListOverride && !(before & PORT_CMD.start)) {
      this.#set(PORT.tfd, this.#get(PORT.tfd) & ~(STATUS.busy | STATUS.dataRequest));
    }
    // Frames are received until the list does not run any more.
    const receives = (value & PORT_CMD.fisReceive) !== 0 || (before & PORT_CMD.listRunning) !== 0;
    cmd &= ~(PORT_CMD.fisReceive | PORT_CMD.fisRunning);
    if (receives) cmd |= PORT_CMD.fisReceive | PORT_CMD.fisRunning;
    if (staggersSpinUp) cmd = (cmd & ~PORT_CMD.spinUp) | (value & PORT_CMD.spinUp);
    const starts = (value & PORT_CMD.start) !== 0 && receives;
    cmd = starts ? cmd | PORT_CMD.start : cmd & ~PORT_CMD.start;
    this.#set(PORT.cmd, cmd);
    if (receives && this.#hasSignature) this.#receiveSignature();
    if (staggersSpinUp && ~before & cmd & PORT_CMD.spinUp) this.#connect();
    if (starts && !(before & PORT_CMD.start)) this.#startList();
    else if (!starts && before & PORT_CMD.start) this.#stopList();
  }

  #startList(): void {
    this.#isHalted = false;
    this.#set(PORT.cmd, this.#get(PORT.cmd) | PORT_CMD.listRunning);
    this.#issue();
  }

  /** CR is clear when nothing of the commands reaches memory any more. */
  #stopList(): void {
    this.#set(PORT.ci, 0);
    this.#set(PORT.sact, 0);
    this.#abort(() => {
      if (this.#has(PORT_CMD.start)) return;
      const stopped = PORT_CMD.listRunning | ((SLOTS - 1) << PORT_CMD.currentSlotShift);
      this.#set(PORT.cmd, this.#get(PORT.cmd) & ~stopped);
    });
  }

  /** Drops the commands that the drive has. */
  #abort(ended: () => void): void {
    const hadCommand = this.#running.size > 0;
    this.#running.clear();
    this.#again = 0;
    const drive = this.#drive;
    if (drive === null || !hadCommand) {
      if (!this.#isAborting) ended();
      else drive!.abort(() => this.#aborted(ended));
      return;
    }
    this.#isAborting = true;
    drive.abort(() => this.#aborted(ended));
  }

  #aborted(ended: () => void): void {
    this.#isAborting = false;
    ended();
    this.#issue();
  }

  /** PxSCTL (§3.3.11): COMRESET, and switching the interface off. */
  #writeControl(value: number): void {
    const before = this.#get(PORT.sctl) & SCTL.detectMask;
    this.#set(PORT.sctl, value);
    const detect = value & SCTL.detectMask;
    if (detect === before) return;
    if (detect === SCTL.initialize || detect === SCTL.offline) {
      this.#inSoftReset = false;
      const off = detect === SCTL.offline ? SSTS.offline : this.#drive === null ? SSTS.none : SSTS.present;
      this.#disconnect(off);
      this.#abort(() => {});
      return;
    }
    if (before !== SCTL.initialize && before !== SCTL.offline) return;
    const drive = this.#drive;
    if (drive === null) {
      this.#disconnect(SSTS.none);
      return;
    }
    // It answers when it has dropped what it had.
    drive.abort(() => {
      if ((this.#get(PORT.sctl) & SCTL.detectMask) !== SCTL.noAction) return;
      drive.softReset();
      this.#connect();
      this.#set(PORT.serr, this.#get(PORT.serr) | SERR.exchanged | SERR.phyChange);
      this.#followErrors();
    });
  }

  #disconnect(status: number): void {
    this.#set(PORT.ssts, status);
    this.#set(PORT.tfd, NO_DEVICE_TFD);
    this.#set(PORT.sig, NO_SIGNATURE);
    this.#hasSignature = false;
  }

  /** The link comes up, and the drive sends its signature. */
  #connect(): void {
    const drive = this.#drive;
    if (drive === null || !this.#has(PORT_CMD.spinUp)) return;
    this.#set(PORT.ssts, SSTS.established);
    this.#set(PORT.cmd, drive.kind === 'packet' ? this.#get(PORT.cmd) | PORT_CMD.atapi : this.#get(PORT.cmd));
    this.#sendSignature(drive);
  }

  #sendSignature(drive: AtaDrive): void {
    const { error, count, lba } = drive.signature;
    const status = drive.kind === 'packet' ? 0 : READY;
    this.#set(PORT.tfd, (error << 8) | status);
    this.#set(PORT.sig, lba * 2 ** 8 + count);
    this.#hasSignature = true;
    if (this.#has(PORT_CMD.fisReceive)) this.#receiveSignature();
  }

  #receiveSignature(): void {
    this.#hasSignature = false;
    const drive = this.#drive;
    if (drive === null) return;
    const status = drive.kind === 'packet' ? 0 : READY;
    this.#receive(RECEIVED.register, registerFrame({ ...drive.signature, status }, false));
  }

  /** Puts a frame into memory. @returns whether it could be */
  #receive(offset: number, frame: Uint8Array): boolean {
    if (!this.#has(PORT_CMD.fisReceive)) return true;
    const at = this.#address(PORT.fb, PORT.fbu) + offset;
    if (this.#isMemory(at, frame.length, 'write')) {
      this.#host.memory.writable(at, frame.length).set(frame);
      return true;
    }
    this.#fatal(PORT_IRQ.hostBusFatal);
    return false;
  }

  #isMemory(address: number, length: number, access: 'read' | 'write'): boolean {
    return this.#host.isBusMaster() && this.#host.memory.contains(address, length, access);
  }

  /** An error after which software has to clear ST, and begin again (§6.2.2). */
  #fatal(bits: number): void {
    this.#isHalted = true;
    this.#abort(() => {});
    this.#raise(bits);
  }

  /** Has the drive carry out commands of the list, in the order of their slots. */
  #issue(): void {
    if (this.#isIssuing) return;
    this.#isIssuing = true;
    try {
      while (this.#canIssue()) {
        const ready = this.#get(PORT.ci) & ~this.#runningSlots;
        if (ready === 0) break;
        const slot = 31 - Math.clz32(ready & -ready);
        if (!this.#begin(slot, false)) break;
      }
    } finally {
      this.#isIssuing = false;
    }
  }

  #canIssue(): boolean {
    if (this.#drive === null || this.#get(PORT.ssts) !== SSTS.established) return false;
    if (!this.#has(PORT_CMD.listRunning) || !this.#has(PORT_CMD.start)) return false;
    if (this.#isHalted || this.#isAborting || this.#again !== 0) return false;
    return [...this.#running.values()].every(({ isQueued }) => isQueued);
  }

  get #runningSlots(): number {
    let slots = 0;
    for (const slot of this.#running.keys()) slots |= 1 << slot;
    return slots;
  }

  /** @param again it was begun before the machine was saved. @returns whether the drive has it; else it waits, or an error has stopped the list */
  #begin(slot: number, again: boolean): boolean {
    const header = this.#address(PORT.clb, PORT.clbu) + slot * COMMAND_HEADER.size;
    if (!this.#isMemory(header, COMMAND_HEADER.size, 'read')) {
      this.#fatal(PORT_IRQ.hostBusFatal);
      return false;
    }
    const { memory } = this.#host;
    const flags = memory.readU32(header);
    const low = memory.readU32(header + 8);
    const table = low - (low % 128) + memory.readU32(header + 12) * WORDS;
    if (!this.#isMemory(table, COMMAND_TABLE.descriptors, 'read')) {
      this.#fatal(PORT_IRQ.hostBusFatal);
      return false;
    }
    const frame = parseHostFrame(memory.readable(table, COMMAND_FIS).slice());
    if (frame === null || frame.multiplierPort !== 0) {
      this.#fatal(PORT_IRQ.interfaceFatal);
      return false;
    }
    if (!frame.isCommand) return this.#control(slot, frame);
    // A drive in reset takes no command.
    if (this.#inSoftReset) return false;
    const { command, count } = frame.registers;
    const isQueued = command === COMMAND.readFpdma || command === COMMAND.writeFpdma;
    if (isQueued && (count >> 3) % SLOTS !== slot) {
      this.#fatal(PORT_IRQ.interfaceFatal);
      return false;
    }
    // Those that are not queued wait for the end of those that are.
    if (!isQueued && this.#running.size > 0) return false;
    const descriptors = new Descriptors(memory, table + COMMAND_TABLE.descriptors, flags >>> 16);
    const run: Run = { slot, isQueued, header, table, descriptors, moved: 0, pioBlock: null };
    this.#running.set(slot, run);
    if (isQueued) {
      this.#set(PORT.ci, this.#get(PORT.ci) & ~(1 << slot));
      if (!again) this.#set(PORT.sact, this.#get(PORT.sact) | (1 << slot));
    } else {
      const current = (SLOTS - 1) << PORT_CMD.currentSlotShift;
      this.#set(PORT.cmd, (this.#get(PORT.cmd) & ~current) | (slot << PORT_CMD.currentSlotShift));
      this.#set(PORT.tfd, (this.#get(PORT.tfd) & 0xff00) | STATUS.busy);
    }
    this.#drive!.execute(frame.registers, this.#commandHost(run));
    return true;
  }

  /** A frame with device control: a software reset begins, and ends with the next one. */
  #control(slot: number, { softReset }: HostFrame): boolean {
    this.#set(PORT.ci, this.#get(PORT.ci) & ~(1 << slot));
    if (softReset) {
      this.#inSoftReset = true;
      return true;
    }
    if (!this.#inSoftReset) return true;
    this.#inSoftReset = false;
    const drive = this.#drive!;
    this.#running.clear();
    this.#isAborting = true;
    drive.abort(() => {
      drive.softReset();
      this.#sendSignature(drive);
      this.#aborted(() => {});
    });
    return true;
  }

  #commandHost(run: Run): CommandHost {
    const isCurrent = () => this.#running.get(run.slot) === run;
    return {
      transfer: (phase, done) => {
        if (isCurrent()) this.#transfer(run, phase, done, isCurrent);
      },
      takePacket: then => {
        if (isCurrent()) then(this.#host.memory.readable(run.table + COMMAND_TABLE.packet, 12).slice());
      },
      complete: result => {
        if (isCurrent()) this.#complete(run, result);
      },
    };
  }

  #transfer(run: Run, phase: DataPhase, done: PhaseDone, isCurrent: () => boolean): void {
    const length = phase.kind === 'bytes' && phase.direction === 'in' ? phase.bytes.length : phase.length;
    const taken = run.descriptors.take(length);
    if (taken === null) {
      this.#fatal(PORT_IRQ.hostBusFatal);
      return;
    }
    const { segments, bytes, interrupts } = taken;
    const moved = () => {
      run.moved += bytes;
      if (interrupts) this.#raise(PORT_IRQ.descriptor);
    };
    if (phase.protocol === 'pio' && phase.direction === 'in') run.pioBlock = lastBlock(length, phase.block);
    // Answers to packets may be longer than what the host has asked for.
    const mayBeCut = phase.kind === 'bytes' && phase.direction === 'in' && this.#drive?.kind === 'packet';
    if (bytes < length && !mayBeCut) {
      this.#raise(PORT_IRQ.overflow);
      done('memory');
      return;
    }
    if (phase.kind === 'bytes') {
      const access = phase.direction === 'in' ? 'write' : 'read';
      if (!segments.every(part => this.#isMemory(part.address, part.length, access))) {
        this.#fatal(PORT_IRQ.hostBusFatal);
        return;
      }
      const given = phase.direction === 'in' ? this.#scatter(segments, phase.bytes) : this.#gather(segments);
      moved();
      done(null, given);
      return;
    }
    const port = this.#drive?.port ?? null;
    if (port === null || !this.#host.isBusMaster()) {
      this.#fatal(PORT_IRQ.hostBusFatal);
      return;
    }
    port.transfer(phase.direction === 'in' ? 'read' : 'write', phase.offset, segments, error => {
      if (!isCurrent()) return;
      if (error === 'memory') {
        this.#fatal(PORT_IRQ.hostBusFatal);
        return;
      }
      if (error === null) moved();
      done(error);
    });
  }

  #scatter(segments: readonly Segment[], bytes: Uint8Array): undefined {
    let at = 0;
    for (const { address, length } of segments) {
      this.#host.memory.writable(address, length).set(bytes.subarray(at, at + length));
      at += length;
    }
    return undefined;
  }

  #gather(segments: readonly Segment[]): Uint8Array {
    const bytes = new Uint8Array(segments.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const { address, length } of segments) {
      bytes.set(this.#host.memory.readable(address, length), at);
      at += length;
    }
    return bytes;
  }

  #complete(run: Run, result: ResultRegisters): void {
    this.#running.delete(run.slot);
    if (run.isQueued) this.#completeQueued(run, result);
    else this.#completeAlone(run, result);
    this.#issue();
  }

  #completeQueued({ slot }: Run, { status, error }: ResultRegisters): void {
    const hasFailed = (status & STATUS.error) !== 0;
    const finished = hasFailed ? 0 : (1 << slot) >>> 0;
    this.#set(PORT.tfd, (error << 8) | status);
    this.#set(PORT.sact, this.#get(PORT.sact) & ~finished);
    if (!this.#receive(RECEIVED.setDeviceBits, setDeviceBitsFrame(status, error, finished))) return;
    if (hasFailed) {
      // The drive drops the others, of which PxSACT tells (Serial ATA 3.0 §13.6).
      this.#fatal(PORT_IRQ.setDeviceBits | PORT_IRQ.taskFileError);
      return;
    }
    this.#raise(PORT_IRQ.setDeviceBits);
  }

  #completeAlone(run: Run, result: ResultRegisters): void {
    const hasFailed = (result.status & STATUS.error) !== 0;
    this.#set(PORT.tfd, (result.error << 8) | result.status);
    if (!this.#isMemory(run.header + 4, 4, 'write')) {
      this.#fatal(PORT_IRQ.hostBusFatal);
      return;
    }
    this.#host.memory.writeU32(run.header + 4, run.moved);
    // Data to the host by PIO ends with the frame that announces it; all else with a register frame.
    const isPioOnly = run.pioBlock !== null && !hasFailed && this.#drive?.kind === 'disk';
    if (run.pioBlock !== null) {
      const setup = { toHost: true, length: run.pioBlock, endStatus: result.status };
      const frame = pioSetupFrame({ ...result, status: READY | STATUS.dataRequest }, setup);
      if (!this.#receive(RECEIVED.pioSetup, frame)) return;
    }
    if (!isPioOnly && !this.#receive(RECEIVED.register, registerFrame(result, true))) return;
    if (hasFailed) {
      this.#isHalted = true;
      this.#raise(PORT_IRQ.registerFis | PORT_IRQ.taskFileError);
      return;
    }
    this.#set(PORT.ci, this.#get(PORT.ci) & ~(1 << run.slot));
    const pio = run.pioBlock === null ? 0 : PORT_IRQ.pioSetup;
    this.#raise(pio | (isPioOnly ? 0 : PORT_IRQ.registerFis));
  }
}

/** Bytes of the last block of PIO. */
function lastBlock(length: number, block: number): number {
  return length % block || Math.min(block, length);
}
