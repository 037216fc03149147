import { type Clock, systemClock } from '../../clock.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import type { Engine } from '../../engine/engine.ts';
import { sendInput } from './send-input.ts';

/** The most events kept for a guest that does not read its keys, or while the manager is away; more are dropped. */
const EVENTS_MAX = 20_000;
const BATCH = 512;

/** Sends a user's input to a guest, in order, one request at a time. */
export class InputQueue {
  readonly #engine: Pick<Engine, 'input'>;
  readonly #id: string;
  readonly #failed: (error: Error) => void;
  readonly #clock: Clock;
  #waiting: InputEvent[] = [];
  #isSending = false;

  /** @param failed called when input was lost */
  constructor(
    engine: Pick<Engine, 'input'>,
    id: string,
    failed: (error: Error) => void,
    clock: Clock = systemClock,
  ) {
    this.#engine = engine;
    this.#id = id;
    this.#failed = failed;
    this.#clock = clock;
  }

  push(events: readonly InputEvent[]): void {
    if (this.#waiting.length + events.length > EVENTS_MAX) return;
    this.#waiting.push(...events);
    if (!this.#isSending) void this.#send();
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH);
      try {
        await sendInput(this.#engine, this.#id, batch, this.#clock);
      } catch (error) {
        this.#waiting = [];
        this.#failed(error as Error);
      }
    }
    this.#isSending = false;
  }
}
