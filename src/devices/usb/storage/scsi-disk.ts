import type { DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { be16At, be32At } from '../../scsi/cdb.ts';
import { encodeSense, SENSE, type Sense } from '../../scsi/sense.ts';
import { booleanOf, numberOf, stateOf } from '../../state.ts';
import type { Drive, DriveLock } from '../../storage/drive.ts';

/** Operation codes (SPC-4 §6, SBC-3 §5). */
const OPERATION = {
  testUnitReady: 0x00,
  requestSense: 0x03,
  read6: 0x08,
  write6: 0x0a,
  inquiry: 0x12,
  modeSelect6: 0x15,
  modeSense6: 0x1a,
  startStopUnit: 0x1b,
  preventAllow: 0x1e,
  readFormatCapacities: 0x23,
  readCapacity10: 0x25,
  read10: 0x28,
  write10: 0x2a,
  verify10: 0x2f,
  synchronizeCache10: 0x35,
  modeSense10: 0x5a,
  read16: 0x88,
  write16: 0x8a,
  synchronizeCache16: 0x91,
  serviceActionIn16: 0x9e,
  reportLuns: 0xa0,
  read12: 0xa8,
  write12: 0xaa,
} as const;
const READ_CAPACITY_16 = 0x10;

/** Commands that a pending unit attention does not fail (SPC-4 §5.14). */
const ATTENTION_PASSES: ReadonlySet<number> = new Set([
  OPERATION.requestSense,
  OPERATION.inquiry,
  OPERATION.reportLuns,
]);

const BLOCK = 512;
const MAX_32 = 2 ** 32 - 1;
const CACHING_PAGE = 0x08;

/** What a command needs from its transport, or how it has ended. */
export type ScsiStep =
  | { readonly kind: 'good' }
  | { readonly kind: 'failed' }
  /** The command has been carried out; its data goes to the host. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Data from the host that is accepted and ignored. */
  | { readonly kind: 'ignored'; readonly length: number }
  /** Disk contents go to or from the host. `durable`: they must be durable before the command ends. */
  | {
      readonly kind: 'read' | 'write';
      readonly offset: number;
      readonly length: number;
      readonly durable: boolean;
    }
  | { readonly kind: 'flush' };

const GOOD: ScsiStep = { kind: 'good' };

export type ScsiDiskIdentity = {
  /** At most 8, 16 and 4 characters. */
  readonly vendor: string;
  readonly product: string;
  readonly revision: string;
  readonly serial: string;
  readonly removable: boolean;
};

const ATTENTIONS = ['none', 'powerOn', 'mediumChanged', 'capacityChanged'] as const;
type Attention = (typeof ATTENTIONS)[number];

/**
 * The commands of a disk with 512-byte blocks (SPC-4, SBC-3), for a model on the machine thread, independent of how
 * commands and data are transported.
 */
export class ScsiDisk implements DriveLock {
  readonly #drive: Drive;
  readonly #identity: ScsiDiskIdentity;
  #sense: Sense = SENSE.none;
  #attention: Attention = 'powerOn';
  #locked = false;

  constructor(drive: Drive, identity: ScsiDiskIdentity) {
    this.#drive = drive;
    this.#identity = identity;
    drive.onResized = () => {
      this.#attention = 'capacityChanged';
    };
  }

  /** The guest prevents the removal of the medium. */
  get locked(): boolean {
    return this.#locked;
  }

  /** A disk has no way to ask its driver for that. */
  requestEject(): void {}

  mediumChanged(): void {
    this.#attention = 'mediumChanged';
    if (this.#drive.disk === null) this.#locked = false;
    this.#drive.changed();
  }

  reset(): void {
    this.#sense = SENSE.none;
    this.#attention = 'powerOn';
    this.#locked = false;
  }

  /** Begins a command of up to 16 bytes, padded with zeros. */
  begin(command: Uint8Array): ScsiStep {
    const operation = command[0]!;
    const attention = this.#attention;
    if (attention !== 'none' && !ATTENTION_PASSES.has(operation)) {
      this.#attention = 'none';
      return this.#failed(SENSE[attention]);
    }
    if (operation !== OPERATION.requestSense) this.#sense = SENSE.none;
    switch (operation) {
      case OPERATION.requestSense:
        return this.#requestSense(command[4]!);
      case OPERATION.inquiry:
        return this.#inquiry(command);
      case OPERATION.reportLuns:
        return answer([0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], be32At(command, 6));
      case OPERATION.modeSense6:
        return this.#modeSense(command, 4, command[4]!);
      case OPERATION.modeSense10:
        return this.#modeSense(command, 8, be16At(command, 7));
      case OPERATION.modeSelect6:
        return { kind: 'ignored', length: command[4]! };
      case OPERATION.startStopUnit:
        return GOOD;
      case OPERATION.preventAllow:
        this.#locked = this.#identity.removable && (command[4]! & 1) !== 0;
        this.#drive.changed();
        return GOOD;
      default:
        return this.#withMedium(operation, command);
    }
  }

  /** The end of a command whose data or flush has failed. */
  fail(error: DiskPortError, access: 'read' | 'write'): ScsiStep {
    if (error === 'readonly') return this.#failed(SENSE.writeProtected);
    if (error === 'range') return this.#failed(SENSE.outOfRange);
    if (error === 'memory') return this.#failed(SENSE.aborted);
    return this.#failed(access === 'read' ? SENSE.unrecoveredRead : SENSE.writeError);
  }

  save(): DeviceState {
    return {
      sense: { ...this.#sense },
      attention: ATTENTIONS.indexOf(this.#attention),
      locked: this.#locked,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const sense = stateOf(state, 'sense');
    const loaded = {
      key: numberOf(sense, 'key', 0xf),
      asc: numberOf(sense, 'asc', 0xff),
      ascq: numberOf(sense, 'ascq', 0xff),
    };
    const attention = ATTENTIONS[numberOf(state, 'attention', ATTENTIONS.length - 1)]!;
    this.#locked = booleanOf(state, 'locked');
    this.#sense = loaded;
    this.#attention = attention;
  }

  #withMedium(operation: number, command: Uint8Array): ScsiStep {
    const { disk } = this.#drive;
    if (disk === null) return this.#failed(SENSE.noMedium);
    const blocks = disk.size / BLOCK;
    switch (operation) {
      case OPERATION.testUnitReady:
        return GOOD;
      case OPERATION.readCapacity10:
        return answer([...be32(Math.min(blocks - 1, MAX_32)), ...be32(BLOCK)], 8);
      case OPERATION.serviceActionIn16:
        if ((command[1]! & 0x1f) !== READ_CAPACITY_16) return this.#failed(SENSE.invalidField);
        return answer(
          [...be64(blocks - 1), ...be32(BLOCK), ...new Array<number>(20).fill(0)],
          be32At(command, 10),
        );
      case OPERATION.readFormatCapacities: {
        const FORMATTED = 2;
        const sizes = [...be32(Math.min(blocks, MAX_32)), FORMATTED, ...be32(BLOCK).slice(1)];
        return answer([0, 0, 0, sizes.length, ...sizes], be16At(command, 7));
      }
      case OPERATION.synchronizeCache10:
      case OPERATION.synchronizeCache16:
        return { kind: 'flush' };
      case OPERATION.verify10: {
        const COMPARE = 0x02;
        if (command[1]! & COMPARE) return this.#failed(SENSE.invalidField);
        return be32At(command, 2) + be16At(command, 7) <= blocks ? GOOD : this.#failed(SENSE.outOfRange);
      }
      case OPERATION.read6:
      case OPERATION.write6: {
        const first = ((command[1]! & 0x1f) << 16) | be16At(command, 2);
        return this.#transfer(operation === OPERATION.read6, blocks, first, command[4] || 256, false);
      }
      case OPERATION.read10:
      case OPERATION.write10: {
        const [first, count] = [be32At(command, 2), be16At(command, 7)];
        return this.#transfer(operation === OPERATION.read10, blocks, first, count, isForced(command));
      }
      case OPERATION.read12:
      case OPERATION.write12: {
        const [first, count] = [be32At(command, 2), be32At(command, 6)];
        return this.#transfer(operation === OPERATION.read12, blocks, first, count, isForced(command));
      }
      case OPERATION.read16:
      case OPERATION.write16: {
        const first = be32At(command, 2) * 2 ** 32 + be32At(command, 6);
        return this.#transfer(
          operation === OPERATION.read16,
          blocks,
          first,
          be32At(command, 10),
          isForced(command),
        );
      }
      default:
        return this.#failed(SENSE.invalidOperation);
    }
  }

  #transfer(isRead: boolean, blocks: number, first: number, count: number, durable: boolean): ScsiStep {
    if (first + count > blocks) return this.#failed(SENSE.outOfRange);
    if (!isRead && this.#isReadOnly) return this.#failed(SENSE.writeProtected);
    if (count === 0) return GOOD;
    return {
      kind: isRead ? 'read' : 'write',
      offset: first * BLOCK,
      length: count * BLOCK,
      durable: durable && !isRead,
    };
  }

  get #isReadOnly(): boolean {
    return this.#drive.medium?.readonly === true;
  }

  #requestSense(allocation: number): ScsiStep {
    const attention = this.#attention;
    const sense = this.#sense === SENSE.none && attention !== 'none' ? SENSE[attention] : this.#sense;
    if (sense !== this.#sense) this.#attention = 'none';
    this.#sense = SENSE.none;
    return answer([...encodeSense(sense)], allocation);
  }

  #inquiry(command: Uint8Array): ScsiStep {
    const VITAL = 0x01;
    const allocation = be16At(command, 3);
    const page = command[2]!;
    if (command[1]! & VITAL) {
      const content = this.#vitalPage(page);
      return content === null
        ? this.#failed(SENSE.invalidField)
        : answer([0, page, content.length >> 8, content.length & 0xff, ...content], allocation);
    }
    if (page !== 0) return this.#failed(SENSE.invalidField);
    const { vendor, product, revision, removable } = this.#identity;
    const SPC_4 = 6;
    const names = [...ascii(vendor, 8), ...ascii(product, 16), ...ascii(revision, 4)];
    const rest = [0, 0, 0, ...names];
    return answer([0, removable ? 0x80 : 0, SPC_4, 2, rest.length, ...rest], allocation);
  }

  #vitalPage(page: number): number[] | null {
    const { serial } = this.#identity;
    switch (page) {
      case 0x00:
        return [0x00, 0x80, 0xb1];
      case 0x80:
        return ascii(serial, serial.length);
      case 0xb1: {
        // Block device characteristics: non-rotating.
        const content = new Array<number>(60).fill(0);
        content[1] = 1;
        return content;
      }
      default:
        return null;
    }
  }

  #modeSense(command: Uint8Array, header: 4 | 8, allocation: number): ScsiStep {
    const SAVED = 3;
    const CHANGEABLE = 1;
    const control = command[2]! >> 6;
    const page = command[2]! & 0x3f;
    if (control === SAVED) return this.#failed(SENSE.savingNotSupported);
    if (page !== CACHING_PAGE && page !== 0x3f) return this.#failed(SENSE.invalidField);
    const WRITE_CACHE = 0x04;
    const caching = [
      CACHING_PAGE,
      18,
      control === CHANGEABLE ? 0 : WRITE_CACHE,
      ...new Array<number>(17).fill(0),
    ];
    const WRITE_PROTECTED = 0x80;
    const DPO_FUA = 0x10;
    const flags = (this.#isReadOnly ? WRITE_PROTECTED : 0) | DPO_FUA;
    const length = header + caching.length - (header === 4 ? 1 : 2);
    const head = header === 4 ? [length, 0, flags, 0] : [0, length, 0, flags, 0, 0, 0, 0];
    return answer([...head, ...caching], allocation);
  }

  #failed(sense: Sense): ScsiStep {
    this.#sense = sense;
    return { kind: 'failed' };
  }
}

/** FUA of commands with 10 bytes or more. */
function isForced(command: Uint8Array): boolean {
  return (command[1]! & 0x08) !== 0;
}

function answer(bytes: readonly number[], allocation: number): ScsiStep {
  return { kind: 'bytes', bytes: Uint8Array.from(bytes.slice(0, allocation)) };
}

const be32 = (value: number) => [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) & 0xff);
const be64 = (value: number) => [...be32(Math.floor(value / 2 ** 32)), ...be32(value % 2 ** 32)];

/** Padded with spaces. */
function ascii(text: string, length: number): number[] {
  return Array.from({ length }, (_, at) => (at < text.length ? text.charCodeAt(at) & 0x7f : 0x20));
}
