import type { DiskPort } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { be16At, be32At } from '../../scsi/cdb.ts';
import { encodeSense, SENSE, type Sense } from '../../scsi/sense.ts';
import { booleanOf, numberOf, stateOf } from '../../state.ts';
import type { Drive, DriveLock } from '../drive.ts';
import type {
  AtaDrive,
  CommandHost,
  CommandRegisters,
  DataPhase,
  PhaseDone,
  ResultRegisters,
  Signature,
} from './ata-drive.ts';
import { type AtaIdentity, type AtaInterface, type DmaMode, identifyCdDrive } from './identify.ts';
import {
  CD_BLOCK,
  eventStatus,
  getConfiguration,
  isDvd,
  MEDIA_EVENT,
  modePages,
  readDiscInformation,
  readDiscStructure,
  readToc,
  readTrackInformation,
} from './mmc.ts';
import { COMMAND, ERROR, FEATURE, READY, STATUS } from './registers.ts';
import { dmaModeOf, loadDmaMode } from './transfer-mode.ts';

/** Bits of the interrupt reason, which is in the count register (ACS-3 §7.18): whether a packet is wanted, and which way data goes. */
export const REASON = { packet: 0x01, toHost: 0x02 } as const;

/** Packet commands (MMC-6 §6, SPC-4 §6). */
const PACKET = {
  testUnitReady: 0x00,
  requestSense: 0x03,
  inquiry: 0x12,
  modeSense6: 0x1a,
  startStopUnit: 0x1b,
  preventAllow: 0x1e,
  readCapacity: 0x25,
  read10: 0x28,
  seek10: 0x2b,
  synchronizeCache: 0x35,
  readSubchannel: 0x42,
  readToc: 0x43,
  getConfiguration: 0x46,
  getEventStatus: 0x4a,
  readDiscInformation: 0x51,
  readTrackInformation: 0x52,
  modeSelect10: 0x55,
  modeSense10: 0x5a,
  read12: 0xa8,
  readDiscStructure: 0xad,
  setCdSpeed: 0xbb,
  mechanismStatus: 0xbd,
  readCd: 0xbe,
} as const;

/** Commands that a pending unit attention does not fail (SPC-4 §5.14, MMC-6 §4.1.6.1). */
const ATTENTION_PASSES: ReadonlySet<number> = new Set([
  PACKET.requestSense,
  PACKET.inquiry,
  PACKET.getConfiguration,
  PACKET.getEventStatus,
]);

/** What a host asks of a packet command besides the packet: how data is to travel. */
type Exchange = {
  readonly registers: CommandRegisters;
  readonly host: CommandHost;
  readonly protocol: 'pio' | 'dma';
  readonly block: number;
};

type Attention = 'powerOn' | 'mediumChanged';
const ATTENTIONS: readonly Attention[] = ['powerOn', 'mediumChanged'];

/** A CD or DVD drive with packet commands (ATAPI: ACS-3 §4.3, MMC-6), apart from how registers, packets and data travel. */
export class AtapiDrive implements AtaDrive, DriveLock {
  readonly kind = 'packet';
  readonly name: string;
  readonly signature: Signature = { error: 0x01, count: 0x01, lba: 0xeb_14_01, device: 0 };
  interface: AtaInterface = 'parallel';
  onNotify: (() => void) | null = null;
  readonly #drive: Drive;
  readonly #identity: AtaIdentity;
  #dma: DmaMode = { kind: 'none', mode: 0 };
  #sense: Sense = SENSE.none;
  readonly #attentions = new Set<Attention>(['powerOn']);
  #mediaEvent: number = MEDIA_EVENT.none;
  #trayOpen = false;
  #locked = false;
  #generation = 0;
  /** Ends of transfers from the medium, which do not come by themselves once it is gone. */
  readonly #moving = new Set<PhaseDone>();

  constructor(drive: Drive, identity: AtaIdentity) {
    this.#drive = drive;
    this.#identity = identity;
    this.name = drive.name;
    drive.lock = this;
    drive.onMediumChanged = () => this.#mediumChanged();
  }

  get port(): DiskPort | null {
    return this.#drive.port;
  }

  /** An open tray keeps nothing. */
  get locked(): boolean {
    return this.#locked && !this.#trayOpen;
  }

  get tray(): 'open' | 'locked' | 'closed' {
    return this.#trayOpen ? 'open' : this.#locked ? 'locked' : 'closed';
  }

  requestEject(): void {
    // No unit attention: that would fail a command, such as the one that unlocks it.
    this.#mediaEvent = MEDIA_EVENT.ejectRequest;
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
    this.#sense = SENSE.none;
  }

  reset(): void {
    this.#generation++;
    this.#moving.clear();
    this.#drive.forget();
    this.#dma = { kind: 'none', mode: 0 };
    this.#sense = SENSE.none;
    this.#attentions.clear();
    this.#attentions.add('powerOn');
    this.#mediaEvent = MEDIA_EVENT.none;
    this.#trayOpen = false;
    this.#locked = false;
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
      sense: { ...this.#sense },
      attentions: ATTENTIONS.reduce(
        (bits, name, bit) => bits | (this.#attentions.has(name) ? 1 << bit : 0),
        0,
      ),
      mediaEvent: this.#mediaEvent,
      trayOpen: this.#trayOpen,
      locked: this.#locked,
    };
  }

  load(state: DeviceState): void {
    const sense = stateOf(state, 'sense');
    const loaded = {
      key: numberOf(sense, 'key', 0xf),
      asc: numberOf(sense, 'asc', 0xff),
      ascq: numberOf(sense, 'ascq', 0xff),
    };
    const attentions = numberOf(state, 'attentions', 2 ** ATTENTIONS.length - 1);
    const mediaEvent = numberOf(state, 'mediaEvent', MEDIA_EVENT.removal);
    const [trayOpen, locked] = [booleanOf(state, 'trayOpen'), booleanOf(state, 'locked')];
    const dma = loadDmaMode(stateOf(state, 'dma'));
    this.#drive.load(stateOf(state, 'drive'));
    this.#generation++;
    this.#moving.clear();
    this.#sense = loaded;
    this.#attentions.clear();
    ATTENTIONS.forEach((name, bit) => {
      if (attentions & (1 << bit)) this.#attentions.add(name);
    });
    this.#mediaEvent = mediaEvent;
    this.#trayOpen = trayOpen;
    this.#locked = locked;
    this.#dma = dma;
  }

  close(): void {
    this.#generation++;
    this.#moving.clear();
    this.#drive.close();
  }

  /** Blocks of the medium that can be read; null: there is none. */
  get #blocks(): number | null {
    const { disk } = this.#drive;
    return disk === null || this.#trayOpen ? null : Math.floor(disk.size / CD_BLOCK);
  }

  #mediumChanged(): void {
    for (const end of [...this.#moving]) end('host');
    const isLoaded = this.#drive.disk !== null;
    this.#trayOpen = !isLoaded;
    this.#mediaEvent = isLoaded ? MEDIA_EVENT.newMedia : MEDIA_EVENT.removal;
    if (isLoaded) this.#attentions.add('mediumChanged');
    // One that was taken by force is not locked any more.
    if (!isLoaded) this.#locked = false;
    this.#drive.changed();
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
        // Not a disk: the signature says what it is (ACS-3 §7.12.6).
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
        host.complete(resultOf(registers, { count: 0xff }));
        return;
      case COMMAND.flushCache:
      case COMMAND.standbyImmediate:
      case COMMAND.idleImmediate:
      case COMMAND.standby:
      case COMMAND.idle:
      case COMMAND.sleep:
        host.complete(resultOf(registers));
        return;
      default:
        host.complete(aborted(registers));
        return;
    }
  }

  #identify(registers: CommandRegisters, host: CommandHost): void {
    const bytes = identifyCdDrive({ ...this.#identity, interface: this.interface, dma: this.#dma });
    host.transfer({ kind: 'bytes', direction: 'in', protocol: 'pio', block: bytes.length, bytes }, error =>
      host.complete(error === null ? resultOf(registers) : aborted(registers)),
    );
  }

  #setFeatures(registers: CommandRegisters, host: CommandHost): void {
    switch (registers.features & 0xff) {
      case FEATURE.setTransferMode: {
        const mode = dmaModeOf(registers.count & 0xff);
        if (mode !== null) this.#dma = mode;
        host.complete(mode === null ? aborted(registers) : resultOf(registers));
        return;
      }
      case FEATURE.keepSettings:
      case FEATURE.revertSettings:
        host.complete(resultOf(registers));
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
    // The byte count that the host takes at a time; an odd one is for the last block only.
    const limit = Math.floor(registers.lba / 2 ** 8) & 0xfffe;
    const exchange: Exchange = { registers, host, protocol, block: limit || 0xfffe };
    host.takePacket(packet => this.#command(exchange, packet));
  }

  #command(exchange: Exchange, packet: Uint8Array): void {
    const operation = packet[0]!;
    const [attention] = this.#attentions;
    if (attention !== undefined && !ATTENTION_PASSES.has(operation)) {
      this.#attentions.delete(attention);
      this.#check(exchange, SENSE[attention]);
      return;
    }
    if (operation !== PACKET.requestSense) this.#sense = SENSE.none;
    switch (operation) {
      case PACKET.requestSense:
        this.#requestSense(exchange, packet);
        return;
      case PACKET.inquiry:
        this.#inquiry(exchange, packet);
        return;
      case PACKET.getConfiguration:
        this.#reply(exchange, getConfiguration(packet, this.#blocks), be16At(packet, 7));
        return;
      case PACKET.getEventStatus:
        this.#eventStatus(exchange, packet);
        return;
      case PACKET.modeSense6:
        this.#modeSense(exchange, packet, 4, packet[4]!);
        return;
      case PACKET.modeSense10:
        this.#modeSense(exchange, packet, 8, be16At(packet, 7));
        return;
      case PACKET.modeSelect10:
        this.#modeSelect(exchange, be16At(packet, 7));
        return;
      case PACKET.startStopUnit:
        this.#startStopUnit(exchange, packet);
        return;
      case PACKET.preventAllow:
        this.#locked = (packet[4]! & 1) !== 0;
        this.#drive.changed();
        this.#done(exchange);
        return;
      case PACKET.mechanismStatus: {
        const DOOR_OPEN = 0x10;
        const status = Uint8Array.from([0, this.#trayOpen ? DOOR_OPEN : 0, 0, 0, 0, 1, 0, 0]);
        this.#reply(exchange, status, be16At(packet, 8));
        return;
      }
      case PACKET.synchronizeCache:
      case PACKET.setCdSpeed:
        this.#done(exchange);
        return;
      default:
        this.#withMedium(exchange, packet, operation);
        return;
    }
  }

  #withMedium(exchange: Exchange, packet: Uint8Array, operation: number): void {
    if (!MEDIUM_COMMANDS.has(operation)) {
      this.#check(exchange, SENSE.invalidOperation);
      return;
    }
    const blocks = this.#blocks;
    if (blocks === null) {
      this.#check(exchange, this.#trayOpen ? SENSE.noMediumTrayOpen : SENSE.noMediumTrayClosed);
      return;
    }
    switch (operation) {
      case PACKET.read10:
        this.#read(exchange, blocks, be32At(packet, 2), be16At(packet, 7));
        return;
      case PACKET.read12:
        this.#read(exchange, blocks, be32At(packet, 2), be32At(packet, 6));
        return;
      case PACKET.readCd:
        this.#readCd(exchange, blocks, packet);
        return;
      case PACKET.seek10:
        if (be32At(packet, 2) < blocks) this.#done(exchange);
        else this.#check(exchange, SENSE.outOfRange);
        return;
      case PACKET.readCapacity: {
        const answer = new DataView(new ArrayBuffer(8));
        answer.setUint32(0, Math.max(0, blocks - 1));
        answer.setUint32(4, CD_BLOCK);
        this.#reply(exchange, new Uint8Array(answer.buffer), 8);
        return;
      }
      case PACKET.readToc:
        this.#reply(exchange, readToc(packet, blocks), be16At(packet, 7));
        return;
      case PACKET.readSubchannel:
        // No audio is played.
        this.#reply(exchange, Uint8Array.from([0, 0x15, 0, 0]), be16At(packet, 7));
        return;
      case PACKET.readDiscInformation:
        this.#reply(exchange, readDiscInformation(packet), be16At(packet, 7));
        return;
      case PACKET.readTrackInformation:
        this.#reply(exchange, readTrackInformation(packet, blocks), be16At(packet, 7));
        return;
      case PACKET.readDiscStructure: {
        const LIST = 0xff;
        if (!isDvd(blocks) && packet[7] !== LIST) {
          this.#check(exchange, SENSE.incompatibleFormat);
          return;
        }
        this.#reply(exchange, readDiscStructure(packet, blocks), be16At(packet, 8));
        return;
      }
      default:
        this.#done(exchange);
        return;
    }
  }

  #requestSense(exchange: Exchange, packet: Uint8Array): void {
    const [attention] = this.#attentions;
    const hasOwn = this.#sense.key !== 0;
    if (!hasOwn && attention !== undefined) this.#attentions.delete(attention);
    const sense = hasOwn ? this.#sense : attention === undefined ? SENSE.none : SENSE[attention];
    this.#sense = SENSE.none;
    this.#reply(exchange, encodeSense(sense), packet[4]!);
  }

  /** INQUIRY (SPC-4 §6.6): a removable CD drive of MMC. Vital product data it has none of but the list of them. */
  #inquiry(exchange: Exchange, packet: Uint8Array): void {
    const VITAL = 1;
    const CD_DRIVE = 0x05;
    if (packet[1]! & VITAL) {
      const isList = packet[2] === 0;
      this.#reply(exchange, isList ? Uint8Array.from([CD_DRIVE, 0, 0, 1, 0]) : null, be16At(packet, 3));
      return;
    }
    if (packet[2] !== 0) {
      this.#check(exchange, SENSE.invalidField);
      return;
    }
    const data = new Uint8Array(36);
    data.set([CD_DRIVE, 0x80, 0x05, 0x32, data.length - 5]);
    const { model, firmware } = this.#identity;
    const [vendor = '', ...product] = model.split(' ');
    const text = (at: number, length: number, value: string) =>
      new TextEncoder().encodeInto(value.slice(0, length).padEnd(length), data.subarray(at, at + length));
    text(8, 8, vendor);
    text(16, 16, product.join(' '));
    text(32, 4, firmware);
    this.#reply(exchange, data, be16At(packet, 3));
  }

  #eventStatus(exchange: Exchange, packet: Uint8Array): void {
    const status = (this.#trayOpen ? 1 : 0) | (this.#drive.disk === null ? 0 : 2);
    const allocation = be16At(packet, 7);
    const answer = eventStatus(packet, this.#mediaEvent, status);
    // One that the driver has no room for stays.
    if (answer?.length === 8 && allocation > 4) this.#mediaEvent = MEDIA_EVENT.none;
    this.#reply(exchange, answer, allocation);
  }

  #modeSense(exchange: Exchange, packet: Uint8Array, header: 4 | 8, allocation: number): void {
    const SAVED = 3;
    const control = packet[2]! >> 6;
    if (control === SAVED) {
      this.#check(exchange, SENSE.savingNotSupported);
      return;
    }
    const pages = modePages(packet[2]! & 0x3f, packet[3]!, control);
    if (pages === null) {
      this.#check(exchange, SENSE.invalidField);
      return;
    }
    const length = pages.length + header - (header === 4 ? 1 : 2);
    // The medium's type is left to other commands, and there are no block descriptors.
    const head = header === 4 ? [length, 0, 0, 0] : [length >> 8, length & 0xff, 0, 0, 0, 0, 0, 0];
    this.#reply(exchange, Uint8Array.from([...head, ...pages]), allocation);
  }

  /** Takes pages, of which nothing can be changed. */
  #modeSelect(exchange: Exchange, length: number): void {
    if (length === 0) {
      this.#done(exchange);
      return;
    }
    const { host, protocol, block } = exchange;
    host.transfer({ kind: 'bytes', direction: 'out', protocol, block, length }, error => {
      if (error === null) this.#done(exchange);
      else this.#check(exchange, SENSE.aborted);
    });
  }

  #startStopUnit(exchange: Exchange, packet: Uint8Array): void {
    const START = 0x01;
    const LOAD_EJECT = 0x02;
    const POWER_CONDITION = 0xf0;
    const flags = packet[4]!;
    if (flags & POWER_CONDITION || !(flags & LOAD_EJECT)) {
      this.#done(exchange);
      return;
    }
    const open = !(flags & START);
    if (open && this.#locked) {
      this.#check(exchange, SENSE.removalPrevented);
      return;
    }
    if (open !== this.#trayOpen) {
      this.#trayOpen = open;
      if (this.#drive.disk !== null) {
        this.#mediaEvent = open ? MEDIA_EVENT.removal : MEDIA_EVENT.newMedia;
        if (!open) this.#attentions.add('mediumChanged');
      }
      this.#drive.changed();
    }
    this.#done(exchange);
  }

  #read(exchange: Exchange, blocks: number, first: number, count: number): void {
    if (first + count > blocks) {
      this.#check(exchange, SENSE.outOfRange);
      return;
    }
    if (count === 0) {
      this.#done(exchange);
      return;
    }
    const { host, protocol, block } = exchange;
    const phase: DataPhase = {
      ...{ kind: 'disk', direction: 'in', protocol, block },
      offset: first * CD_BLOCK,
      length: count * CD_BLOCK,
    };
    host.transfer(phase, error => {
      if (error === null) this.#done(exchange);
      else this.#check(exchange, error === 'host' ? SENSE.unrecoveredRead : SENSE.aborted);
    });
  }

  /** READ CD (MMC-6 §6.18), of what images have: user data. */
  #readCd(exchange: Exchange, blocks: number, packet: Uint8Array): void {
    const USER_DATA = 0x10;
    const wanted = packet[9]! & 0xf8;
    const type = (packet[1]! >> 2) & 7;
    // Any type, or mode 1.
    if (type !== 0 && type !== 2) {
      this.#check(exchange, SENSE.wrongTrackMode);
      return;
    }
    const count = (packet[6]! << 16) | be16At(packet, 7);
    const first = be32At(packet, 2);
    if (wanted === 0 && first + count <= blocks) {
      this.#done(exchange);
      return;
    }
    if (wanted !== 0 && wanted !== USER_DATA) {
      this.#check(exchange, SENSE.invalidField);
      return;
    }
    this.#read(exchange, blocks, first, count);
  }

  /** Answers with at most `allocation` bytes; null: a field of the command is wrong. */
  #reply(exchange: Exchange, answer: Uint8Array | null, allocation: number): void {
    if (answer === null) {
      this.#check(exchange, SENSE.invalidField);
      return;
    }
    const bytes = answer.slice(0, allocation);
    if (bytes.length === 0) {
      this.#done(exchange);
      return;
    }
    const { host, protocol, block } = exchange;
    host.transfer({ kind: 'bytes', direction: 'in', protocol, block, bytes }, error => {
      if (error === null) this.#done(exchange);
      else this.#check(exchange, SENSE.aborted);
    });
  }

  #done({ registers, host }: Exchange): void {
    host.complete(resultOf(registers, { count: REASON.packet | REASON.toHost }));
  }

  #check({ registers, host }: Exchange, sense: Sense): void {
    this.#sense = sense;
    host.complete(
      resultOf(registers, {
        status: READY | STATUS.error,
        error: (sense.key << 4) | ERROR.aborted,
        count: REASON.packet | REASON.toHost,
      }),
    );
  }
}

const MEDIUM_COMMANDS: ReadonlySet<number> = new Set([
  PACKET.testUnitReady,
  PACKET.readCapacity,
  PACKET.read10,
  PACKET.seek10,
  PACKET.readSubchannel,
  PACKET.readToc,
  PACKET.readDiscInformation,
  PACKET.readTrackInformation,
  PACKET.read12,
  PACKET.readDiscStructure,
  PACKET.readCd,
]);

function resultOf(
  { lba, count, device }: CommandRegisters,
  changes: Partial<ResultRegisters> = {},
): ResultRegisters {
  return { status: READY, error: 0, count, lba, device, ...changes };
}

function aborted(registers: CommandRegisters): ResultRegisters {
  return resultOf(registers, { status: READY | STATUS.error, error: ERROR.aborted });
}
