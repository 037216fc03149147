import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import { TEMPERATURE } from './features.ts';
import { ERROR_ENTRIES, namespaceList } from './identify.ts';

/** Log pages (NVMe base 1.4 §5.14.1). */
export const LOG = { errors: 0x01, smart: 0x02, firmware: 0x03, changedNamespaces: 0x04 } as const;

const ERROR_BYTES = 64;
const SMART_BYTES = 512;
const FIRMWARE_BYTES = 512;
/** Bytes of a data unit of the SMART log. */
const DATA_UNIT = 512 * 1000;
/** Critical warning: the temperature is beyond a threshold. */
const TEMPERATURE_WARNING = 1 << 1;
/** More changes than a list has room for would be reported as this. */
const MAX_NAMESPACE = 0xffff;

/** A failed command, or a doorbell that has been written wrongly: then the command and its queue are 0xffff. */
export type LoggedError = {
  readonly queue: number;
  readonly command: number;
  /** The status field. */
  readonly status: number;
  readonly lba: number;
  readonly namespace: number;
};

/** What is counted from power-on. */
const COUNTS = ['reads', 'writes', 'bytesRead', 'bytesWritten', 'mediaErrors', 'errors'] as const;
type Count = (typeof COUNTS)[number];

/** The logs of a controller. */
export class Logs {
  readonly #firmware: string;
  readonly #counts: Record<Count, number> = zeros();
  /** The latest first. */
  #errors: Uint8Array[] = [];
  readonly #changed = new Set<number>();

  /** @param firmware its revision, at most 8 ASCII characters */
  constructor(firmware: string) {
    this.#firmware = firmware;
  }

  /** Power-on. */
  reset(): void {
    Object.assign(this.#counts, zeros());
    this.#errors = [];
    this.#changed.clear();
  }

  /** A reset of the controller: the driver will look at all namespaces. */
  controllerReset(): void {
    this.#changed.clear();
  }

  count(what: Count, amount: number): void {
    this.#counts[what] = Math.min(Number.MAX_SAFE_INTEGER, this.#counts[what] + amount);
  }

  namespaceChanged(id: number): void {
    this.#changed.add(id);
  }

  failed({ queue, command, status, lba, namespace }: LoggedError): void {
    this.count('errors', 1);
    const entry = new Uint8Array(ERROR_BYTES);
    const view = new DataView(entry.buffer);
    view.setBigUint64(0, BigInt(this.#counts.errors), true);
    view.setUint16(8, queue, true);
    view.setUint16(10, command, true);
    view.setUint16(12, status << 1, true);
    // The location of the wrong parameter: not given.
    view.setUint16(14, 0xffff, true);
    view.setBigUint64(16, BigInt(lba), true);
    view.setUint32(24, namespace, true);
    this.#errors = [entry, ...this.#errors].slice(0, ERROR_ENTRIES);
  }

  /** All of a page; null if there is no such. @param isHot whether the temperature is beyond a threshold */
  page(id: number, isHot: boolean): Uint8Array | null {
    switch (id) {
      case LOG.errors: {
        const bytes = new Uint8Array(ERROR_ENTRIES * ERROR_BYTES);
        for (const [index, entry] of this.#errors.entries()) bytes.set(entry, index * ERROR_BYTES);
        return bytes;
      }
      case LOG.smart:
        return this.#smart(isHot);
      case LOG.firmware: {
        const bytes = new Uint8Array(FIRMWARE_BYTES);
        bytes[0] = 1;
        bytes.set(new TextEncoder().encode(this.#firmware.padEnd(8).slice(0, 8)), 8);
        return bytes;
      }
      case LOG.changedNamespaces:
        return namespaceList([...this.#changed].sort((a, b) => a - b));
      default:
        return null;
    }
  }

  /** The driver has read a page. */
  read(id: number): void {
    if (id === LOG.changedNamespaces) this.#changed.clear();
  }

  save(): DeviceState {
    const errors = new Uint8Array(this.#errors.length * ERROR_BYTES);
    for (const [index, entry] of this.#errors.entries()) errors.set(entry, index * ERROR_BYTES);
    const changed = new Uint8Array(Uint16Array.from(this.#changed).buffer);
    return { ...this.#counts, entries: errors, changed };
  }

  /** @returns takes the checked state over. @throws DeviceStateError */
  load(state: DeviceState): () => void {
    const counts = Object.fromEntries(COUNTS.map(count => [count, numberOf(state, count)]));
    const entries = bytesOf(state, 'entries');
    if (entries.length % ERROR_BYTES !== 0 || entries.length > ERROR_ENTRIES * ERROR_BYTES)
      throw new DeviceStateError('entries', 'list of errors');
    const changed = bytesOf(state, 'changed');
    if (changed.length % 2 !== 0 || changed.length > 2 * MAX_NAMESPACE)
      throw new DeviceStateError('changed', 'list of namespaces');
    return () => {
      Object.assign(this.#counts, counts);
      this.#errors = [];
      for (let at = 0; at < entries.length; at += ERROR_BYTES)
        this.#errors.push(entries.slice(at, at + ERROR_BYTES));
      this.#changed.clear();
      for (const id of new Uint16Array(changed.slice().buffer)) this.#changed.add(id);
    };
  }

  /** SMART / Health Information (§5.14.1.2): 128-bit counts, of which these never use more than half. */
  #smart(isHot: boolean): Uint8Array {
    const bytes = new Uint8Array(SMART_BYTES);
    const view = new DataView(bytes.buffer);
    const { reads, writes, bytesRead, bytesWritten, mediaErrors, errors } = this.#counts;
    bytes[0] = isHot ? TEMPERATURE_WARNING : 0;
    view.setUint16(1, TEMPERATURE.composite, true);
    // Spare blocks and their threshold, in percent.
    bytes.set([100, 10], 3);
    const put = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
    put(32, Math.ceil(bytesRead / DATA_UNIT));
    put(48, Math.ceil(bytesWritten / DATA_UNIT));
    put(64, reads);
    put(80, writes);
    put(112, 1);
    put(160, mediaErrors);
    put(176, errors);
    return bytes;
  }
}

function zeros(): Record<Count, number> {
  return { reads: 0, writes: 0, bytesRead: 0, bytesWritten: 0, mediaErrors: 0, errors: 0 };
}
