import type { Cancel, Clock, DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf, stateOf } from '../../state.ts';
import type { Statistic } from '../../statistic.ts';
import { ENDPOINT_TYPE, type UsbDescription } from '../descriptors.ts';
import { RECIPIENT, REQUEST_TYPE, StandardRequests } from '../standard-requests.ts';
import type { SetupPacket, UsbDevice, UsbTransfer } from '../usb-device.ts';

/** Class, and subclass and protocols of devices that firmware can use (HID 1.11 §4). */
const HID_CLASS = 3;
export const BOOT = { none: [0, 0], keyboard: [1, 1], mouse: [1, 2] } as const;

/** Descriptors (§7.1), and requests of the class (§7.2). */
const DESCRIPTOR = { hid: 0x21, report: 0x22 } as const;
const GET_DESCRIPTOR = 6;
const REQUEST = {
  getReport: 0x01,
  getIdle: 0x02,
  getProtocol: 0x03,
  setReport: 0x09,
  setIdle: 0x0a,
  setProtocol: 0x0b,
} as const;
const REPORT_TYPE = { input: 1, output: 2 } as const;
const REPORT_PROTOCOL = 1;

const VERSION_1_11 = 0x0111;
const INPUT = 0x81;
/** The packet size in bytes, and milliseconds between reports. */
const MAX_PACKET = 8;
const INTERVAL = 10;
/** The unit of SET_IDLE's duration. */
const IDLE_UNIT_NS = 4_000_000n;

/** IDs by which drivers and their settings recognize the devices of virtual machines. */
const VENDOR = 0x0627;
const PRODUCT = 0x0001;

/** The reports, which distinguish the kinds of devices. */
export interface Reports {
  readonly descriptor: Uint8Array;
  /** A report of the current state. */
  readonly current: Uint8Array;
  /** The oldest event that has not been reported to the host; null if there is none. */
  take(): Uint8Array | null;
  /** Handles an output report. */
  output(report: Uint8Array): void;
  /** The device has been reset, or its driver has started over: drops pending events. */
  clear(): void;
  /** The driver has configured the device, or has stopped using it. */
  used(isUsed: boolean): void;
  resume(): void;
  save(): DeviceState;
  /** @throws DeviceStateError */
  load(state: DeviceState): void;
}

export type HidOptions = {
  readonly name: string;
  readonly product: string;
  readonly boot: readonly [number, number];
  readonly reports: Reports;
  readonly clock: Clock;
  /** Counts reports. */
  readonly statistic: Statistic;
};

/** A human interface device at full speed, with one interrupt endpoint (HID 1.11). */
export class HidDevice implements UsbDevice {
  readonly speed = 'full';
  readonly name: string;
  readonly product: string;
  readonly #reports: Reports;
  readonly #hidDescriptor: Uint8Array;
  readonly #standard: StandardRequests;
  readonly #clock: Clock;
  readonly #statistic: Statistic;
  #protocol = REPORT_PROTOCOL;
  /** In units of 4 ms: the interval at which the current state is reported again; 0 for never. */
  #idle = 0;
  #transfer: UsbTransfer | null = null;
  #repeatAt: bigint | null = null;
  #cancelRepeat: Cancel = () => {};
  #isQuiesced = false;

  constructor({ name, product, boot, reports, clock, statistic }: HidOptions) {
    this.name = name;
    this.product = product;
    this.#reports = reports;
    this.#clock = clock;
    this.#statistic = statistic;
    this.#hidDescriptor = hidDescriptor(reports.descriptor.length);
    const description: UsbDescription = {
      ...{ vendor: VENDOR, product: PRODUCT, speed: 'full', maxPacket: MAX_PACKET },
      names: { manufacturer: 'vring', product, serial: name },
      interfaceClass: [HID_CLASS, ...boot],
      classDescriptors: this.#hidDescriptor,
      endpoints: [
        { address: INPUT, type: ENDPOINT_TYPE.interrupt, maxPacket: MAX_PACKET, interval: INTERVAL },
      ],
    };
    this.#standard = new StandardRequests(description, { onConfigured: () => this.#configured() });
  }

  /** Whether the guest has a driver for it. */
  get isConfigured(): boolean {
    return this.#standard.isConfigured;
  }

  /** An event has occurred: reports it when the host asks. */
  changed(): void {
    this.#answer();
  }

  busReset(): void {
    this.#forget();
    this.#standard.reset();
  }

  control(setup: SetupPacket, data: Uint8Array): Uint8Array | null {
    const answer = this.#standard.control(setup);
    if (answer !== undefined) return answer;
    const { requestType, request, value } = setup;
    if ((requestType & REQUEST_TYPE.recipient) !== RECIPIENT.interface) return null;
    const isClass = (requestType & REQUEST_TYPE.kind) === REQUEST_TYPE.class;
    if (isClass) return this.isConfigured ? this.#classRequest(setup, data) : null;
    if (request !== GET_DESCRIPTOR) return null;
    if (value === DESCRIPTOR.report << 8) return this.#reports.descriptor;
    return value === DESCRIPTOR.hid << 8 ? this.#hidDescriptor : null;
  }

  submit(endpoint: number, transfer: UsbTransfer): void {
    if (!this.#standard.has(endpoint) || this.#standard.isHalted(endpoint)) {
      transfer.end({ kind: 'stall' });
      return;
    }
    this.#transfer = transfer;
    this.#answer();
  }

  cancel(endpoint: number, ended: () => void): void {
    if (endpoint === INPUT) this.#forget();
    ended();
  }

  reset(): void {
    this.busReset();
  }

  quiesce(done: () => void): void {
    this.#isQuiesced = true;
    this.#cancelRepeat();
    done();
  }

  resume(): void {
    this.#isQuiesced = false;
    this.#reports.resume();
    this.#answer();
  }

  save(): DeviceState {
    return {
      standard: this.#standard.save(),
      protocol: this.#protocol,
      idle: this.#idle,
      reports: this.#reports.save(),
    };
  }

  load(state: DeviceState): void {
    const protocol = numberOf(state, 'protocol', 1);
    const idle = numberOf(state, 'idle', 0xff);
    const standard = stateOf(state, 'standard');
    if (numberOf(standard, 'configuration') === 0 && (idle !== 0 || protocol !== REPORT_PROTOCOL))
      throw new DeviceStateError('idle', 'idle rate of a device in use');
    this.#standard.load(standard);
    this.#reports.load(stateOf(state, 'reports'));
    this.#reports.used(this.isConfigured);
    this.#protocol = protocol;
    this.#idle = idle;
    // The host controller submits transfers again.
    this.#forget();
  }

  close(): void {
    this.#forget();
    this.#statistic.release();
  }

  #forget(): void {
    this.#transfer = null;
    this.#repeatAt = null;
    this.#cancelRepeat();
  }

  #configured(): void {
    this.#protocol = REPORT_PROTOCOL;
    this.#idle = 0;
    this.#reports.clear();
    this.#reports.used(this.isConfigured);
  }

  #classRequest({ request, value }: SetupPacket, data: Uint8Array): Uint8Array | null {
    switch (request) {
      case REQUEST.getReport:
        return value >> 8 === REPORT_TYPE.input ? this.#reports.current : null;
      case REQUEST.setReport:
        if (value >> 8 !== REPORT_TYPE.output) return null;
        this.#reports.output(data);
        return NOTHING;
      case REQUEST.getIdle:
        return Uint8Array.of(this.#idle);
      case REQUEST.setIdle:
        this.#idle = value >> 8;
        this.#repeatAt = null;
        this.#answer();
        return NOTHING;
      case REQUEST.getProtocol:
        return Uint8Array.of(this.#protocol);
      case REQUEST.setProtocol:
        if (value > REPORT_PROTOCOL) return null;
        this.#protocol = value;
        return NOTHING;
      default:
        return null;
    }
  }

  /** Reports an event, or the current state when that is due. */
  #answer(): void {
    const transfer = this.#transfer;
    if (transfer === null || this.#isQuiesced) return;
    const report = this.#reports.take();
    if (report !== null) this.#send(transfer, report);
    else if (this.#idle > 0) this.#repeat();
  }

  #repeat(): void {
    const now = this.#clock.now();
    this.#repeatAt ??= now + BigInt(this.#idle) * IDLE_UNIT_NS;
    this.#cancelRepeat();
    this.#cancelRepeat = this.#clock.at(this.#repeatAt, () => {
      this.#repeatAt = null;
      if (this.#transfer !== null) this.#send(this.#transfer, this.#reports.current);
    });
  }

  #send(transfer: UsbTransfer, report: Uint8Array): void {
    this.#forget();
    this.#statistic.add(1);
    if (this.#idle > 0) this.#repeatAt = this.#clock.now() + BigInt(this.#idle) * IDLE_UNIT_NS;
    const sent = report.subarray(0, transfer.length);
    transfer.write(0, sent);
    transfer.end({ kind: 'done', length: sent.length });
  }
}

const NOTHING = new Uint8Array(0);

/** @param length of the report descriptor */
function hidDescriptor(length: number): Uint8Array {
  const le16 = (value: number) => [value & 0xff, value >> 8];
  return Uint8Array.from([
    ...[9, DESCRIPTOR.hid, ...le16(VERSION_1_11)],
    // No country code, one more descriptor.
    ...[0, 1, DESCRIPTOR.report, ...le16(length)],
  ]);
}
