import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import { EVENT_CONFIGURATION_BITS } from './event-requests.ts';
import { STATUS } from './status.ts';

/** Feature identifiers (NVMe base 1.4 §5.21.1). */
export const FEATURE = {
  arbitration: 0x01,
  powerManagement: 0x02,
  temperatureThreshold: 0x04,
  errorRecovery: 0x05,
  writeCache: 0x06,
  numberOfQueues: 0x07,
  interruptCoalescing: 0x08,
  interruptVector: 0x09,
  writeAtomicity: 0x0a,
  eventConfiguration: 0x0b,
} as const;

/** SEL of Get Features (§5.14.1): which value is returned. */
const SELECT = { current: 0, default: 1, saved: 2, capabilities: 3 } as const;
/** Capabilities of a feature. */
const [NAMESPACE_SPECIFIC, CHANGEABLE] = [1 << 1, 1 << 2];

/** Kelvin. The drive is always as warm, which is below the threshold by default. */
export const TEMPERATURE = { composite: 323, warning: 343, critical: 373 } as const;
/** Temperature threshold (§5.21.1.4): its kind, and the sensor, 0 for the composite temperature. */
const UNDER = 1 << 20;
const SENSOR = 0xf << 16;
const ALL_SENSORS = 0xf << 16;

/** The features whose values are only stored: their bits, and their values after a reset. */
const STORED: Readonly<Record<number, { readonly bits: number; readonly initial: number }>> = {
  [FEATURE.arbitration]: { bits: 0xffff_ff07, initial: 0x07 },
  [FEATURE.errorRecovery]: { bits: 0xffff, initial: 0 },
  [FEATURE.writeCache]: { bits: 1, initial: 1 },
  [FEATURE.interruptCoalescing]: { bits: 0xffff, initial: 0 },
  [FEATURE.writeAtomicity]: { bits: 1, initial: 0 },
  [FEATURE.eventConfiguration]: { bits: EVENT_CONFIGURATION_BITS, initial: 0 },
};
const STORED_KEYS = Object.keys(STORED).map(Number);
const COALESCING_DISABLED = 1 << 16;

/** What a command returns, as dword 0 of its completion; or why it fails. */
export type FeatureResult = { readonly status: number; readonly result?: number };
const INVALID: FeatureResult = { status: STATUS.invalidField };

/** The features of a controller (NVMe base 1.4 §5.14, §5.21). None of them can be saved. */
export class Features {
  readonly #queues: number;
  readonly #values = new Map<number, number>();
  /** 1 for vectors whose coalescing is disabled. */
  readonly #vectors: Uint8Array;
  #over: number = TEMPERATURE.warning;
  #under = 0;

  /** @param queues pairs of queues for I/O. @param vectors interrupt vectors */
  constructor(queues: number, vectors: number) {
    this.#queues = queues;
    this.#vectors = new Uint8Array(vectors);
    this.reset();
  }

  reset(): void {
    for (const key of STORED_KEYS) this.#values.set(key, STORED[key]!.initial);
    this.#vectors.fill(0);
    this.#over = TEMPERATURE.warning;
    this.#under = 0;
  }

  get hasWriteCache(): boolean {
    return this.#values.get(FEATURE.writeCache) === 1;
  }

  /** Which events the driver has enabled. */
  get eventConfiguration(): number {
    return this.#values.get(FEATURE.eventConfiguration)!;
  }

  /** Whether the temperature is beyond a threshold of the driver. */
  get isTemperatureReported(): boolean {
    return TEMPERATURE.composite >= this.#over || TEMPERATURE.composite <= this.#under;
  }

  /** @param selector dword 10 of the command. @param value dword 11 */
  get(selector: number, value: number): FeatureResult {
    const feature = selector & 0xff;
    const select = (selector >>> 8) & 0x7;
    const current = this.#current(feature, value);
    if (current === null || select > SELECT.capabilities) return INVALID;
    if (select === SELECT.current) return { status: STATUS.success, result: current };
    if (select === SELECT.capabilities) {
      const isOfNamespace = feature === FEATURE.errorRecovery;
      return { status: STATUS.success, result: CHANGEABLE | (isOfNamespace ? NAMESPACE_SPECIFIC : 0) };
    }
    return { status: STATUS.success, result: this.#initial(feature, value) };
  }

  /** @param selector dword 10 of the command. @param value dword 11. @param hasQueues whether there are some for I/O */
  set(selector: number, value: number, hasQueues: boolean): FeatureResult {
    const feature = selector & 0xff;
    if (this.#current(feature, value) === null) return INVALID;
    if (selector & 0x8000_0000) return { status: STATUS.featureNotSaveable };
    const stored = STORED[feature];
    if (stored !== undefined) {
      this.#values.set(feature, (value & stored.bits) >>> 0);
      return { status: STATUS.success };
    }
    switch (feature) {
      case FEATURE.powerManagement:
        // There is one power state.
        return (value & 0x1f) === 0 ? { status: STATUS.success } : INVALID;
      case FEATURE.temperatureThreshold:
        if (value & UNDER) this.#under = value & 0xffff;
        else this.#over = value & 0xffff;
        return { status: STATUS.success };
      case FEATURE.numberOfQueues:
        if ((value & 0xffff) === 0xffff || value >>> 16 === 0xffff) return INVALID;
        if (hasQueues) return { status: STATUS.commandSequenceError };
        return { status: STATUS.success, result: this.#allocated };
      default:
        this.#vectors[value & 0xffff] = value & COALESCING_DISABLED ? 1 : 0;
        return { status: STATUS.success };
    }
  }

  save(): DeviceState {
    const values = Object.fromEntries(STORED_KEYS.map(key => [`${key}`, this.#values.get(key)!]));
    return { values, vectors: this.#vectors.slice(), over: this.#over, under: this.#under };
  }

  /** @returns takes the checked state over. @throws DeviceStateError */
  load(state: DeviceState): () => void {
    const { values: given } = state;
    if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof Uint8Array)
      throw new DeviceStateError('values', 'features');
    const values = STORED_KEYS.map(key => [key, numberOf(given, `${key}`, STORED[key]!.bits)] as const);
    for (const [key, value] of values)
      if ((value & ~STORED[key]!.bits) !== 0) throw new DeviceStateError(`${key}`, 'feature');
    const vectors = bytesOf(state, 'vectors');
    if (vectors.length !== this.#vectors.length || vectors.some(value => value > 1))
      throw new DeviceStateError('vectors', `list of ${this.#vectors.length} vectors`);
    const [over, under] = [numberOf(state, 'over', 0xffff), numberOf(state, 'under', 0xffff)];
    return () => {
      for (const [key, value] of values) this.#values.set(key, value);
      this.#vectors.set(vectors);
      this.#over = over;
      this.#under = under;
    };
  }

  get #allocated(): number {
    return ((this.#queues - 1) << 16) | (this.#queues - 1);
  }

  /** Null if there is no such feature, sensor or vector. */
  #current(feature: number, value: number): number | null {
    const stored = this.#values.get(feature);
    if (stored !== undefined) return stored;
    switch (feature) {
      case FEATURE.powerManagement:
        return 0;
      case FEATURE.temperatureThreshold: {
        const sensor = value & SENSOR;
        const kind = value & (3 << 20);
        if ((sensor !== 0 && sensor !== ALL_SENSORS) || kind > UNDER) return null;
        return kind === UNDER ? this.#under : this.#over;
      }
      case FEATURE.numberOfQueues:
        return this.#allocated;
      case FEATURE.interruptVector: {
        const vector = value & 0xffff;
        const isDisabled = this.#vectors[vector];
        return isDisabled === undefined ? null : vector | (isDisabled ? COALESCING_DISABLED : 0);
      }
      default:
        return null;
    }
  }

  #initial(feature: number, value: number): number {
    switch (feature) {
      case FEATURE.numberOfQueues:
        return this.#allocated;
      case FEATURE.interruptVector:
        return value & 0xffff;
      case FEATURE.temperatureThreshold:
        return value & UNDER ? 0 : TEMPERATURE.warning;
      default:
        return STORED[feature]?.initial ?? 0;
    }
  }
}
