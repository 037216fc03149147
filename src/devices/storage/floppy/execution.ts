import type { DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import type { DmaChannel } from '../isa-dma.ts';
import { type FloppyFormat, SECTOR_BYTES } from './media.ts';
import { type CommandName, HEAD, SECTOR_CODE, SKIP, ST0, ST1, ST2 } from './registers.ts';
import { type SectorId, SectorTransfer } from './transfer.ts';
import type { FloppyUnit } from './unit.ts';

/** The commands that transfer data. */
export type TransferName = Extract<
  CommandName,
  'readData' | 'readDeletedData' | 'readTrack' | 'verify' | 'writeData' | 'writeDeletedData' | 'formatTrack'
>;

const NAMES: ReadonlySet<CommandName> = new Set<TransferName>([
  'readData',
  'readDeletedData',
  'readTrack',
  'verify',
  'writeData',
  'writeDeletedData',
  'formatTrack',
]);
const WRITES: ReadonlySet<TransferName> = new Set(['writeData', 'writeDeletedData', 'formatTrack']);

export function isTransfer(name: CommandName | null): name is TransferName {
  return name !== null && NAMES.has(name);
}

/** The result of a command: status registers 0 to 2, and the sector in the result; null for that of its parameters. */
export type FloppyOutcome = {
  readonly st0: number;
  readonly st1: number;
  readonly st2: number;
  readonly id: SectorId | null;
};

type Task = {
  readonly name: TransferName;
  /** The first byte of the command, and its parameters. */
  readonly command: Uint8Array;
  readonly drive: FloppyUnit;
  readonly format: FloppyFormat;
  /** Null for FORMAT TRACK. */
  readonly transfer: SectorTransfer | null;
  /** `host`: data moves between buffer and host; `medium`: between buffer and medium. */
  stage: 'host' | 'medium';
  readonly buffer: Uint8Array;
  /** Bytes moved from or to the host. */
  at: number;
  /** The host has ended the transfer (terminal count). */
  isEnded: boolean;
};

export type FloppyExecutionOptions = {
  readonly channel: DmaChannel;
  readonly usesDma: () => boolean;
  /** Whether requests reach the DMA controller. */
  readonly isGateOpen: () => boolean;
  /** The host must read or write the FIFO. */
  readonly onHost: () => void;
  readonly onEnd: (outcome: FloppyOutcome) => void;
};

/** The bytes per sector in the data of FORMAT TRACK: cylinder, head, number and size. */
const FORMAT_ENTRY = 4;

/** The execution phase of a command that transfers data, by DMA or through the FIFO. */
export class FloppyExecution {
  readonly #options: FloppyExecutionOptions;
  #task: Task | null = null;

  constructor(options: FloppyExecutionOptions) {
    this.#options = options;
  }

  /** How the host may access the FIFO; null if it may not now. */
  get byFifo(): 'read' | 'write' | null {
    const task = this.#task;
    if (task === null || task.stage !== 'host' || this.#options.usesDma()) return null;
    return WRITES.has(task.name) ? 'write' : 'read';
  }

  /** Begins a command, which may end immediately. @param rate the selected data rate */
  begin(name: TransferName, command: Uint8Array, drive: FloppyUnit | null, rate: number): void {
    const format = drive?.format;
    if (!drive || !format || format.rate !== rate) {
      this.#end(ST0.abnormal, { st1: ST1.missingAddressMark });
      return;
    }
    if (WRITES.has(name) && drive.isWriteProtected) {
      this.#end(ST0.abnormal, { st1: ST1.notWritable });
      return;
    }
    if (name === 'formatTrack') this.#beginFormat(command, drive, format);
    else this.#beginTransfer(name, command, drive, format);
  }

  #beginTransfer(
    name: Exclude<TransferName, 'formatTrack'>,
    command: Uint8Array,
    drive: FloppyUnit,
    format: FloppyFormat,
  ): void {
    const transfer = transferOf(name, command, format);
    // No sector has a deleted data mark: a controller that skips the others finds none.
    const skipsAll = name === 'readDeletedData' && (command[0]! & SKIP) !== 0;
    if (transfer.sectors === 0 || skipsAll) {
      this.#end(ST0.abnormal, { st1: ST1.noData });
      return;
    }
    drive.moveTo(command[2]!);
    const isWrite = WRITES.has(name);
    const buffer = new Uint8Array(bufferBytes(name, command, transfer));
    this.#task = {
      ...{ name, command, drive, format, transfer, buffer },
      ...{ stage: isWrite ? 'host' : 'medium', at: 0, isEnded: false },
    };
    if (isWrite) this.#meetHost();
    else this.#read(this.#task);
  }

  #beginFormat(command: Uint8Array, drive: FloppyUnit, format: FloppyFormat): void {
    const [, selected, size, sectors] = command;
    const head = selected! & HEAD ? 1 : 0;
    const fits = size === SECTOR_CODE && sectors! > 0 && sectors! <= format.sectors && head < format.heads;
    if (!fits || drive.cylinder >= format.cylinders) {
      this.#end(ST0.abnormal, { st1: ST1.noData });
      return;
    }
    this.#task = {
      ...{ name: 'formatTrack', command, drive, format, transfer: null },
      buffer: new Uint8Array(bufferBytes('formatTrack', command, null)),
      ...{ stage: 'host', at: 0, isEnded: false },
    };
    this.#meetHost();
  }

  /** The DMA channel, or its gate, may have become ready. */
  offer(): void {
    if (this.#task?.stage === 'host' && this.#options.usesDma()) this.#meetHost();
  }

  /** The next byte for the host. */
  readFifo(): number {
    const task = this.#task;
    if (task === null || this.byFifo !== 'read') return 0;
    const byte = task.buffer[task.at++]!;
    if (task.at === task.buffer.length) this.#finish(task);
    return byte;
  }

  writeFifo(value: number): void {
    const task = this.#task;
    if (task === null || this.byFifo !== 'write') return;
    task.buffer[task.at++] = value;
    if (task.at === task.buffer.length) this.#write(task);
  }

  /** Drops the command. */
  abort(): void {
    this.#options.channel.onReady = null;
    this.#task?.drive.cancel();
    this.#task = null;
  }

  /** The medium has been removed. */
  lose(): void {
    if (this.#task === null) return;
    this.abort();
    this.#end(ST0.abnormal, { st1: ST1.missingAddressMark });
  }

  /** Moves the data from or to the host. */
  #meetHost(): void {
    const task = this.#task!;
    const { channel, usesDma, isGateOpen, onHost } = this.#options;
    if (!usesDma()) {
      onHost();
      return;
    }
    if (!isGateOpen() || !channel.isReady) {
      channel.onReady = () => this.offer();
      return;
    }
    channel.onReady = null;
    const isWrite = WRITES.has(task.name);
    const { bytes, ended } = isWrite ? channel.fromMemory(task.buffer) : channel.toMemory(task.buffer);
    task.at = bytes;
    task.isEnded = ended;
    if (isWrite) this.#write(task);
    else this.#finish(task);
  }

  /** Reads everything that the command may return. */
  #read(task: Task): void {
    const { drive, transfer, buffer } = task;
    this.#eachRun(
      task,
      buffer.length,
      (lba, part, done) => drive.read(lba, part, done),
      () => {
        task.stage = 'host';
        if (task.name === 'verify') {
          task.at = buffer.length;
          task.isEnded = !transfer!.endsMissing;
          this.#finish(task);
        } else {
          this.#meetHost();
        }
      },
    );
  }

  /** Writes the host's data; the missing part of the last sector is zero. */
  #write(task: Task): void {
    task.stage = 'medium';
    if (task.name === 'formatTrack') {
      this.#format(task);
      return;
    }
    const length = Math.ceil(task.at / SECTOR_BYTES) * SECTOR_BYTES;
    const { drive } = task;
    this.#eachRun(
      task,
      length,
      (lba, part, done) => drive.write(lba, part, done),
      () => this.#finish(task),
    );
  }

  /** Fills the track, if the sectors match those of the medium. */
  #format(task: Task): void {
    const { drive, format, command, buffer } = task;
    const [, selected, , sectors, , filler] = command;
    const head = selected! & HEAD ? 1 : 0;
    const cylinder = Math.floor(drive.cylinder);
    const hasAll = Array.from({ length: sectors! }, (_, index) =>
      buffer.subarray(index * FORMAT_ENTRY),
    ).every(
      entry => entry[1] === head && entry[2]! >= 1 && entry[2]! <= format.sectors && entry[3] === SECTOR_CODE,
    );
    if (!hasAll || task.at < buffer.length) {
      this.#end(ST0.abnormal, { st1: ST1.noData });
      return;
    }
    const lba = (cylinder * format.heads + head) * format.sectors;
    const content = new Uint8Array(format.sectors * SECTOR_BYTES).fill(filler!);
    drive.write(lba, content, error => {
      if (this.#task !== task) return;
      if (error === null) this.#end(0, {});
      else this.#fail(error);
    });
  }

  /**
   * Calls `access` to move the first `length` bytes of the buffer to or from the medium, in runs of consecutive
   * sectors.
   */
  #eachRun(
    task: Task,
    length: number,
    access: (lba: number, part: Uint8Array, done: (error: DiskPortError | null) => void) => void,
    then: () => void,
  ): void {
    const transfer = task.transfer!;
    const step = (index: number, at: number) => {
      const run = transfer.runs[index];
      if (run === undefined || at >= length) {
        then();
        return;
      }
      const part = task.buffer.subarray(at, Math.min(length, at + run.count * SECTOR_BYTES));
      access(transfer.lba(run.first), part, error => {
        if (this.#task !== task) return;
        if (error === null) step(index + 1, at + part.length);
        else this.#fail(error);
      });
    };
    step(0, 0);
  }

  #fail(error: DiskPortError): void {
    if (error === 'readonly') this.#end(ST0.abnormal, { st1: ST1.notWritable });
    else this.#end(ST0.abnormal, { st1: ST1.dataError, st2: ST2.dataError });
  }

  /** All data has been moved. */
  #finish(task: Task): void {
    const transfer = task.transfer!;
    const last = transfer.at(Math.ceil(task.at / SECTOR_BYTES) - 1);
    const st2 = task.name === 'readDeletedData' ? ST2.controlMark : 0;
    const isWhole = task.isEnded || task.name === 'readDeletedData';
    if (isWhole) this.#end(0, { st2, id: transfer.after(last) });
    else if (transfer.endsMissing)
      this.#end(ST0.abnormal, { st1: ST1.noData, st2, id: { ...last, sector: last.sector + 1 } });
    else this.#end(ST0.abnormal, { st1: ST1.endOfCylinder, st2, id: last });
  }

  #end(st0: number, { st1 = 0, st2 = 0, id = null }: Partial<Omit<FloppyOutcome, 'st0'>>): void {
    this.#options.channel.onReady = null;
    this.#task = null;
    this.#options.onEnd({ st0, st1, st2, id });
  }

  save(): DeviceState | null {
    const task = this.#task;
    if (task === null) return null;
    const { stage, buffer, at, isEnded } = task;
    return { stage, buffer: buffer.slice(), at, isEnded };
  }

  /** What `save` saved, with its command. @throws DeviceStateError */
  load(state: DeviceState, command: Uint8Array, name: TransferName, drive: FloppyUnit | null): void {
    const format = drive?.format;
    if (!drive || !format) throw new DeviceStateError('execution', 'command that its drive can execute');
    const transfer = name === 'formatTrack' ? null : transferOf(name, command, format);
    const buffer = bytesOf(state, 'buffer');
    if (buffer.length === 0 || buffer.length !== bufferBytes(name, command, transfer))
      throw new DeviceStateError('buffer', 'data of the command');
    const { stage } = state;
    if (stage !== 'host' && stage !== 'medium') throw new DeviceStateError('stage', 'stage');
    this.#task = {
      ...{ name, command, drive, format, transfer, stage },
      buffer: buffer.slice(),
      at: numberOf(state, 'at', buffer.length),
      isEnded: booleanOf(state, 'isEnded'),
    };
  }

  /** Continues with the loaded command. */
  goOn(): void {
    const task = this.#task;
    if (task === null) return;
    if (task.stage === 'host') {
      if (this.#options.usesDma()) this.#meetHost();
    } else if (WRITES.has(task.name)) this.#write(task);
    else this.#read(task);
  }
}

function transferOf(name: TransferName, command: Uint8Array, format: FloppyFormat): SectorTransfer {
  if (name !== 'readTrack') return new SectorTransfer(command, format);
  // It begins after the index hole.
  const fromFirst = command.slice();
  fromFirst[4] = 1;
  return new SectorTransfer(fromFirst, format);
}

/** The bytes that move between host and controller. */
function bufferBytes(name: TransferName, command: Uint8Array, transfer: SectorTransfer | null): number {
  if (transfer === null) return command[3]! * FORMAT_ENTRY;
  // A command that finds the other kind of mark ends with that sector.
  return (name === 'readDeletedData' ? Math.min(1, transfer.sectors) : transfer.sectors) * SECTOR_BYTES;
}
