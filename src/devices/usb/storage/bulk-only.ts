import type { DiskPortError } from '../../backends/disk-port.ts';
import type { DeviceState } from '../../device.ts';
import { booleanOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type { Drive } from '../../storage/drive.ts';
import { ENDPOINT_TYPE, type EndpointDescription, type UsbDescription } from '../descriptors.ts';
import { REQUEST_TYPE, StandardRequests } from '../standard-requests.ts';
import type { SetupPacket, UsbDevice, UsbTransfer } from '../usb-device.ts';
import { moveDiskData } from './disk-data.ts';
import type { ScsiDisk, ScsiStep } from './scsi-disk.ts';
import { COMMAND_WRAPPER_BYTES, parseCommandWrapper, STATUS, statusWrapper } from './wrappers.ts';

/**
 * Mass storage, SCSI transparent command set, bulk-only transport (Mass Storage Class Specification Overview 1.4 §2,
 * §3).
 */
const INTERFACE_CLASS = [0x08, 0x06, 0x50] as const;
/** Requests of the class (Bulk-Only Transport 1.0 §3). */
const REQUEST = { getMaxLun: 0xfe, reset: 0xff } as const;

const IN = 0x81;
const OUT = 0x02;

const MAX_32 = 2 ** 32 - 1;

const PHASES = ['command', 'data', 'status', 'failed'] as const;
/** `failed`: an invalid command was received, and only a reset continues from here (§6.6.1). */
type Phase = (typeof PHASES)[number];

/** The source of a command's data: disk contents, bytes of a response, or nothing that is kept. */
const SOURCES = ['none', 'disk', 'bytes'] as const;

export type BulkOnlyOptions = {
  readonly drive: Drive;
  readonly disk: ScsiDisk;
  readonly serial: string;
  readonly product: string;
};

/** A SCSI disk behind USB Mass Storage's bulk-only transport: a command, its data and its status, in turn. */
export class BulkOnlyDisk implements UsbDevice {
  readonly speed = 'high';
  readonly name: string;
  readonly product: string;
  readonly #drive: Drive;
  readonly #disk: ScsiDisk;
  readonly #standard: StandardRequests;
  #phase: Phase = 'command';
  #tag = 0;
  /** Bytes of data that the host still expects to be transferred. */
  #expected = 0;
  /** The meaningful bytes of those, whose source is `#source`. */
  #left = 0;
  #toHost = false;
  #source: (typeof SOURCES)[number] = 'none';
  /** The offset on the disk of the next byte. */
  #offset = 0;
  #bytes = NOTHING;
  #durable = false;
  #residue = 0;
  #status: number = STATUS.passed;
  /** Whether a disk request is under way; `#generation` tells it from earlier ones. */
  #isBusy = false;
  /** Whether writes must be made durable before the status. */
  #needsFlush = false;
  #generation = 0;
  readonly #transfers: { [IN]: UsbTransfer | null; [OUT]: UsbTransfer | null } = { [IN]: null, [OUT]: null };

  constructor({ drive, disk, serial, product }: BulkOnlyOptions) {
    this.name = drive.name;
    this.product = product;
    this.#drive = drive;
    this.#disk = disk;
    drive.onMediumChanged = () => this.#mediumChanged();
    const description: UsbDescription = {
      ...{ vendor: 0x46f4, product: 0x0001, speed: 'high', maxPacket: 64 },
      names: { manufacturer: 'vring', product, serial },
      interfaceClass: INTERFACE_CLASS,
      classDescriptors: NOTHING,
      endpoints: bulkEndpoints(512),
      otherEndpoints: bulkEndpoints(64),
    };
    this.#standard = new StandardRequests(description, {
      onConfigured: () => this.#restart(),
      onUnhalted: endpoint => {
        // Only a class reset ends this (§5.3.4).
        if (this.#phase === 'failed') this.#standard.halt(endpoint);
      },
    });
  }

  busReset(): void {
    this.#standard.reset();
    this.#forget();
  }

  control(setup: SetupPacket): Uint8Array | null {
    const answer = this.#standard.control(setup);
    if (answer !== undefined) return answer;
    if (!this.#standard.isConfigured || (setup.requestType & REQUEST_TYPE.kind) !== REQUEST_TYPE.class)
      return null;
    switch (setup.request) {
      case REQUEST.getMaxLun:
        return Uint8Array.of(0);
      case REQUEST.reset:
        // Halted endpoints stay halted (§3.1).
        this.#restart();
        return NOTHING;
      default:
        return null;
    }
  }

  submit(endpoint: number, transfer: UsbTransfer): void {
    if (
      (endpoint !== IN && endpoint !== OUT) ||
      !this.#standard.has(endpoint) ||
      this.#standard.isHalted(endpoint)
    ) {
      transfer.end({ kind: 'stall' });
      return;
    }
    this.#transfers[endpoint] = transfer;
    this.#continue();
  }

  cancel(endpoint: number, ended: () => void): void {
    if (endpoint !== IN && endpoint !== OUT) {
      ended();
      return;
    }
    this.#transfers[endpoint] = null;
    const isOurs = this.#isBusy && this.#phase === 'data' && (endpoint === IN) === this.#toHost;
    if (!isOurs) {
      ended();
      return;
    }
    this.#drop(ended);
  }

  reset(): void {
    this.busReset();
    this.#disk.reset();
  }

  quiesce(done: () => void): void {
    this.#drive.quiesce(done);
  }

  resume(): void {
    this.#drive.resume();
    this.#continue();
  }

  save(): DeviceState {
    return {
      standard: this.#standard.save(),
      drive: this.#drive.save(),
      disk: this.#disk.save(),
      phase: PHASES.indexOf(this.#phase),
      tag: this.#tag,
      expected: this.#expected,
      left: this.#left,
      toHost: this.#toHost,
      source: SOURCES.indexOf(this.#source),
      offset: this.#offset,
      bytes: this.#bytes.slice(),
      durable: this.#durable,
      residue: this.#residue,
      status: this.#status,
      needsFlush: this.#needsFlush,
    };
  }

  load(state: DeviceState): void {
    const phase = PHASES[numberOf(state, 'phase', PHASES.length - 1)]!;
    const source = SOURCES[numberOf(state, 'source', SOURCES.length - 1)]!;
    const tag = numberOf(state, 'tag', MAX_32);
    const expected = numberOf(state, 'expected', MAX_32);
    const left = numberOf(state, 'left', expected);
    const offset = numberOf(state, 'offset');
    const bytes = state.bytes;
    if (!(bytes instanceof Uint8Array) || (source === 'bytes' && left > bytes.length))
      throw new DeviceStateError('bytes', 'bytes');
    const residue = numberOf(state, 'residue', MAX_32);
    const status = numberOf(state, 'status', STATUS.phaseError);
    const flags = [
      booleanOf(state, 'toHost'),
      booleanOf(state, 'durable'),
      booleanOf(state, 'needsFlush'),
    ] as const;
    const standard = stateOf(state, 'standard');
    if (numberOf(standard, 'configuration') === 0 && phase !== 'command')
      throw new DeviceStateError('phase', 'phase of a device in use');
    this.#disk.load(stateOf(state, 'disk'));
    this.#standard.load(standard);
    this.#drive.load(stateOf(state, 'drive'));
    this.#forget();
    this.#phase = phase;
    this.#source = source;
    [this.#tag, this.#expected, this.#left, this.#offset] = [tag, expected, left, offset];
    [this.#bytes, this.#residue, this.#status] = [bytes.slice(), residue, status];
    [this.#toHost, this.#durable, this.#needsFlush] = flags;
  }

  close(): void {
    this.#forget();
    this.#drive.close();
  }

  /** Prepares for the next command, whatever the state; waiting transfers stay queued. */
  #restart(): void {
    if (this.#isBusy) this.#drop(() => {});
    this.#phase = 'command';
    this.#tag = 0;
    this.#expected = 0;
    this.#left = 0;
    this.#toHost = false;
    this.#source = 'none';
    this.#offset = 0;
    this.#bytes = NOTHING;
    this.#durable = false;
    this.#needsFlush = false;
    this.#residue = 0;
    this.#status = STATUS.passed;
  }

  /** Drops transfers, since the host controller submits them again. */
  #forget(): void {
    this.#generation++;
    this.#isBusy = false;
    this.#transfers[IN] = null;
    this.#transfers[OUT] = null;
  }

  /** Cancels the disk request without continuing afterward. */
  #drop(ended: () => void): void {
    this.#generation++;
    this.#isBusy = false;
    const { port } = this.#drive;
    if (port === null) ended();
    else port.cancel(ended);
  }

  /** A pending request must be ended explicitly when its medium is gone. */
  #mediumChanged(): void {
    this.#disk.mediumChanged();
    if (!this.#isBusy) return;
    this.#generation++;
    this.#isBusy = false;
    const access = this.#toHost ? 'read' : 'write';
    if (this.#phase === 'data') this.#failData('host', access);
    else this.#fail('host', access);
    this.#continue();
  }

  /** Makes as much progress as possible with the waiting transfers. */
  #continue(): void {
    while (!this.#isBusy && this.#step()) {
      // Until nothing more can be done for now.
    }
  }

  /** @returns whether it made progress */
  #step(): boolean {
    switch (this.#phase) {
      case 'command': {
        const transfer = this.#take(OUT);
        if (transfer === null) return false;
        this.#command(transfer);
        return true;
      }
      case 'data': {
        const transfer = this.#transfers[this.#toHost ? IN : OUT];
        if (transfer === null) return false;
        this.#data(transfer);
        return true;
      }
      case 'status': {
        if (this.#needsFlush) {
          this.#flush();
          return true;
        }
        const transfer = this.#take(IN);
        if (transfer === null) return false;
        this.#sendStatus(transfer);
        return true;
      }
      case 'failed':
        return false;
    }
  }

  #take(endpoint: typeof IN | typeof OUT): UsbTransfer | null {
    const transfer = this.#transfers[endpoint];
    this.#transfers[endpoint] = null;
    return transfer;
  }

  #command(transfer: UsbTransfer): void {
    const bytes =
      transfer.length === COMMAND_WRAPPER_BYTES ? transfer.read(0, COMMAND_WRAPPER_BYTES) : NOTHING;
    const wrapper = parseCommandWrapper(bytes);
    if (wrapper === null) {
      this.#phase = 'failed';
      this.#standard.halt(IN);
      this.#standard.halt(OUT);
      this.#take(IN)?.end({ kind: 'stall' });
      transfer.end({ kind: 'stall' });
      return;
    }
    this.#tag = wrapper.tag;
    this.#expected = wrapper.length;
    this.#residue = wrapper.length;
    this.#toHost = wrapper.toHost;
    this.#status = STATUS.passed;
    this.#begin(this.#disk.begin(wrapper.command));
    transfer.end({ kind: 'done', length: COMMAND_WRAPPER_BYTES });
  }

  /** The host's expectation determines what is transferred, whatever the command needs (§6.7). */
  #begin(step: ScsiStep): void {
    this.#source = 'none';
    this.#left = 0;
    this.#durable = false;
    switch (step.kind) {
      case 'failed':
        this.#status = STATUS.failed;
        break;
      case 'flush':
        this.#needsFlush = true;
        break;
      case 'bytes':
        // A response is truncated to what the host expects.
        if (!this.#goes(true, Math.min(step.bytes.length, this.#expected))) break;
        this.#source = 'bytes';
        this.#bytes = step.bytes.slice(0, this.#left);
        break;
      case 'ignored':
        this.#goes(false, step.length);
        break;
      case 'read':
      case 'write':
        if (!this.#goes(step.kind === 'read', step.length)) break;
        this.#source = 'disk';
        this.#offset = step.offset;
        this.#durable = step.durable;
        break;
    }
    this.#phase = this.#expected > 0 ? 'data' : 'status';
  }

  /** Whether the host expects data in this direction, and enough of it; if not, none of it is meaningful. */
  #goes(toHost: boolean, length: number): boolean {
    const isExpected = length === 0 || (toHost === this.#toHost && length <= this.#expected);
    if (!isExpected) this.#status = STATUS.phaseError;
    else this.#left = length;
    return isExpected && length > 0;
  }

  /** A transfer of data. What the host expects beyond the actual data is sent as zeros, or discarded. */
  #data(transfer: UsbTransfer): void {
    const length = Math.min(transfer.length, this.#expected);
    const useful = Math.min(length, this.#left);
    if (this.#source === 'disk' && useful > 0) {
      this.#diskData(transfer, length, useful);
      return;
    }
    if (this.#toHost) {
      if (useful > 0)
        transfer.write(0, this.#bytes.subarray(this.#bytes.length - this.#left).subarray(0, useful));
      fillZeros(transfer, useful, length);
    }
    this.#dataDone(transfer, length, useful);
  }

  #diskData(transfer: UsbTransfer, length: number, useful: number): void {
    const { port } = this.#drive;
    const access = this.#toHost ? 'read' : 'write';
    if (port === null) {
      this.#failData('host', access);
      return;
    }
    const generation = this.#generation;
    this.#isBusy = true;
    const done = (error: DiskPortError | null) => {
      if (generation !== this.#generation) return;
      this.#isBusy = false;
      if (error === null) {
        if (this.#toHost) fillZeros(transfer, useful, length);
        this.#dataDone(transfer, length, useful);
      } else this.#failData(error, access);
      this.#continue();
    };
    const isCurrent = () => generation === this.#generation;
    moveDiskData(port, transfer, { access, offset: this.#offset, length: useful, isCurrent }, done);
  }

  #dataDone(transfer: UsbTransfer, length: number, useful: number): void {
    this.#take(this.#toHost ? IN : OUT);
    this.#expected -= length;
    this.#left -= useful;
    this.#offset += useful;
    this.#residue -= useful;
    // A short transfer from the host also ends the data.
    if (this.#expected === 0 || (length === 0 && !this.#toHost)) this.#endData();
    transfer.end({ kind: 'done', length });
  }

  #endData(): void {
    this.#phase = 'status';
    this.#bytes = NOTHING;
    this.#needsFlush ||= this.#durable;
  }

  /** The rest of the data is meaningless. */
  #failData(error: DiskPortError, access: 'read' | 'write'): void {
    this.#fail(error, access);
    this.#source = 'none';
    this.#left = 0;
    this.#durable = false;
  }

  #fail(error: DiskPortError, access: 'read' | 'write'): void {
    this.#disk.fail(error, access);
    this.#status = STATUS.failed;
    this.#needsFlush = false;
  }

  #flush(): void {
    const { port } = this.#drive;
    if (port === null) {
      this.#fail('host', 'write');
      return;
    }
    const generation = this.#generation;
    this.#isBusy = true;
    port.flush(error => {
      if (generation !== this.#generation) return;
      this.#isBusy = false;
      this.#needsFlush = false;
      if (error !== null) this.#fail(error, 'write');
      this.#continue();
    });
  }

  #sendStatus(transfer: UsbTransfer): void {
    const wrapper = statusWrapper(this.#tag, this.#residue, this.#status).subarray(0, transfer.length);
    transfer.write(0, wrapper);
    this.#restart();
    transfer.end({ kind: 'done', length: wrapper.length });
  }
}

const NOTHING = new Uint8Array(0);

function bulkEndpoints(maxPacket: number): EndpointDescription[] {
  return [IN, OUT].map(address => ({ address, type: ENDPOINT_TYPE.bulk, maxPacket, interval: 0 }));
}

function fillZeros(transfer: UsbTransfer, from: number, to: number): void {
  const ZEROS = 65536;
  for (let at = from; at < to; at += ZEROS) transfer.write(at, new Uint8Array(Math.min(ZEROS, to - at)));
}
