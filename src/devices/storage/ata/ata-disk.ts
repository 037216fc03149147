import type { DiskPort, DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { stateOf } from '../../state.ts';
import type { Drive } from '../drive.ts';
import type {
  AtaDrive,
  CommandHost,
  CommandRegisters,
  DataDirection,
  DataPhase,
  Signature,
} from './ata-drive.ts';
import { type Command, errorOf, fail, resultOf, succeed } from './command-result.ts';
import {
  afterSoftReset,
  type DiskSettings,
  isBlockCount,
  loadSettings,
  POWER_ON,
  saveSettings,
  setFeature,
} from './disk-settings.ts';
import { type AtaIdentity, type AtaInterface, identifyDisk, MAX_TRIM_BLOCKS } from './identify.ts';
import { loadQueuedError, type QueuedError, queuedErrorLog, saveQueuedError } from './queued-error.ts';
import { COMMAND, DEVICE, ERROR, FEATURE, READY, SECTOR } from './registers.ts';
import { SMART, SMART_KEY, smartData, smartLog, smartThresholds } from './smart.ts';
import { addressingOf, TRANSFERS, type Transfer, trimRanges } from './transfers.ts';

export type AtaDiskOptions = {
  readonly drive: Drive;
  readonly identity: AtaIdentity;
  /** The physical block size of the medium, in bytes. */
  readonly physicalBlock: number;
  readonly rotationRate: number;
};

/** An ATA disk (ACS-3), independent of how its registers and data are transported. */
export class AtaDisk implements AtaDrive {
  readonly kind = 'disk';
  readonly name: string;
  readonly signature: Signature = { error: 0x01, count: 0x01, lba: 0x00_00_01, device: 0 };
  interface: AtaInterface = 'parallel';
  onNotify: (() => void) | null = null;
  readonly #drive: Drive;
  readonly #options: AtaDiskOptions;
  #settings: DiskSettings = { ...POWER_ON };
  #queuedError: QueuedError | null = null;
  /** Completions of commands from earlier generations are ignored: they were dropped. */
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
    this.#settings = afterSoftReset(this.#settings);
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
    return {
      drive: this.#drive.save(),
      settings: saveSettings(this.#settings),
      queuedError: this.#queuedError && saveQueuedError(this.#queuedError),
    };
  }

  load(state: DeviceState): void {
    const settings = loadSettings(stateOf(state, 'settings'));
    const queuedError = state.queuedError === null ? null : loadQueuedError(stateOf(state, 'queuedError'));
    this.#drive.load(stateOf(state, 'drive'));
    this.#generation++;
    this.#settings = settings;
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
        this.#verify(command, 'short');
        return;
      case COMMAND.readVerifyExt:
        this.#verify(command, 'long');
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
        // The mode: active or idle.
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
    const { lba, count } = addressingOf(size, registers, this.#settings.geometry);
    const isForced = size === 'queued' && (registers.device & DEVICE.forceUnitAccess) !== 0;
    const isDurable = direction === 'out' && (transfer.durable === true || isForced);
    // 0 if READ MULTIPLE and WRITE MULTIPLE have been disabled.
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

  #verify(command: Command, size: 'short' | 'long'): void {
    const { lba, count } = addressingOf(size, command.registers, this.#settings.geometry);
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

  /** TRIM (ACS-3 §7.10): ranges with a 48-bit address and a 16-bit count. */
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
    const { registers } = command;
    if (!setFeature(this.#settings, registers)) {
      fail(command, ERROR.aborted);
      return;
    }
    this.#applyWriteCache();
    // The cache is flushed when it is disabled.
    if ((registers.features & 0xff) === FEATURE.disableWriteCache) this.#flush(command);
    else succeed(command);
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

  /** READ LOG EXT (ACS-3 §7.23): the directory, and the error of a failed queued command. */
  #readLog(command: Command): void {
    const { lba, count } = command.registers;
    const page = Math.floor(lba / 2 ** 8) & 0xff;
    const data = page === 0 && count === 1 ? this.#log(lba & 0xff) : null;
    if (data === null) fail(command, ERROR.aborted);
    else this.#give(command, data);
  }

  #log(address: number): Uint8Array | null {
    switch (address) {
      case 0x00: {
        const directory = new Uint8Array(SECTOR);
        directory[0] = 1;
        directory[2 * 0x10] = 1;
        return directory;
      }
      case 0x10: {
        const failed = this.#queuedError;
        this.#queuedError = null;
        return queuedErrorLog(failed);
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
      // No failure is predicted: the key is returned unchanged.
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

  #applyWriteCache(): void {
    this.#drive.disk?.setWriteThrough(!this.#settings.writeCache);
  }
}
