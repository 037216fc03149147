import type { DiskPort, DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { booleanOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type { Drive } from '../drive.ts';
import type {
  AtaDrive,
  CommandHost,
  CommandRegisters,
  DataDirection,
  DataPhase,
  ResultRegisters,
  Signature,
} from './ata-drive.ts';
import {
  type AtaIdentity,
  type AtaInterface,
  DEFAULT_GEOMETRY,
  type DmaMode,
  type Geometry,
  identifyDisk,
  MAX_MULTIPLE,
  MAX_TRIM_BLOCKS,
} from './identify.ts';
import { COMMAND, DEVICE, ERROR, FEATURE, READY, SECTOR, STATUS } from './registers.ts';
import { SMART, SMART_KEY, smartData, smartLog, smartThresholds, withChecksum } from './smart.ts';
import { dmaModeOf, loadDmaMode } from './transfer-mode.ts';

export type AtaDiskOptions = {
  readonly drive: Drive;
  readonly identity: AtaIdentity;
  /** Bytes of a block of the medium. */
  readonly physicalBlock: number;
  readonly rotationRate: number;
};

/** What a host sets, and a software reset may take back. */
type Settings = {
  multiple: number;
  geometry: Geometry;
  dma: DmaMode;
  writeCache: boolean;
  lookAhead: boolean;
  smart: boolean;
  /** SET FEATURES 66h: a software reset keeps the others. */
  keepsSettings: boolean;
};

const POWER_ON: Settings = {
  multiple: MAX_MULTIPLE,
  geometry: DEFAULT_GEOMETRY,
  dma: { kind: 'none', mode: 0 },
  writeCache: true,
  lookAhead: true,
  smart: true,
  keepsSettings: false,
};

/** A queued command that has failed, for the log that tells of it (ACS-3 §9.14). */
type QueuedError = { readonly tag: number; readonly result: ResultRegisters };

/** What a command is about to do with its host. */
type Command = { readonly registers: CommandRegisters; readonly host: CommandHost };

/** How a command addresses sectors. */
type Addressing = { readonly lba: number; readonly count: number };

/** An ATA disk (ACS-3), apart from how its registers and its data travel. */
export class AtaDisk implements AtaDrive {
  readonly kind = 'disk';
  readonly name: string;
  readonly signature: Signature = { error: 0x01, count: 0x01, lba: 0x00_00_01, device: 0 };
  interface: AtaInterface = 'parallel';
  onNotify: (() => void) | null = null;
  readonly #drive: Drive;
  readonly #options: AtaDiskOptions;
  #settings: Settings = { ...POWER_ON };
  #queuedError: QueuedError | null = null;
  /** Commands of earlier generations were dropped. */
  #generation = 0;

  constructor(options: AtaDiskOptions) {
    this.#options = options;
    this.#drive = options.drive;
    this.name = options.drive.name;
    this.#applyWriteCache();
  }

  get port(): DiskPort | null {
    return this.#drive.port;
  }

  get #sectors(): number {
    return Math.floor((this.#drive.disk?.size ?? 0) / SECTOR);
  }

  execute(registers: CommandRegisters, host: CommandHost): void {
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation;
    const command: Command = {
      registers,
      host: {
        transfer: (phase, done) =>
          host.transfer(phase, (error, bytes) => {
            if (isCurrent()) done(error, bytes);
          }),
        takePacket: then => host.takePacket(then),
        complete: result => host.complete(result),
      },
    };
    this.#execute(command, isCurrent);
  }

  abort(ended: () => void): void {
    this.#generation++;
    const { port } = this.#drive;
    if (port === null) ended();
    else port.cancel(ended);
  }

  softReset(): void {
    this.#queuedError = null;
    const { keepsSettings, geometry, dma, smart } = this.#settings;
    // Transfer modes and the geometry survive (ACS-3 §9.16), and the rest only if the host wants that.
    if (!keepsSettings) this.#settings = { ...POWER_ON, geometry, dma, smart };
    this.#applyWriteCache();
  }

  reset(): void {
    this.#generation++;
    this.#drive.forget();
    this.#queuedError = null;
    this.#settings = { ...POWER_ON };
    this.#applyWriteCache();
  }

  quiesce(done: () => void): void {
    this.#drive.quiesce(done);
  }

  resume(): void {
    this.#drive.resume();
  }

  save(): DeviceState {
    const { geometry, dma, ...rest } = this.#settings;
    return {
      drive: this.#drive.save(),
      settings: { ...rest, heads: geometry.heads, sectors: geometry.sectors, dma: { ...dma } },
      queuedError: this.#queuedError && { tag: this.#queuedError.tag, ...this.#queuedError.result },
    };
  }

  load(state: DeviceState): void {
    const settings = stateOf(state, 'settings');
    const multiple = numberOf(settings, 'multiple', MAX_MULTIPLE);
    const geometry = { heads: numberOf(settings, 'heads', 16), sectors: numberOf(settings, 'sectors', 255) };
    if (!isBlockCount(multiple)) throw new DeviceStateError('multiple', 'power of two');
    if (geometry.heads === 0 || geometry.sectors === 0) throw new DeviceStateError('heads', 'geometry');
    const loaded: Settings = {
      multiple,
      geometry,
      dma: loadDmaMode(stateOf(settings, 'dma')),
      writeCache: booleanOf(settings, 'writeCache'),
      lookAhead: booleanOf(settings, 'lookAhead'),
      smart: booleanOf(settings, 'smart'),
      keepsSettings: booleanOf(settings, 'keepsSettings'),
    };
    const queuedError = state.queuedError === null ? null : loadQueuedError(stateOf(state, 'queuedError'));
    this.#drive.load(stateOf(state, 'drive'));
    this.#generation++;
    this.#settings = loaded;
    this.#queuedError = queuedError;
    this.#applyWriteCache();
  }

  close(): void {
    this.#generation++;
    this.#drive.close();
  }

  #execute(command: Command, isCurrent: () => boolean): void {
    const { registers } = command;
    const transfer = TRANSFERS.get(registers.command);
    if (transfer !== undefined) {
      this.#transfer(command, transfer);
      return;
    }
    switch (registers.command) {
      case COMMAND.readVerify:
      case COMMAND.readVerifyNoRetry:
      case COMMAND.seek:
        this.#verify(command, this.#short(registers));
        return;
      case COMMAND.readVerifyExt:
        this.#verify(command, long(registers));
        return;
      case COMMAND.dataSetManagement:
        this.#dataSetManagement(command, isCurrent);
        return;
      case COMMAND.flushCache:
      case COMMAND.flushCacheExt:
        this.#flush(command);
        return;
      case COMMAND.identify:
        this.#give(command, this.#identify());
        return;
      case COMMAND.setFeatures:
        this.#setFeatures(command);
        return;
      case COMMAND.setMultiple:
        this.#setMultiple(command);
        return;
      case COMMAND.initializeParameters:
        this.#initializeParameters(command);
        return;
      case COMMAND.readNativeMax:
        this.#readNativeMax(command, 2 ** 28);
        return;
      case COMMAND.readNativeMaxExt:
        this.#readNativeMax(command, 2 ** 48);
        return;
      case COMMAND.readLogExt:
        this.#readLog(command);
        return;
      case COMMAND.smart:
        this.#smart(command);
        return;
      case COMMAND.executeDiagnostic:
        command.host.complete({ ...this.signature, status: READY });
        return;
      case COMMAND.checkPowerMode:
        // Active or idle.
        succeed(command, { count: 0xff });
        return;
      case COMMAND.recalibrate:
      case COMMAND.standbyImmediate:
      case COMMAND.idleImmediate:
      case COMMAND.standby:
      case COMMAND.idle:
      case COMMAND.sleep:
        succeed(command);
        return;
      default:
        fail(command, ERROR.aborted);
        return;
    }
  }

  #transfer(command: Command, transfer: Transfer): void {
    const { registers, host } = command;
    const { size, direction, protocol } = transfer;
    const { lba, count } = size === 'short' ? this.#short(registers) : LONG[size](registers);
    const isForced = size === 'queued' && (registers.device & DEVICE.forceUnitAccess) !== 0;
    const isDurable = direction === 'out' && (transfer.durable === true || isForced);
    // 0: READ MULTIPLE and WRITE MULTIPLE have been switched off.
    const block = transfer.multiple === true ? this.#settings.multiple : 1;
    if (block === 0) {
      fail(command, ERROR.aborted);
      return;
    }
    const isRefused = direction === 'out' && this.#drive.disk?.readonly === true;
    if (isRefused || !this.#has(lba, count)) {
      this.#failed(command, isRefused ? 'readonly' : 'range', direction);
      return;
    }
    const phase: DataPhase = {
      ...{ kind: 'disk', direction, protocol, block: block * SECTOR },
      offset: lba * SECTOR,
      length: count * SECTOR,
    };
    host.transfer(phase, error => {
      if (error !== null) this.#failed(command, error, direction);
      else if (isDurable) this.#flush(command);
      else succeed(command);
    });
  }

  #verify(command: Command, { lba, count }: Addressing): void {
    const isSeek = command.registers.command === COMMAND.seek;
    if (this.#has(lba, isSeek ? 1 : count)) succeed(command);
    else this.#failed(command, 'range', 'in');
  }

  #flush(command: Command): void {
    const generation = this.#generation;
    const { port } = this.#drive;
    if (port === null) {
      fail(command, ERROR.aborted);
      return;
    }
    port.flush(error => {
      if (generation !== this.#generation) return;
      if (error === null) succeed(command);
      else this.#failed(command, error, 'out');
    });
  }

  /** TRIM (ACS-3 §7.10): ranges of 48 bits of address and 16 of count. */
  #dataSetManagement(command: Command, isCurrent: () => boolean): void {
    const { registers, host } = command;
    const { disk, port } = this.#drive;
    const isTrim = registers.features === 1;
    const canTrim = disk !== null && port !== null && disk.canDiscard && !disk.readonly;
    if (!isTrim || !canTrim || registers.count === 0 || registers.count > MAX_TRIM_BLOCKS) {
      fail(command, ERROR.aborted);
      return;
    }
    const length = registers.count * SECTOR;
    host.transfer(
      { kind: 'bytes', direction: 'out', protocol: 'dma', block: SECTOR, length },
      (error, bytes) => {
        if (error !== null || bytes === undefined) {
          this.#failed(command, error ?? 'memory', 'out');
          return;
        }
        const ranges = trimRanges(bytes);
        if (!ranges.every(({ lba, count }) => this.#has(lba, count))) {
          fail(command, ERROR.notFound);
          return;
        }
        let left = ranges.length;
        if (left === 0) {
          succeed(command);
          return;
        }
        let failed: DiskPortError | null = null;
        for (const { lba, count } of ranges) {
          port.discard(lba * SECTOR, count * SECTOR, error => {
            if (!isCurrent()) return;
            failed ??= error;
            left--;
            if (left > 0) return;
            if (failed === null) succeed(command);
            else this.#failed(command, failed, 'out');
          });
        }
      },
    );
  }

  #setFeatures(command: Command): void {
    const { features, count } = command.registers;
    const settings = this.#settings;
    switch (features & 0xff) {
      case FEATURE.enableWriteCache:
      case FEATURE.disableWriteCache: {
        settings.writeCache = (features & 0xff) === FEATURE.enableWriteCache;
        this.#applyWriteCache();
        // What is in the cache becomes durable with it.
        if (settings.writeCache) succeed(command);
        else this.#flush(command);
        return;
      }
      case FEATURE.enableReadLookAhead:
        settings.lookAhead = true;
        succeed(command);
        return;
      case FEATURE.disableReadLookAhead:
        settings.lookAhead = false;
        succeed(command);
        return;
      case FEATURE.keepSettings:
        settings.keepsSettings = true;
        succeed(command);
        return;
      case FEATURE.revertSettings:
        settings.keepsSettings = false;
        succeed(command);
        return;
      case FEATURE.enableApm:
      case FEATURE.disableApm:
        succeed(command);
        return;
      case FEATURE.setTransferMode: {
        const mode = dmaModeOf(count & 0xff);
        if (mode === null) {
          fail(command, ERROR.aborted);
          return;
        }
        settings.dma = mode;
        succeed(command);
        return;
      }
      default:
        fail(command, ERROR.aborted);
        return;
    }
  }

  #setMultiple(command: Command): void {
    const count = command.registers.count & 0xff;
    if (!isBlockCount(count)) {
      fail(command, ERROR.aborted);
      return;
    }
    this.#settings.multiple = count;
    succeed(command);
  }

  #initializeParameters(command: Command): void {
    const { count, device } = command.registers;
    if ((count & 0xff) === 0) {
      fail(command, ERROR.aborted);
      return;
    }
    this.#settings.geometry = { heads: (device & DEVICE.head) + 1, sectors: count & 0xff };
    succeed(command);
  }

  #readNativeMax(command: Command, limit: number): void {
    const last = Math.min(this.#sectors, limit) - 1;
    const { device } = command.registers;
    const short = limit === 2 ** 28;
    const high = short ? Math.floor(last / 2 ** 24) & DEVICE.head : 0;
    succeed(command, {
      lba: short ? last % 2 ** 24 : last,
      device: (device & ~DEVICE.head) | high,
    });
  }

  /** READ LOG EXT (ACS-3 §7.23): the directory, and the queued command that has failed. */
  #readLog(command: Command): void {
    const { lba, count } = command.registers;
    const page = Math.floor(lba / 2 ** 8) & 0xff;
    const data = page === 0 && count === 1 ? this.#log(lba & 0xff) : null;
    if (data === null) fail(command, ERROR.aborted);
    else this.#give(command, data);
  }

  #log(address: number): Uint8Array | null {
    const data = new Uint8Array(SECTOR);
    switch (address) {
      case 0x00:
        data[0] = 1;
        data[2 * 0x10] = 1;
        return data;
      case 0x10: {
        const failed = this.#queuedError;
        this.#queuedError = null;
        // No queued command has failed.
        data[0] = 0x80;
        if (failed !== null) data.set(errorLog(failed));
        return withChecksum(data);
      }
      default:
        return null;
    }
  }

  #smart(command: Command): void {
    const { features, lba } = command.registers;
    const sub = features & 0xff;
    if (Math.floor(lba / 2 ** 8) % 2 ** 16 !== SMART_KEY) {
      fail(command, ERROR.aborted);
      return;
    }
    if (!this.#settings.smart && sub !== SMART.enable) {
      fail(command, ERROR.aborted);
      return;
    }
    switch (sub) {
      case SMART.enable:
      case SMART.disable:
        this.#settings.smart = sub === SMART.enable;
        succeed(command);
        return;
      case SMART.readData:
        this.#give(command, smartData());
        return;
      case SMART.readThresholds:
        this.#give(command, smartThresholds());
        return;
      case SMART.readLog: {
        const log = smartLog(lba & 0xff);
        if (log === null) fail(command, ERROR.aborted);
        else this.#give(command, log);
        return;
      }
      case SMART.attributeAutosave:
      case SMART.saveAttributes:
      case SMART.executeOffline:
      // It is well: the key is returned as it was given.
      case SMART.returnStatus:
        succeed(command);
        return;
      default:
        fail(command, ERROR.aborted);
        return;
    }
  }

  #identify(): Uint8Array {
    const { identity, physicalBlock, rotationRate } = this.#options;
    const { disk } = this.#drive;
    return identifyDisk({
      ...identity,
      ...this.#settings,
      interface: this.interface,
      sectors: this.#sectors,
      physicalBlock,
      rotationRate,
      canTrim: disk?.canDiscard === true && !disk.readonly,
    });
  }

  #give(command: Command, bytes: Uint8Array): void {
    const phase = { kind: 'bytes', direction: 'in', protocol: 'pio', block: SECTOR, bytes } as const;
    command.host.transfer(phase, error => {
      if (error === null) succeed(command);
      else this.#failed(command, error, 'in');
    });
  }

  #failed(command: Command, error: DiskPortError, direction: DataDirection): void {
    const { registers } = command;
    const result = resultOf(registers, ...errorOf(error, direction));
    const isQueued = registers.command === COMMAND.readFpdma || registers.command === COMMAND.writeFpdma;
    if (isQueued) this.#queuedError = { tag: (registers.count >> 3) & 0x1f, result };
    command.host.complete(result);
  }

  #has(lba: number, count: number): boolean {
    return lba >= 0 && lba + count <= this.#sectors;
  }

  /** The sectors of a command with 28 bits of address or a CHS one. */
  #short({ lba, count, device }: CommandRegisters): Addressing {
    const sectors = count & 0xff || 256;
    const low = lba % 2 ** 24;
    if (device & DEVICE.lba) return { lba: (device & DEVICE.head) * 2 ** 24 + low, count: sectors };
    const { heads, sectors: perTrack } = this.#settings.geometry;
    const [cylinder, head, sector] = [low >> 8, device & DEVICE.head, low & 0xff];
    const isThere = head < heads && sector >= 1 && sector <= perTrack;
    return { lba: isThere ? (cylinder * heads + head) * perTrack + sector - 1 : -1, count: sectors };
  }

  #applyWriteCache(): void {
    this.#drive.disk?.setWriteThrough(!this.#settings.writeCache);
  }
}

/** A command that moves sectors. */
type Transfer = {
  readonly size: 'short' | 'long' | 'queued';
  readonly direction: DataDirection;
  readonly protocol: DataPhase['protocol'];
  /** PIO in blocks of several sectors. */
  readonly multiple?: true;
  readonly durable?: true;
};

const TRANSFERS: ReadonlyMap<number, Transfer> = new Map<number, Transfer>([
  [COMMAND.readSectors, { size: 'short', direction: 'in', protocol: 'pio' }],
  [COMMAND.readSectorsNoRetry, { size: 'short', direction: 'in', protocol: 'pio' }],
  [COMMAND.readSectorsExt, { size: 'long', direction: 'in', protocol: 'pio' }],
  [COMMAND.readDmaExt, { size: 'long', direction: 'in', protocol: 'dma' }],
  [COMMAND.readMultipleExt, { size: 'long', direction: 'in', protocol: 'pio', multiple: true }],
  [COMMAND.writeSectors, { size: 'short', direction: 'out', protocol: 'pio' }],
  [COMMAND.writeSectorsNoRetry, { size: 'short', direction: 'out', protocol: 'pio' }],
  [COMMAND.writeSectorsExt, { size: 'long', direction: 'out', protocol: 'pio' }],
  [COMMAND.writeDmaExt, { size: 'long', direction: 'out', protocol: 'dma' }],
  [COMMAND.writeMultipleExt, { size: 'long', direction: 'out', protocol: 'pio', multiple: true }],
  [COMMAND.writeDmaFuaExt, { size: 'long', direction: 'out', protocol: 'dma', durable: true }],
  [COMMAND.readFpdma, { size: 'queued', direction: 'in', protocol: 'queued' }],
  [COMMAND.writeFpdma, { size: 'queued', direction: 'out', protocol: 'queued' }],
  [COMMAND.readMultiple, { size: 'short', direction: 'in', protocol: 'pio', multiple: true }],
  [COMMAND.writeMultiple, { size: 'short', direction: 'out', protocol: 'pio', multiple: true }],
  [COMMAND.readDma, { size: 'short', direction: 'in', protocol: 'dma' }],
  [COMMAND.readDmaNoRetry, { size: 'short', direction: 'in', protocol: 'dma' }],
  [COMMAND.writeDma, { size: 'short', direction: 'out', protocol: 'dma' }],
  [COMMAND.writeDmaNoRetry, { size: 'short', direction: 'out', protocol: 'dma' }],
  [
    COMMAND.writeMultipleFuaExt,
    { size: 'long', direction: 'out', protocol: 'pio', multiple: true, durable: true },
  ],
]);

function long({ lba, count }: CommandRegisters): Addressing {
  return { lba, count: count || 65_536 };
}

/** A queued command has its count in the features register, and its tag in that of the count. */
function queued({ lba, features }: CommandRegisters): Addressing {
  return { lba, count: features || 65_536 };
}

const LONG = { long, queued } as const;

function succeed({ registers, host }: Command, changes: Partial<ResultRegisters> = {}): void {
  host.complete({ ...resultOf(registers, READY, 0), count: 0, ...changes });
}

function fail({ registers, host }: Command, error: number): void {
  host.complete(resultOf(registers, READY | STATUS.error, error));
}

function resultOf({ lba, count, device }: CommandRegisters, status: number, error: number): ResultRegisters {
  return { status, error, count, lba, device };
}

function errorOf(error: DiskPortError, direction: DataDirection): [status: number, error: number] {
  switch (error) {
    case 'host':
      return direction === 'in'
        ? [READY | STATUS.error, ERROR.uncorrectable]
        : [READY | STATUS.error | STATUS.deviceFault, ERROR.aborted];
    case 'range':
      return [READY | STATUS.error, ERROR.notFound];
    case 'readonly':
    case 'memory':
      return [READY | STATUS.error, ERROR.aborted];
  }
}

function isBlockCount(count: number): boolean {
  return count <= MAX_MULTIPLE && (count & (count - 1)) === 0;
}

/** Those that are not empty. */
function trimRanges(bytes: Uint8Array): Addressing[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ranges: Addressing[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const lba = view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32;
    const count = view.getUint16(at + 6, true);
    if (count > 0) ranges.push({ lba, count });
  }
  return ranges;
}

/** Log 10h: the tag, and the registers as a frame of them has them. */
function errorLog({ tag, result }: QueuedError): Uint8Array {
  const { status, error, lba, device, count } = result;
  const byte = (index: number) => Math.floor(lba / 2 ** (8 * index)) & 0xff;
  return Uint8Array.from([
    ...[tag, 0, status, error, byte(0), byte(1), byte(2), device],
    ...[byte(3), byte(4), byte(5), 0, count & 0xff, count >> 8],
  ]);
}

function loadQueuedError(state: DeviceState): QueuedError {
  const result = {
    status: numberOf(state, 'status', 0xff),
    error: numberOf(state, 'error', 0xff),
    count: numberOf(state, 'count', 0xffff),
    lba: numberOf(state, 'lba', 2 ** 48 - 1),
    device: numberOf(state, 'device', 0xff),
  };
  return { tag: numberOf(state, 'tag', 31), result };
}
