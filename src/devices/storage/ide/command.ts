import type { DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import type { GuestMemory } from '../../guest-memory.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type {
  AtaDrive,
  CommandHost,
  CommandRegisters,
  DataPhase,
  PhaseDone,
  ResultRegisters,
} from '../ata/ata-drive.ts';
import type { BusMaster, Regions } from './bus-master.ts';

/** The bytes of one request to the port while the host reads or writes the data register. */
const CHUNK = 128 * 1024;
const SECTOR = 512;
const PACKET_BYTES = 12;
const NOTHING = new Uint8Array(0);

/** A command's view of its channel. */
export interface CommandChannel {
  readonly memory: GuestMemory;
  readonly busMaster: BusMaster;
  /**
   * The host must move `bytes` through the data register, or with `packet` those of a command packet.
   * @param interrupts whether the drive interrupts the host
   */
  requestData(
    direction: 'in' | 'out',
    bytes: number,
    options: { packet: boolean; interrupts: boolean },
  ): void;
  /** The drive is busy again. */
  takeBusy(): void;
  complete(result: ResultRegisters): void;
}

/** A command that a drive carries out, with its data: the transport between drive, data register and bus master. */
export class IdeCommand implements CommandHost {
  readonly registers: CommandRegisters;
  readonly drive: AtaDrive;
  readonly #channel: CommandChannel;
  /** The part of the packet that the host has written; null if none was requested. */
  #packet: Uint8Array | null = null;
  #packetBytes = 0;
  #takePacket: ((packet: Uint8Array) => void) | null = null;
  #phase: DataPhase | null = null;
  #done: PhaseDone | null = null;
  /** A part of the data, from `#start` on. */
  #buffer: Uint8Array = NOTHING;
  #start = 0;
  /** Bytes of the phase that have been moved through the data register. */
  #passed = 0;
  /** The end of the block that the host is moving; at most `#passed` if there is none. */
  #blockEnd = 0;
  /** All data of the phase has been moved. */
  #isMoved = false;
  /** DMA that waits for the bus master, or that is in progress. */
  #dma: 'waiting' | 'moving' | null = null;
  /** The position when its state was saved, until it is reached again. */
  #loaded: Loaded | null = null;

  constructor(registers: CommandRegisters, drive: AtaDrive, channel: CommandChannel) {
    this.registers = registers;
    this.drive = drive;
    this.#channel = channel;
  }

  begin(): void {
    this.drive.execute(this.registers, this);
  }

  takePacket(then: (packet: Uint8Array) => void): void {
    if (this.#packet !== null && this.#packetBytes === PACKET_BYTES) {
      // Loaded with the state: the host has written it already.
      then(this.#packet);
      return;
    }
    this.#takePacket = then;
    // Loaded: it has been requested.
    if (this.#packet !== null) return;
    this.#packet = new Uint8Array(PACKET_BYTES);
    this.#channel.requestData('out', PACKET_BYTES, { packet: true, interrupts: false });
  }

  transfer(phase: DataPhase, done: PhaseDone): void {
    this.#phase = phase;
    this.#done = done;
    this.#passed = 0;
    this.#start = 0;
    this.#buffer = NOTHING;
    this.#isMoved = false;
    const loaded = this.#loaded;
    this.#loaded = null;
    if (loaded?.isMoved && loaded.buffer.length === (isTaken(phase) ? lengthOf(phase) : 0)) {
      this.#buffer = loaded.buffer;
      this.#end(null);
    } else if (phase.protocol !== 'pio') {
      this.#dma = 'waiting';
      this.offerDma();
    } else if (loaded === null || !this.#resume(phase, loaded)) {
      this.#nextBlock();
    }
  }

  /** Continues as before. @returns whether the host is moving a block now */
  #resume(phase: DataPhase, { buffer, passed, isOffered }: Loaded): boolean {
    const length = lengthOf(phase);
    const isIn = phase.direction === 'in';
    const first = isIn ? passed : passed - buffer.length;
    // A state that was not saved like this starts over.
    if (passed > length || first < 0 || (isIn && passed + buffer.length > length)) return false;
    this.#passed = passed;
    if (isIn) {
      this.#start = passed;
      this.#buffer = buffer;
      this.#blockEnd = passed + buffer.length;
    } else {
      this.#newChunk(phase, first);
      this.#buffer.set(buffer.subarray(0, this.#buffer.length));
      this.#blockEnd = Math.min(length, (Math.floor(passed / blockOf(phase)) + 1) * blockOf(phase));
    }
    const moves = isOffered && passed < Math.min(this.#blockEnd, this.#start + this.#buffer.length);
    if (!moves) this.#blockEnd = 0;
    return moves;
  }

  complete(result: ResultRegisters): void {
    this.#channel.complete(result);
  }

  /** The bus master has been started. */
  offerDma(): void {
    const { busMaster } = this.#channel;
    if (this.#dma !== 'waiting' || !busMaster.isStarted) return;
    const phase = this.#phase!;
    const regions = busMaster.regions(lengthOf(phase));
    if (regions === null) {
      // The drive waits for data until it is reset, as when the bus master accepts no more.
      busMaster.failed();
      return;
    }
    this.#dma = 'moving';
    if (phase.kind === 'disk') {
      const access = phase.direction === 'in' ? 'read' : 'write';
      this.drive.port!.transfer(access, phase.offset, regions.segments, error => {
        if (this.#phase === phase) this.#dmaEnded(regions, error);
      });
    } else {
      this.#dmaBytes(phase, regions);
    }
  }

  /** Moves data that the drive has, or will receive, in its own memory. */
  #dmaBytes(phase: DataPhase & { readonly kind: 'bytes' }, regions: Regions): void {
    const { memory } = this.#channel;
    const isIn = phase.direction === 'in';
    const isMemory = regions.segments.every(({ address, length }) =>
      memory.contains(address, length, isIn ? 'write' : 'read'),
    );
    if (!isMemory) {
      this.#dmaEnded(regions, 'memory');
      return;
    }
    const bytes = isIn ? phase.bytes : new Uint8Array(phase.length);
    let at = 0;
    for (const { address, length } of regions.segments) {
      const part = bytes.subarray(at, at + length);
      if (isIn) memory.writable(address, length).set(part);
      else part.set(memory.readable(address, length));
      at += length;
    }
    this.#buffer = bytes;
    this.#passed = bytes.length;
    this.#dmaEnded(regions, null);
  }

  #dmaEnded(regions: Regions, error: DiskPortError | null): void {
    const { busMaster } = this.#channel;
    if (error === 'memory') busMaster.failed();
    else busMaster.transferred(regions.isExact);
    this.#dma = null;
    this.#end(error);
  }

  /** Offers the next block to the host, once there is data for it, or ends the phase. */
  #nextBlock(): void {
    const phase = this.#phase!;
    const length = lengthOf(phase);
    if (this.#passed === length) {
      this.#end(null);
      return;
    }
    const block = Math.min(blockOf(phase), length - this.#passed);
    if (phase.direction === 'in') {
      this.#offerBlock(block);
      return;
    }
    if (this.#passed === this.#start + this.#buffer.length) this.#newChunk(phase, this.#passed);
    this.#blockEnd = this.#passed + block;
    // The host expects the first block immediately, except for a packet command's.
    const interrupts = this.#passed > 0 || this.#packet !== null;
    this.#channel.requestData('out', block, { packet: false, interrupts });
  }

  /** Makes room for the blocks that go to the drive together, from `start` on. */
  #newChunk(phase: DataPhase, start: number): void {
    const block = blockOf(phase);
    const most = phase.kind === 'disk' ? Math.max(1, Math.floor(CHUNK / block)) * block : Infinity;
    this.#start = start;
    this.#buffer = new Uint8Array(Math.min(most, lengthOf(phase) - start));
  }

  /** Offers a block for the host to read, which may have to be fetched. */
  #offerBlock(block: number): void {
    const phase = this.#phase!;
    const offer = () => {
      this.#blockEnd = this.#passed + block;
      this.#channel.requestData('in', block, { packet: false, interrupts: true });
    };
    if (phase.kind === 'bytes') {
      if (phase.direction === 'in') this.#buffer = phase.bytes;
      this.#start = 0;
      offer();
      return;
    }
    const isThere = this.#passed >= this.#start && this.#passed + block <= this.#start + this.#buffer.length;
    if (isThere) {
      offer();
      return;
    }
    this.#channel.takeBusy();
    this.#start = Math.floor(this.#passed / SECTOR) * SECTOR;
    const wanted = Math.ceil((block + CHUNK) / SECTOR) * SECTOR;
    this.#buffer = new Uint8Array(Math.min(wanted, phase.length - this.#start));
    this.drive.port!.readInto(phase.offset + this.#start, this.#buffer, error => {
      if (this.#phase !== phase) return;
      if (error === null) offer();
      else this.#end(error);
    });
  }

  /** The host reads the next bytes, as many as the block has left. @returns their number */
  take(bytes: Uint8Array): number {
    const phase = this.#phase;
    if (phase?.direction !== 'in' || this.#passed >= this.#blockEnd) return 0;
    const count = Math.min(bytes.length, this.#blockEnd - this.#passed);
    const from = this.#passed - this.#start;
    bytes.set(this.#buffer.subarray(from, from + count));
    this.#passed += count;
    if (this.#passed === this.#blockEnd) this.#nextBlock();
    return count;
  }

  /** The host writes bytes. @returns how many fit in the block */
  give(bytes: Uint8Array): number {
    if (this.#takePacket !== null) return this.#givePacket(bytes);
    const phase = this.#phase;
    if (phase?.direction !== 'out' || this.#passed >= this.#blockEnd) return 0;
    const count = Math.min(bytes.length, this.#blockEnd - this.#passed);
    this.#buffer.set(bytes.subarray(0, count), this.#passed - this.#start);
    this.#passed += count;
    if (this.#passed === this.#blockEnd) this.#blockGiven(phase);
    return count;
  }

  #givePacket(bytes: Uint8Array): number {
    const packet = this.#packet!;
    const count = Math.min(bytes.length, PACKET_BYTES - this.#packetBytes);
    packet.set(bytes.subarray(0, count), this.#packetBytes);
    this.#packetBytes += count;
    if (this.#packetBytes === PACKET_BYTES) {
      const then = this.#takePacket!;
      this.#takePacket = null;
      this.#channel.takeBusy();
      then(packet);
    }
    return count;
  }

  #blockGiven(phase: DataPhase): void {
    const isFull = this.#passed === this.#start + this.#buffer.length;
    this.#channel.takeBusy();
    if (phase.kind === 'disk' && isFull) this.#writeChunk(phase);
    else this.#nextBlock();
  }

  #writeChunk(phase: DataPhase & { readonly kind: 'disk' }): void {
    this.drive.port!.writeFrom(phase.offset + this.#start, this.#buffer, error => {
      if (this.#phase !== phase) return;
      if (error === null) this.#nextBlock();
      else this.#end(error);
    });
  }

  #end(error: DiskPortError | null): void {
    const phase = this.#phase!;
    const done = this.#done!;
    this.#phase = null;
    this.#done = null;
    this.#isMoved = error === null;
    this.#blockEnd = 0;
    this.#channel.takeBusy();
    if (isTaken(phase)) {
      done(error, this.#buffer);
    } else {
      this.#buffer = NOTHING;
      this.#passed = 0;
      this.#start = 0;
      done(error);
    }
  }

  /** The bus master was stopped: whether that leaves the drive without its data. */
  get isCutShort(): boolean {
    return this.#dma === 'moving';
  }

  /** Ends the command without a completion. @param ended called once it no longer touches disk or memory */
  abort(ended: () => void): void {
    this.#phase = null;
    this.#done = null;
    this.#takePacket = null;
    this.#blockEnd = 0;
    this.#dma = null;
    this.drive.abort(ended);
  }

  save(): DeviceState {
    const loaded = this.#loaded;
    const isOut = this.#phase?.direction === 'out' || (this.#phase === null && this.#isMoved);
    const from = this.#passed - this.#start;
    const saved = isOut
      ? this.#buffer.subarray(0, Math.max(0, from))
      : this.#buffer.subarray(from, Math.max(from, this.#blockEnd - this.#start));
    return {
      registers: { ...this.registers },
      packet: this.#packet?.slice(0, this.#packetBytes) ?? null,
      passed: loaded?.passed ?? this.#passed,
      isOffered: loaded?.isOffered ?? this.#passed < this.#blockEnd,
      isMoved: loaded?.isMoved ?? this.#isMoved,
      buffer: (loaded?.buffer ?? saved).slice(),
    };
  }

  /** The command of a saved state; `begin` continues it. @throws DeviceStateError */
  static load(state: DeviceState, drive: AtaDrive, channel: CommandChannel): IdeCommand {
    const registers = stateOf(state, 'registers');
    const command = new IdeCommand(
      {
        command: numberOf(registers, 'command', 0xff),
        features: numberOf(registers, 'features', 0xffff),
        count: numberOf(registers, 'count', 0xffff),
        lba: numberOf(registers, 'lba', 2 ** 48 - 1),
        device: numberOf(registers, 'device', 0xff),
      },
      drive,
      channel,
    );
    if (state.packet !== null) {
      const packet = bytesOf(state, 'packet');
      if (packet.length > PACKET_BYTES)
        throw new DeviceStateError('packet', `packet of ${PACKET_BYTES} bytes`);
      command.#packet = new Uint8Array(PACKET_BYTES);
      command.#packet.set(packet);
      command.#packetBytes = packet.length;
    }
    const buffer = bytesOf(state, 'buffer');
    command.#loaded = {
      buffer: buffer.slice(),
      passed: numberOf(state, 'passed'),
      isOffered: booleanOf(state, 'isOffered'),
      isMoved: booleanOf(state, 'isMoved'),
    };
    return command;
  }
}

type Loaded = {
  /** Data from the host that the drive has not received, or the rest of the block that the host was reading. */
  readonly buffer: Uint8Array;
  readonly passed: number;
  readonly isOffered: boolean;
  readonly isMoved: boolean;
};

/** Whether the drive receives the data of a phase when it ends. */
function isTaken(phase: DataPhase): boolean {
  return phase.kind === 'bytes' && phase.direction === 'out';
}

function blockOf({ block }: DataPhase): number {
  return Math.max(2, block);
}

function lengthOf(phase: DataPhase): number {
  return phase.kind === 'bytes' && phase.direction === 'in' ? phase.bytes.length : phase.length;
}
