import type { Device, DeviceState, InterruptLine } from '../../device.ts';
import type { ByteRegisters } from '../../legacy/byte-wide.ts';
import { booleanOf, numberOf, stateOf } from '../../state.ts';
import type { IsaDma } from '../isa-dma.ts';
import { CommandFifo } from './command-fifo.ts';
import { FloppyExecution, type FloppyOutcome, type TransferName } from './execution.ts';
import { fixedBytesOf } from './fixed-bytes.ts';
import {
  type CommandName,
  DIR_DISK_CHANGED,
  DOR,
  DRIVE,
  DRIVE_SPECIFICATION,
  DRIVES,
  DSR,
  HEAD,
  MSR,
  REG,
  SECTOR_CODE,
  ST0,
  ST1,
  ST3,
} from './registers.ts';
import { Seeks } from './seeks.ts';
import type { FloppyUnit } from './unit.ts';

const ENHANCED_CONTROLLER = 0x90;
/** A 64-pin 82078. */
const PART_ID = 0x41;
const SPECIFY_NON_DMA = 0x01;
/** Parameters of CONFIGURE (§5.2.7). */
const CONFIGURE = { impliedSeek: 0x40, noFifo: 0x20, noPolling: 0x10, threshold: 0x0f } as const;
const CONFIGURED_BY_RESET = CONFIGURE.noFifo;
const PERPENDICULAR_OVERWRITE = 0x80;
const PERPENDICULAR_DRIVES = 0x3c;
const TOWARDS_SPINDLE = 0x40;

export type FdcOptions = {
  readonly name: string;
  readonly line: InterruptLine;
  readonly dma: IsaDma;
  /** The number of its DMA channel. */
  readonly channel: number;
};

/**
 * A floppy disk controller: an 82077AA as in a PC-AT, with the registers of an 82078 that software checks. Head
 * movement takes no time, and a transfer finds its cylinder wherever the heads are, as in QEMU: firmware does not
 * double-step for media with 40 cylinders.
 */
export class Fdc implements Device, ByteRegisters {
  readonly name: string;
  readonly #line: InterruptLine;
  readonly #dma: IsaDma;
  readonly #drives: (FloppyUnit | null)[] = new Array<null>(DRIVES).fill(null);
  readonly #execution: FloppyExecution;
  #dor = 0;
  #tapeDrive = 0;
  #rate = 0;
  readonly #fifo = new CommandFifo();
  /** A command has ended, or the FIFO must be read or written. */
  #dataInterrupt = false;
  /** A seek has ended, or drives were polled. */
  #senseInterrupt = false;
  readonly #seeks = new Seeks(on => this.#signalSense(on));
  readonly #specified = new Uint8Array(2);
  #configured: number = CONFIGURED_BY_RESET;
  #precompensation = 0;
  #locked = false;
  #perpendicular = 0;
  #lastSector = 0;
  /** The sectors that have passed under the heads. */
  #passed = 0;
  /** Whether a loaded command must be continued. */
  #goesOn = false;

  constructor({ name, line, dma, channel }: FdcOptions) {
    this.name = name;
    this.#line = line;
    this.#dma = dma;
    this.#execution = new FloppyExecution({
      channel: dma.channel(channel),
      usesDma: () => (this.#specified[1]! & SPECIFY_NON_DMA) === 0,
      isGateOpen: () => (this.#dor & DOR.dmaGate) !== 0,
      onHost: () => this.#signalData(true),
      onEnd: outcome => this.#ended(outcome),
    });
  }

  connect(unit: number, drive: FloppyUnit): void {
    this.#drives[unit] = drive;
    drive.onMediumChanged = () => {
      if (this.#fifo.phase === 'execution' && this.#selected === drive) this.#execution.lose();
    };
  }

  disconnect(unit: number): void {
    const drive = this.#drives[unit];
    if (!drive) return;
    drive.onMediumChanged = null;
    this.#drives[unit] = null;
  }

  readByte(offset: number): number {
    switch (offset) {
      case REG.digitalOutput:
        return this.#dor;
      case REG.tapeDrive:
        return this.#tapeDrive;
      case REG.mainStatus:
        return this.#mainStatus;
      case REG.fifo:
        return this.#readFifo();
      case REG.digitalInput:
        return this.#drives[this.#dor & DOR.drive]?.isChanged ? DIR_DISK_CHANGED : 0;
      default:
        return 0xff;
    }
  }

  writeByte(offset: number, value: number): void {
    switch (offset) {
      case REG.digitalOutput:
        this.#writeDigitalOutput(value);
        break;
      case REG.tapeDrive:
        this.#tapeDrive = value & 0x3;
        break;
      case REG.mainStatus:
        this.#rate = value & DSR.rate;
        if (value & DSR.reset) this.#resetByDriver();
        break;
      case REG.fifo:
        this.#writeFifo(value);
        break;
      case REG.digitalInput:
        this.#rate = value & DSR.rate;
        break;
    }
  }

  get #isHeld(): boolean {
    return (this.#dor & DOR.notReset) === 0;
  }

  get #mainStatus(): number {
    if (this.#isHeld) return 0;
    const { phase, received } = this.#fifo;
    const seeking = this.#seeks.busy;
    if (phase === 'result') return MSR.ready | MSR.toHost | MSR.commandBusy | seeking;
    if (phase === 'command') return MSR.ready | seeking | (received > 0 ? MSR.commandBusy : 0);
    const { byFifo } = this.#execution;
    if (byFifo === null) return MSR.commandBusy | seeking;
    return MSR.ready | MSR.nonDma | MSR.commandBusy | seeking | (byFifo === 'read' ? MSR.toHost : 0);
  }

  #writeDigitalOutput(value: number): void {
    const wasHeld = this.#isHeld;
    this.#dor = value;
    if (this.#isHeld && !wasHeld) this.#stop();
    else if (!this.#isHeld && wasHeld) this.#resetByDriver();
    this.#updateLine();
    this.#execution.offer();
  }

  /** A reset by the DOR or the DSR (§3.3): keeps what LOCK protects. */
  #resetByDriver(): void {
    this.#stop();
    this.#seeks.cylinders.fill(0);
    if (!this.#locked) {
      this.#configured = CONFIGURED_BY_RESET;
      this.#precompensation = 0;
    }
    this.#configured &= ~(CONFIGURE.impliedSeek | CONFIGURE.noPolling);
    this.#perpendicular &= PERPENDICULAR_DRIVES;
    if (this.#isHeld) return;
    this.#seeks.polled();
  }

  /** Aborts the command. */
  #stop(): void {
    this.#execution.abort();
    this.#fifo.awaitCommand();
    this.#dataInterrupt = false;
    this.#seeks.stop();
  }

  #readFifo(): number {
    if (this.#isHeld) return 0;
    const { phase } = this.#fifo;
    if (phase === 'command') return 0;
    this.#signalData(false);
    return phase === 'execution' ? this.#execution.readFifo() : this.#fifo.take();
  }

  #writeFifo(value: number): void {
    const { phase } = this.#fifo;
    if (this.#isHeld || phase === 'result') return;
    if (phase === 'execution') {
      this.#signalData(false);
      this.#execution.writeFifo(value);
      return;
    }
    const name = this.#fifo.give(value);
    if (name === null) this.#answer(ST0.invalid);
    else if (name !== undefined) this.#carryOut(name);
  }

  #carryOut(name: CommandName): void {
    const [first = 0, second = 0, third = 0, fourth = 0] = this.#fifo.command;
    if (name !== 'senseInterruptStatus') this.#seeks.forgetPolls();
    switch (name) {
      case 'specify':
        this.#specified.set([second, third]);
        this.#fifo.awaitCommand();
        break;
      case 'senseDriveStatus':
        this.#answer(this.#driveStatus(second));
        break;
      case 'senseInterruptStatus':
        this.#answer(...this.#seeks.senseInterrupt());
        break;
      case 'recalibrate':
        this.#seek(second & DRIVE, 0);
        break;
      case 'seek':
        this.#seek(second, third);
        break;
      case 'relativeSeek': {
        const steps = first & TOWARDS_SPINDLE ? third : -third;
        this.#seek(second, (this.#seeks.cylinders[second & DRIVE]! + steps) & 0xff);
        break;
      }
      case 'version':
        this.#answer(ENHANCED_CONTROLLER);
        break;
      case 'dumpRegisters':
        this.#answer(...this.#registers);
        break;
      case 'perpendicularMode': {
        const drives = second & PERPENDICULAR_OVERWRITE ? second : this.#perpendicular;
        this.#perpendicular = (drives & PERPENDICULAR_DRIVES) | (second & 0x3);
        this.#fifo.awaitCommand();
        break;
      }
      case 'configure':
        this.#configured = third & 0x7f;
        this.#precompensation = fourth;
        this.#fifo.awaitCommand();
        break;
      case 'lock':
        this.#locked = (first & 0x80) !== 0;
        this.#answer(this.#locked ? 0x10 : 0);
        break;
      case 'powerdownMode':
        this.#answer(second);
        break;
      case 'partId':
        this.#answer(PART_ID);
        break;
      case 'option':
        this.#fifo.awaitCommand();
        break;
      case 'driveSpecification':
        if (this.#fifo.command[this.#fifo.received - 1]! & DRIVE_SPECIFICATION.noResult)
          this.#fifo.awaitCommand();
        else this.#answer(0, 0, 0, 0);
        break;
      case 'readId':
        this.#readId();
        break;
      default:
        this.#begin(name);
    }
  }

  #answer(...bytes: number[]): void {
    this.#fifo.answer(bytes);
  }

  #driveStatus(selected: number): number {
    const drive = this.#drives[selected & DRIVE];
    const track0 = drive && drive.cylinder === 0 ? ST3.track0 : 0;
    const writeProtected = drive?.isWriteProtected ? ST3.writeProtected : 0;
    return ST3.fixed | track0 | writeProtected | (selected & (HEAD | DRIVE));
  }

  /** @param selected drive and head */
  #seek(selected: number, cylinder: number): void {
    const unit = selected & DRIVE;
    const drive = this.#drives[unit];
    drive?.moveTo(cylinder);
    // Without a drive, no signal reports that the heads have reached track 0.
    const failed = !drive && cylinder === 0 ? ST0.abnormal | ST0.equipmentCheck : 0;
    this.#fifo.awaitCommand();
    this.#seeks.ended(unit, cylinder, ST0.seekEnd | failed | (selected & (HEAD | DRIVE)));
  }

  get #registers(): number[] {
    return [
      ...this.#seeks.cylinders,
      ...this.#specified,
      this.#lastSector,
      (this.#locked ? 0x80 : 0) | this.#perpendicular,
      this.#configured,
      this.#precompensation,
    ];
  }

  get #selected(): FloppyUnit | null {
    return this.#drives[this.#fifo.command[1]! & DRIVE]!;
  }

  /** The next sector that passes under the head. */
  #readId(): void {
    const selected = this.#fifo.command[1]!;
    const drive = this.#selected;
    const head = selected & HEAD ? 1 : 0;
    const format = drive?.format;
    if (!drive || !format || format.rate !== this.#rate || head >= format.heads) {
      this.#ended({ ...{ st0: ST0.abnormal, st1: ST1.missingAddressMark, st2: 0 }, id: null });
      return;
    }
    const sector = (this.#passed % format.sectors) + 1;
    this.#passed = sector;
    const cylinder = Math.min(drive.cylinder, format.cylinders - 1);
    this.#ended({ ...{ st0: 0, st1: 0, st2: 0 }, id: { cylinder, head, sector } });
  }

  #begin(name: TransferName): void {
    const command = this.#fifo.execute();
    this.#lastSector = command[name === 'formatTrack' ? 3 : 6]!;
    if (name !== 'formatTrack') this.#seeks.cylinders[command[1]! & DRIVE] = command[2]!;
    this.#execution.begin(name, command, this.#selected, this.#rate);
  }

  /** The seven result bytes of a read, write or format command (§3.2). */
  #ended({ st0, st1, st2, id }: FloppyOutcome): void {
    const [, selected = 0, cylinder = 0, head = 0, sector = 0] = this.#fifo.command;
    const at = id ?? { cylinder, head, sector };
    const place = [at.cylinder, at.head, at.sector, SECTOR_CODE];
    this.#answer(st0 | (selected & (HEAD | DRIVE)), st1, st2, ...place.map(byte => byte & 0xff));
    this.#signalData(true);
  }

  #signalData(on: boolean): void {
    this.#dataInterrupt = on;
    this.#updateLine();
  }

  #signalSense(on: boolean): void {
    this.#senseInterrupt = on;
    this.#updateLine();
  }

  #updateLine(): void {
    this.#line.set((this.#dataInterrupt || this.#senseInterrupt) && (this.#dor & DOR.dmaGate) !== 0);
  }

  reset(): void {
    this.#goesOn = false;
    this.#stop();
    this.#dma.reset();
    this.#dor = 0;
    this.#tapeDrive = 0;
    this.#rate = 0;
    this.#fifo.reset();
    this.#seeks.cylinders.fill(0);
    this.#specified.fill(0);
    this.#configured = CONFIGURED_BY_RESET;
    this.#precompensation = 0;
    this.#locked = false;
    this.#perpendicular = 0;
    this.#lastSector = 0;
    this.#passed = 0;
    this.#updateLine();
  }

  /** Its drives stop their own work. */
  resume(): void {
    if (!this.#goesOn) return;
    this.#goesOn = false;
    this.#execution.goOn();
  }

  save(): DeviceState {
    return {
      dma: this.#dma.save(),
      dor: this.#dor,
      tapeDrive: this.#tapeDrive,
      rate: this.#rate,
      ...this.#fifo.save(),
      dataInterrupt: this.#dataInterrupt,
      senseInterrupt: this.#senseInterrupt,
      ...this.#seeks.save(),
      specified: this.#specified.slice(),
      configured: this.#configured,
      precompensation: this.#precompensation,
      locked: this.#locked,
      perpendicular: this.#perpendicular,
      lastSector: this.#lastSector,
      passed: this.#passed,
      execution: this.#execution.save(),
    };
  }

  load(state: DeviceState): void {
    this.#execution.abort();
    this.#dma.load(stateOf(state, 'dma'));
    this.#dor = numberOf(state, 'dor', 0xff);
    this.#tapeDrive = numberOf(state, 'tapeDrive', 0x3);
    this.#rate = numberOf(state, 'rate', DSR.rate);
    this.#dataInterrupt = booleanOf(state, 'dataInterrupt');
    this.#senseInterrupt = booleanOf(state, 'senseInterrupt');
    this.#seeks.load(state);
    this.#specified.set(fixedBytesOf(state, 'specified', 2));
    this.#configured = numberOf(state, 'configured', 0x7f);
    this.#precompensation = numberOf(state, 'precompensation', 0xff);
    this.#locked = booleanOf(state, 'locked');
    this.#perpendicular = numberOf(state, 'perpendicular', PERPENDICULAR_DRIVES | 0x3);
    this.#lastSector = numberOf(state, 'lastSector', 0xff);
    this.#passed = numberOf(state, 'passed', 0xff);
    this.#loadCommand(state);
    this.#updateLine();
  }

  #loadCommand(state: DeviceState): void {
    const name = this.#fifo.load(state);
    this.#goesOn = name !== null;
    if (name === null) return;
    const command = this.#fifo.command.slice(0, this.#fifo.received);
    this.#execution.load(stateOf(state, 'execution'), command, name as TransferName, this.#selected);
  }

  close(): void {
    this.#execution.abort();
    this.#line.release();
  }
}
