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

/** The port as its command list sees it. */
export type ListHost = {
  readonly registers: PortRegisters;
  readonly memory: PortMemory;
  readonly drive: () => AtaDrive | null;
  /** Sets bits of PxIS. */
  readonly raise: (bits: number) => void;
  /** Writes a frame from the drive to memory. @returns whether it succeeded; if not, an error has stopped the list */
  readonly receive: (offset: number, frame: Uint8Array) => boolean;
  /** A slot's frame is device control, which completes the slot: a software reset begins or ends. */
  readonly control: (frame: HostFrame) => void;
};

/** A command that the drive is carrying out. */
type Run = {
  readonly slot: number;
  readonly isQueued: boolean;
  /** Guest-physical address of its header. */
  readonly header: number;
  readonly table: number;
  readonly descriptors: Descriptors;
  /** Bytes moved so far. */
  moved: number;
  /** The last data that the drive has returned by PIO. */
  pioBlock: number | null;
};

/**
 * The command list of a port (AHCI 1.3.1 §5.3 to §5.6): the commands that the drive is carrying out, the data of each,
 * and how each ends.
 */
export class CommandList {
  readonly #host: ListHost;
  readonly #registers: PortRegisters;
  readonly #memory: PortMemory;
  /** Commands that the drive is carrying out, by slot. */
  readonly #running = new Map<number, Run>();
  /** An error has stopped the list until software clears ST. */
  #isHalted = false;
  /** Earlier commands are being dropped: their memory may still be written to. */
  #isAborting = false;
  /** Slots whose commands must be repeated after a load. */
  #again = 0;
  #isIssuing = false;
  /** Completions of commands from earlier generations are ignored: the list was reset, or the drive is gone. */
  #generation = 0;
  /** Whether the drive is in reset, and takes no command. */
  isHeld = false;

  constructor(host: ListHost) {
    this.#host = host;
    this.#registers = host.registers;
    this.#memory = host.memory;
  }

  get isHalted(): boolean {
    return this.#isHalted;
  }

  /** Slots whose commands the drive is carrying out, or will repeat. */
  get busySlots(): number {
    return (this.#runningSlots | this.#again) >>> 0;
  }

  /** Restores the power-on state. The drive has no commands any more. */
  reset(): void {
    this.#generation++;
    this.#running.clear();
    this.#isHalted = false;
    this.#isAborting = false;
    this.#again = 0;
    this.isHeld = false;
  }

  /** Called when a state was loaded. @param slots whose commands the drive was carrying out */
  load(slots: number, isHalted: boolean): void {
    this.reset();
    this.#isHalted = isHalted;
    this.#again = slots | 0;
  }

  /** The machine continues; after a load, the drive's commands are repeated. */
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

  /** Software has cleared ST. CR is cleared once the commands no longer access memory. */
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

  /** Drops the drive's commands. */
  abort(ended: () => void): void {
    this.#again = 0;
    const drive = this.#host.drive();
    // Commands that were dropped before may not have ended.
    const isBusy = this.#running.size > 0 || this.#isAborting;
    if (drive !== null && isBusy) this.abortDrive(drive, ended);
    else ended();
  }

  /** The drive is gone: its commands never complete. */
  removed(): void {
    this.#generation++;
    this.#running.clear();
    this.#isAborting = false;
    this.#again = 0;
    this.isHeld = false;
    this.#stopped();
  }

  /** Makes a drive drop all of its commands. */
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

  /** An error after which software must clear ST and start over (§6.2.2). */
  fatal(bits: number): void {
    this.#isHalted = true;
    this.abort(() => {});
    this.#host.raise(bits);
  }

  /** Gives the drive commands of the list, in the order of their slots. */
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

  /**
   * @param again it was begun before the machine was saved. @returns whether the drive has it; if not, it waits, or an
   * error has stopped the list
   */
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
    // Non-queued commands wait for queued ones to end.
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
    // A packet command may return more than the host has asked for.
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
      // The drive drops the other commands, which PxSACT shows (Serial ATA 3.0 §13.6).
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
    // PIO data to the host ends with the frame that announces it; everything else with a register frame.
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

/** The size of the last PIO block in bytes. */
function lastBlock(length: number, block: number): number {
  return length % block || Math.min(block, length);
}
