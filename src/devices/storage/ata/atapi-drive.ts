import type { DiskPort } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { SENSE } from '../../scsi/sense.ts';
import { stateOf } from '../../state.ts';
import type { Drive, DriveLock } from '../drive.ts';
import type {
  AtaDrive,
  CommandHost,
  CommandRegisters,
  PhaseDone,
  ResultRegisters,
  Signature,
} from './ata-drive.ts';
import { CdUnit } from './cd-unit.ts';
import { resultOf } from './command-result.ts';
import { type AtaIdentity, type AtaInterface, type DmaMode, identifyCdDrive } from './identify.ts';
import { MEDIA_EVENT } from './mmc.ts';
import { type Exchange, PacketCommands } from './packet-commands.ts';
import { COMMAND, ERROR, FEATURE, READY, STATUS } from './registers.ts';
import { dmaModeOf, loadDmaMode } from './transfer-mode.ts';

/**
 * A CD or DVD drive with packet commands (ATAPI: ACS-3 §4.3, MMC-6), independent of how registers, packets and data are
 * transported.
 */
export class AtapiDrive implements AtaDrive, DriveLock {
  readonly kind = 'packet';
  readonly name: string;
  readonly signature: Signature = { error: 0x01, count: 0x01, lba: 0xeb_14_01, device: 0 };
  interface: AtaInterface = 'parallel';
  onNotify: (() => void) | null = null;
  readonly #drive: Drive;
  readonly #identity: AtaIdentity;
  #dma: DmaMode = { kind: 'none', mode: 0 };
  readonly #unit: CdUnit;
  readonly #commands: PacketCommands;
  #generation = 0;
  /** Pending transfers from the medium, which must be ended explicitly when it is gone. */
  readonly #moving = new Set<PhaseDone>();

  constructor(drive: Drive, identity: AtaIdentity) {
    this.#drive = drive;
    this.#identity = identity;
    this.#unit = new CdUnit(drive);
    this.#commands = new PacketCommands(this.#unit, identity);
    this.name = drive.name;
    drive.lock = this;
    drive.onMediumChanged = () => this.#mediumChanged();
  }

  get port(): DiskPort | null {
    return this.#drive.port;
  }

  /** An open tray locks nothing. */
  get locked(): boolean {
    return this.#unit.isLocked && !this.#unit.isOpen;
  }

  get tray(): 'open' | 'locked' | 'closed' {
    return this.#unit.isOpen ? 'open' : this.#unit.isLocked ? 'locked' : 'closed';
  }

  requestEject(): void {
    // No unit attention, since that would fail a command, such as the one that unlocks it.
    this.#unit.mediaEvent = MEDIA_EVENT.ejectRequest;
    this.onNotify?.();
  }

  execute(registers: CommandRegisters, host: CommandHost): void {
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation;
    const guarded: CommandHost = {
      transfer: (phase, done) => {
        const end: PhaseDone = (error, bytes) => {
          this.#moving.delete(end);
          if (isCurrent()) done(error, bytes);
        };
        if (phase.kind === 'disk') this.#moving.add(end);
        host.transfer(phase, end);
      },
      takePacket: then =>
        host.takePacket(packet => {
          if (isCurrent()) then(packet);
        }),
      complete: result => host.complete(result),
    };
    this.#execute(registers, guarded);
  }

  abort(ended: () => void): void {
    this.#generation++;
    this.#moving.clear();
    const { port } = this.#drive;
    if (port === null) ended();
    else port.cancel(ended);
  }

  softReset(): void {
    this.#unit.sense = SENSE.none;
  }

  reset(): void {
    this.#generation++;
    this.#moving.clear();
    this.#drive.forget();
    this.#dma = { kind: 'none', mode: 0 };
    this.#unit.reset();
    this.#drive.changed();
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
      dma: { ...this.#dma },
      ...this.#unit.save(),
    };
  }

  load(state: DeviceState): void {
    const takeUnit = this.#unit.prepare(state);
    const dma = loadDmaMode(stateOf(state, 'dma'));
    this.#drive.load(stateOf(state, 'drive'));
    this.#generation++;
    this.#moving.clear();
    takeUnit();
    this.#dma = dma;
  }

  close(): void {
    this.#generation++;
    this.#moving.clear();
    this.#drive.close();
  }

  #mediumChanged(): void {
    for (const end of [...this.#moving]) end('host');
    this.#unit.mediumChanged();
    this.onNotify?.();
  }

  #execute(registers: CommandRegisters, host: CommandHost): void {
    switch (registers.command) {
      case COMMAND.packet:
        this.#packet(registers, host);
        return;
      case COMMAND.identifyPacket:
        this.#identify(registers, host);
        return;
      case COMMAND.identify:
      case COMMAND.readSectors:
        // It is not a disk: the signature identifies it (ACS-3 §7.12.6).
        host.complete({ ...this.signature, status: READY | STATUS.error, error: ERROR.aborted });
        return;
      case COMMAND.deviceReset:
      case COMMAND.executeDiagnostic:
        this.softReset();
        host.complete({ ...this.signature, status: registers.command === COMMAND.deviceReset ? 0 : READY });
        return;
      case COMMAND.setFeatures:
        this.#setFeatures(registers, host);
        return;
      case COMMAND.checkPowerMode:
        host.complete({ ...resultOf(registers, READY, 0), count: 0xff });
        return;
      case COMMAND.flushCache:
      case COMMAND.standbyImmediate:
      case COMMAND.idleImmediate:
      case COMMAND.standby:
      case COMMAND.idle:
      case COMMAND.sleep:
        host.complete(resultOf(registers, READY, 0));
        return;
      default:
        host.complete(aborted(registers));
        return;
    }
  }

  #identify(registers: CommandRegisters, host: CommandHost): void {
    const bytes = identifyCdDrive({ ...this.#identity, interface: this.interface, dma: this.#dma });
    host.transfer({ kind: 'bytes', direction: 'in', protocol: 'pio', block: bytes.length, bytes }, error =>
      host.complete(error === null ? resultOf(registers, READY, 0) : aborted(registers)),
    );
  }

  #setFeatures(registers: CommandRegisters, host: CommandHost): void {
    switch (registers.features & 0xff) {
      case FEATURE.setTransferMode: {
        const mode = dmaModeOf(registers.count & 0xff);
        if (mode !== null) this.#dma = mode;
        host.complete(mode === null ? aborted(registers) : resultOf(registers, READY, 0));
        return;
      }
      case FEATURE.keepSettings:
      case FEATURE.revertSettings:
        host.complete(resultOf(registers, READY, 0));
        return;
      default:
        host.complete(aborted(registers));
        return;
    }
  }

  #packet(registers: CommandRegisters, host: CommandHost): void {
    const DMA = 0x01;
    const OVERLAPPED = 0x02;
    if (registers.features & OVERLAPPED) {
      host.complete(aborted(registers));
      return;
    }
    const protocol = registers.features & DMA ? 'dma' : 'pio';
    // The byte count that the host accepts at a time; an odd one is valid only for the last block.
    const limit = Math.floor(registers.lba / 2 ** 8) & 0xfffe;
    const exchange: Exchange = { registers, host, protocol, block: limit || 0xfffe };
    host.takePacket(packet => this.#commands.carryOut(exchange, packet));
  }
}

function aborted(registers: CommandRegisters): ResultRegisters {
  return resultOf(registers, READY | STATUS.error, ERROR.aborted);
}
