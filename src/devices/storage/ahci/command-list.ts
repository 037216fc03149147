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
import type { PortMemory } from './port-memory.ts';
import type { PortRegisters } from './port-registers.ts';
import {
  COMMAND_HEADER,
  COMMAND_TABLE,
  PORT,
  PORT_CMD,
  PORT_IRQ,
  RECEIVED,
  SLOTS,
  SSTS,
} from './registers.ts';

const WORDS = 2 ** 32;

/** What a list has of its port. */
export type ListHost = {
  readonly registers: PortRegisters;
  readonly memory: PortMemory;
  readonly drive: () => AtaDrive | null;
  /** Sets bits of PxIS. */
  readonly raise: (bits: number) => void;
  /** Puts a frame from the drive into memory. @returns whether it could be; else an error has stopped the list */
  readonly receive: (offset: number, frame: Uint8Array) => boolean;
  /** A frame with device control is in a slot, which is done with that: a software reset begins or ends. */
  readonly control: (frame: HostFrame) => void;
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

/** The command list of a port (AHCI 1.3.1 §5.3 to §5.6): which commands the drive has, the data of each, and how each ends. */
export class CommandList {
  readonly #host: ListHost;
  readonly #registers: PortRegisters;
  readonly #memory: PortMemory;
  /** Commands that the drive has, by slot. */
  readonly #running = new Map<number, Run>();
  /** An error has stopped the list until software has cleared ST. */
  #isHalted = false;
  /** Earlier commands are being dropped: their memory may still be written to. */
  #isAborting = false;
  /** Slots whose commands are to be carried out again after a load. */
  #again = 0;
  #isIssuing = false;
  /** Commands of earlier generations end unheard: the list was reset, or the drive is gone. */
  #generation = 0;
  /** A drive in reset takes no command. */
  isHeld = false;

  constructor(host: ListHost) {
    this.#host = host;
    this.#registers = host.registers;
    this.#memory = host.memory;
  }

  get isHalted(): boolean {
    return this.#isHalted;
  }

  /** Slots whose commands the drive has, or is to have again. */
  get busySlots(): number {
    return (this.#runningSlots | this.#again) >>> 0;
  }

  /** The state after power-on. The drive has no commands any more. */
  reset(): void {
    this.#generation++;
    this.#running.clear();
    this.#isHalted = false;
    this.#isAborting = false;
    this.#again = 0;
    this.isHeld = false;
  }

  /** A state was loaded. @param slots whose commands the drive had */
  load(slots: number, isHalted: boolean): void {
    this.reset();
    this.#isHalted = isHalted;
    this.#again = slots | 0;
  }

  /** The machine goes on: after a load, with the commands that the drive had. */
  resume(): void {
    const again = this.#again;
    this.#again = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((again & (1 << slot)) !== 0 && !this.#isHalted) this.#begin(slot, true);
    }
    this.issue();
  }

  /** Software has set ST. */
  start(): void {
    this.#isHalted = false;
    this.#registers.change(PORT.cmd, { set: PORT_CMD.listRunning });
    this.issue();
  }

  /** Software has cleared ST. CR is clear when nothing of the commands reaches memory any more. */
  stop(): void {
    this.#registers.set(PORT.ci, 0);
    this.#registers.set(PORT.sact, 0);
    this.abort(() => this.#stopped());
  }

  #stopped(): void {
    if (this.#registers.has(PORT_CMD.start)) return;
    this.#registers.change(PORT.cmd, { clear: PORT_CMD.listRunning });
    this.#registers.currentSlot = 0;
  }

  /** Drops the commands that the drive has. */
  abort(ended: () => void): void {
    this.#again = 0;
    const drive = this.#host.drive();
    // What was dropped before may not have ended.
    const isBusy = this.#running.size > 0 || this.#isAborting;
    if (drive !== null && isBusy) this.abortDrive(drive, ended);
    else ended();
  }

  /** The drive is gone: nothing that it was doing ends any more. */
  removed(): void {
    this.#generation++;
    this.#running.clear();
    this.#isAborting = false;
    this.#again = 0;
    this.isHeld = false;
    this.#stopped();
  }

  /** Has a drive drop whatever it does. */
  abortDrive(drive: AtaDrive, ended: () => void): void {
    this.#running.clear();
    this.#isAborting = true;
    const generation = this.#generation;
    drive.abort(() => {
      if (generation === this.#generation) this.#aborted(ended);
    });
  }

  #aborted(ended: () => void): void {
    this.#isAborting = false;
    ended();
    this.issue();
  }

  /** An error after which software has to clear ST, and begin again (§6.2.2). */
  fatal(bits: number): void {
    this.#isHalted = true;
    this.abort(() => {});
    this.#host.raise(bits);
  }

  /** Has the drive carry out commands of the list, in the order of their slots. */
  issue(): void {
    if (this.#isIssuing) return;
    this.#isIssuing = true;
    try {
      while (this.#canIssue()) {
        const ready = this.#registers.get(PORT.ci) & ~this.#runningSlots;
        if (ready === 0) break;
        const slot = 31 - Math.clz32(ready & -ready);
        if (!this.#begin(slot, false)) break;
      }
    } finally {
      this.#isIssuing = false;
    }
  }

  #canIssue(): boolean {
    if (this.#host.drive() === null || this.#registers.get(PORT.ssts) !== SSTS.established) return false;
    if (!this.#registers.has(PORT_CMD.listRunning) || !this.#registers.has(PORT_CMD.start)) return false;
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
    const header = this.#registers.address(PORT.clb, PORT.clbu) + slot * COMMAND_HEADER.size;
    if (!this.#memory.contains(header, COMMAND_HEADER.size, 'read')) {
      this.fatal(PORT_IRQ.hostBusFatal);
      return false;
    }
    const { guest } = this.#memory;
    const flags = guest.readU32(header);
    const low = guest.readU32(header + 8);
    const table = low - (low % 128) + guest.readU32(header + 12) * WORDS;
    if (!this.#memory.contains(table, COMMAND_TABLE.descriptors, 'read')) {
      this.fatal(PORT_IRQ.hostBusFatal);
      return false;
    }
    const frame = parseHostFrame(guest.readable(table, COMMAND_FIS).slice());
    if (frame === null || frame.multiplierPort !== 0) {
      this.fatal(PORT_IRQ.interfaceFatal);
      return false;
    }
    if (!frame.isCommand) {
      this.#registers.change(PORT.ci, { clear: 1 << slot });
      this.#host.control(frame);
      return true;
    }
    if (this.isHeld) return false;
    const { command, count } = frame.registers;
    const isQueued = command === COMMAND.readFpdma || command === COMMAND.writeFpdma;
    if (isQueued && (count >> 3) % SLOTS !== slot) {
      this.fatal(PORT_IRQ.interfaceFatal);
      return false;
    }
    // Those that are not queued wait for the end of those that are.
    if (!isQueued && this.#running.size > 0) return false;
    const descriptors = new Descriptors(guest, table + COMMAND_TABLE.descriptors, flags >>> 16);
    const run: Run = { slot, isQueued, header, table, descriptors, moved: 0, pioBlock: null };
    this.#running.set(slot, run);
    if (isQueued) {
      this.#registers.change(PORT.ci, { clear: 1 << slot });
      if (!again) this.#registers.change(PORT.sact, { set: 1 << slot });
    } else {
      this.#registers.currentSlot = slot;
      this.#registers.change(PORT.tfd, { clear: 0xff, set: STATUS.busy });
    }
    this.#host.drive()!.execute(frame.registers, this.#commandHost(run));
    return true;
  }

  #commandHost(run: Run): CommandHost {
    const isCurrent = () => this.#running.get(run.slot) === run;
    return {
      transfer: (phase, done) => {
        if (isCurrent()) this.#transfer(run, phase, done, isCurrent);
      },
      takePacket: then => {
        if (isCurrent()) then(this.#memory.guest.readable(run.table + COMMAND_TABLE.packet, 12).slice());
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
      this.fatal(PORT_IRQ.hostBusFatal);
      return;
    }
    const { segments, bytes, interrupts } = taken;
    const moved = () => {
      run.moved += bytes;
      if (interrupts) this.#host.raise(PORT_IRQ.descriptor);
    };
    if (phase.protocol === 'pio' && phase.direction === 'in') run.pioBlock = lastBlock(length, phase.block);
    // Answers to packets may be longer than what the host has asked for.
    const mayBeCut =
      phase.kind === 'bytes' && phase.direction === 'in' && this.#host.drive()?.kind === 'packet';
    if (bytes < length && !mayBeCut) {
      this.#host.raise(PORT_IRQ.overflow);
      done('memory');
      return;
    }
    if (phase.kind === 'bytes') {
      const access = phase.direction === 'in' ? 'write' : 'read';
      if (!this.#memory.containsAll(segments, access)) {
        this.fatal(PORT_IRQ.hostBusFatal);
        return;
      }
      if (phase.direction === 'in') this.#memory.scatter(segments, phase.bytes);
      const given = phase.direction === 'in' ? undefined : this.#memory.gather(segments);
      moved();
      done(null, given);
      return;
    }
    const port = this.#host.drive()?.port ?? null;
    if (port === null || !this.#memory.isBusMaster) {
      this.fatal(PORT_IRQ.hostBusFatal);
      return;
    }
    port.transfer(phase.direction === 'in' ? 'read' : 'write', phase.offset, segments, error => {
      if (!isCurrent()) return;
      if (error === 'memory') {
        this.fatal(PORT_IRQ.hostBusFatal);
        return;
      }
      if (error === null) moved();
      done(error);
    });
  }

  #complete(run: Run, result: ResultRegisters): void {
    this.#running.delete(run.slot);
    if (run.isQueued) this.#completeQueued(run, result);
    else this.#completeAlone(run, result);
    this.issue();
  }

  #completeQueued({ slot }: Run, { status, error }: ResultRegisters): void {
    const hasFailed = (status & STATUS.error) !== 0;
    const finished = hasFailed ? 0 : (1 << slot) >>> 0;
    this.#registers.set(PORT.tfd, (error << 8) | status);
    this.#registers.change(PORT.sact, { clear: finished });
    if (!this.#host.receive(RECEIVED.setDeviceBits, setDeviceBitsFrame(status, error, finished))) return;
    if (hasFailed) {
      // The drive drops the others, of which PxSACT tells (Serial ATA 3.0 §13.6).
      this.fatal(PORT_IRQ.setDeviceBits | PORT_IRQ.taskFileError);
      return;
    }
    this.#host.raise(PORT_IRQ.setDeviceBits);
  }

  #completeAlone(run: Run, result: ResultRegisters): void {
    const hasFailed = (result.status & STATUS.error) !== 0;
    this.#registers.set(PORT.tfd, (result.error << 8) | result.status);
    if (!this.#memory.contains(run.header + 4, 4, 'write')) {
      this.fatal(PORT_IRQ.hostBusFatal);
      return;
    }
    this.#memory.guest.writeU32(run.header + 4, run.moved);
    // Data to the host by PIO ends with the frame that announces it; all else with a register frame.
    const isPioOnly = run.pioBlock !== null && !hasFailed && this.#host.drive()?.kind === 'disk';
    if (run.pioBlock !== null) {
      const setup = { toHost: true, length: run.pioBlock, endStatus: result.status };
      const frame = pioSetupFrame({ ...result, status: READY | STATUS.dataRequest }, setup);
      if (!this.#host.receive(RECEIVED.pioSetup, frame)) return;
    }
    if (!isPioOnly && !this.#host.receive(RECEIVED.register, registerFrame(result, true))) return;
    if (hasFailed) {
      this.#isHalted = true;
      this.#host.raise(PORT_IRQ.registerFis | PORT_IRQ.taskFileError);
      return;
    }
    this.#registers.change(PORT.ci, { clear: 1 << run.slot });
    const pio = run.pioBlock === null ? 0 : PORT_IRQ.pioSetup;
    this.#host.raise(pio | (isPioOnly ? 0 : PORT_IRQ.registerFis));
  }
}

/** Bytes of the last block of PIO. */
function lastBlock(length: number, block: number): number {
  return length % block || Math.min(block, length);
}
