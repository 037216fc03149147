import { be16At, be32At } from '../../scsi/cdb.ts';
import { encodeSense, SENSE, type Sense } from '../../scsi/sense.ts';
import type { CommandHost, CommandRegisters, DataPhase } from './ata-drive.ts';
import type { CdUnit } from './cd-unit.ts';
import { resultOf } from './command-result.ts';
import type { AtaIdentity } from './identify.ts';
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
import { ERROR, READY, REASON, STATUS } from './registers.ts';

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

/** The parameters of a packet command besides the packet: how data is transferred. */
export type Exchange = {
  readonly registers: CommandRegisters;
  readonly host: CommandHost;
  readonly protocol: 'pio' | 'dma';
  readonly block: number;
};

/** The packet commands of a CD or DVD drive (MMC-6, SPC-4). */
export class PacketCommands {
  readonly #unit: CdUnit;
  readonly #identity: AtaIdentity;

  constructor(unit: CdUnit, identity: AtaIdentity) {
    this.#unit = unit;
    this.#identity = identity;
  }

  carryOut(exchange: Exchange, packet: Uint8Array): void {
    const unit = this.#unit;
    const operation = packet[0]!;
    const attention = ATTENTION_PASSES.has(operation) ? null : unit.takeAttention();
    if (attention !== null) {
      this.#check(exchange, attention);
      return;
    }
    if (operation !== PACKET.requestSense) unit.sense = SENSE.none;
    switch (operation) {
      case PACKET.requestSense:
        this.#requestSense(exchange, packet);
        return;
      case PACKET.inquiry:
        this.#inquiry(exchange, packet);
        return;
      case PACKET.getConfiguration:
        this.#reply(exchange, getConfiguration(packet, unit.blocks), be16At(packet, 7));
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
        unit.isLocked = (packet[4]! & 1) !== 0;
        this.#done(exchange);
        return;
      case PACKET.mechanismStatus: {
        const DOOR_OPEN = 0x10;
        const status = Uint8Array.from([0, unit.isOpen ? DOOR_OPEN : 0, 0, 0, 0, 1, 0, 0]);
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
    const { blocks, isOpen } = this.#unit;
    if (blocks === null) {
      this.#check(exchange, isOpen ? SENSE.noMediumTrayOpen : SENSE.noMediumTrayClosed);
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
        // No audio is playing.
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
    const unit = this.#unit;
    const own = unit.sense;
    const sense = own.key === 0 ? (unit.takeAttention() ?? SENSE.none) : own;
    unit.sense = SENSE.none;
    this.#reply(exchange, encodeSense(sense), packet[4]!);
  }

  /** INQUIRY (SPC-4 §6.6): a removable CD drive (MMC). Its only vital product data page is the list of pages. */
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
    const unit = this.#unit;
    const status = (unit.isOpen ? 1 : 0) | (unit.hasMedium ? 2 : 0);
    const allocation = be16At(packet, 7);
    const answer = eventStatus(packet, unit.mediaEvent, status);
    // An event that the driver has no room for stays.
    if (answer?.length === 8 && allocation > 4) unit.mediaEvent = MEDIA_EVENT.none;
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
    // The medium type is left to other commands, and there are no block descriptors.
    const head = header === 4 ? [length, 0, 0, 0] : [length >> 8, length & 0xff, 0, 0, 0, 0, 0, 0];
    this.#reply(exchange, Uint8Array.from([...head, ...pages]), allocation);
  }

  /** Accepts pages, in which nothing can be changed. */
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
    if (this.#unit.move(!(flags & START))) this.#done(exchange);
    else this.#check(exchange, SENSE.removalPrevented);
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

  /** READ CD (MMC-6 §6.18), limited to what images contain: user data. */
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

  /** Responds with at most `allocation` bytes; null if a field of the command is invalid. */
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
    host.complete({ ...resultOf(registers, READY, 0), count: REASON.packet | REASON.toHost });
  }

  #check({ registers, host }: Exchange, sense: Sense): void {
    this.#unit.sense = sense;
    host.complete({
      ...resultOf(registers, READY | STATUS.error, (sense.key << 4) | ERROR.aborted),
      count: REASON.packet | REASON.toHost,
    });
  }
}
