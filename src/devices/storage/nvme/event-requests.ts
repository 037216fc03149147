import type { DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';
import { type Complete, STATUS } from './status.ts';

/** Requests for events that a driver may have at a time (AERL, minus one). */
export const MAX_EVENT_REQUESTS = 4;

/** Types of events, and what is reported about each (NVMe base 1.4 §5.2.1). The log page has the details. */
export const EVENT = {
  invalidDoorbell: { type: 0, information: 0, page: 0x01 },
  invalidDoorbellValue: { type: 0, information: 1, page: 0x01 },
  temperature: { type: 1, information: 1, page: 0x02 },
  namespaceChanged: { type: 2, information: 0, page: 0x04 },
} as const;

export type EventKind = keyof typeof EVENT;

/** Bits of the asynchronous event configuration, for events that are reported only if enabled (§5.21.1.11). */
const ENABLED: Partial<Record<EventKind, number>> = { temperature: 1 << 1, namespaceChanged: 1 << 8 };
export const EVENT_CONFIGURATION_BITS = 0x102;
const KINDS = Object.keys(EVENT) as EventKind[];

/**
 * Asynchronous events (NVMe base 1.4 §5.2): each completes a request of the driver. Those of a type are masked from
 * then on, until the driver has read the log page.
 */
export class EventRequests {
  readonly #requests: Complete[] = [];
  /** What is to be reported, as bits of `KINDS`. */
  #pending = 0;
  /** Bits of masked types. */
  #masked = 0;

  reset(): void {
    this.#requests.length = 0;
    this.#pending = 0;
    this.#masked = 0;
  }

  /** The driver asks for an event. */
  request(complete: Complete): void {
    if (this.#requests.length === MAX_EVENT_REQUESTS) {
      complete(STATUS.tooManyEventRequests);
      return;
    }
    this.#requests.push(complete);
    this.#report();
  }

  /** @param configuration which events the driver has enabled. @returns whether this one is */
  raise(kind: EventKind, configuration: number): boolean {
    const enabled = ENABLED[kind];
    if (enabled !== undefined && (configuration & enabled) === 0) return false;
    this.#pending |= 1 << KINDS.indexOf(kind);
    this.#report();
    return true;
  }

  /** The driver has read a log page, and accepts more events. */
  logRead(page: number): void {
    for (const event of Object.values(EVENT)) if (event.page === page) this.#masked &= ~(1 << event.type);
    this.#report();
  }

  save(): DeviceState {
    return { pending: this.#pending, masked: this.#masked };
  }

  /** Requests are made again, as all commands are. @returns takes the checked state over. @throws DeviceStateError */
  load(state: DeviceState): () => void {
    const pending = numberOf(state, 'pending', 2 ** KINDS.length - 1);
    const masked = numberOf(state, 'masked', 0x7);
    return () => {
      this.reset();
      this.#pending = pending;
      this.#masked = masked;
    };
  }

  #report(): void {
    for (const [index, kind] of KINDS.entries()) {
      const { type, information, page } = EVENT[kind];
      const isDue = (this.#pending & (1 << index)) !== 0 && (this.#masked & (1 << type)) === 0;
      if (!isDue || this.#requests.length === 0) continue;
      this.#pending &= ~(1 << index);
      this.#masked |= 1 << type;
      this.#requests.shift()!(STATUS.success, type | (information << 8) | (page << 16));
    }
  }
}
