import type { DeviceState } from '../../device.ts';
import { booleanOf, stateOf } from '../../state.ts';
import type { Completed } from './commands.ts';
import type { GuestAccess } from './guest-access.ts';
import { COMMAND_RING, withHigh, withLow } from './registers.ts';
import { loadPlace, nextTrb, placeOf, RingError, type RingPlace, savePlace } from './ring.ts';
import { CODE, type Event, TRB, type Trb } from './trb.ts';

export type CommandRingHost = {
  readonly memory: GuestAccess;
  readonly execute: (trb: Trb, completed: Completed) => void;
  /** @throws HostSystemError */
  readonly put: (event: Event) => void;
  /** There may be another command. */
  readonly ended: () => void;
};

/** The command ring (xHCI 1.1 §4.6.1): commands are carried out one at a time. */
export class CommandRing {
  readonly #host: CommandRingHost;
  #place: RingPlace = placeOf(0);
  #isRunning = false;
  /** The command in progress; null if none. */
  #active: Trb | null = null;
  /** The driver has requested to stop the ring once that has ended. */
  #isStopping = false;

  constructor(host: CommandRingHost) {
    this.#host = host;
  }

  /** The value of its register (§5.4.5), which does not show the ring's position. */
  get control(): number {
    return this.#isRunning ? COMMAND_RING.running : 0;
  }

  /** @throws HostSystemError */
  writeControl(value: number): void {
    if (value & (COMMAND_RING.stop | COMMAND_RING.abort)) {
      // No command takes long enough to be aborted.
      if (this.#active !== null) this.#isStopping = true;
      else if (this.#isRunning) this.#stop();
      return;
    }
    if (this.#isRunning) return;
    const low = (value & ~0x3f) >>> 0;
    this.#place = { address: withLow(this.#place.address, low), cycle: value & COMMAND_RING.cycle ? 1 : 0 };
  }

  writeHigh(value: number): void {
    if (!this.#isRunning) this.#place = { ...this.#place, address: withHigh(this.#place.address, value) };
  }

  /** Its doorbell has been rung. */
  ring(): void {
    this.#isRunning = true;
  }

  /** Begins the next command. @returns whether there may be another right after it. @throws HostSystemError */
  step(): boolean {
    if (!this.#isRunning || this.#active !== null) return false;
    const next = this.#next();
    if (next === null) return false;
    const { trb, after } = next;
    this.#active = trb;
    this.#host.execute(trb, (code, slot) => {
      // The controller has been reset in the meantime.
      if (this.#active !== trb) return;
      this.#active = null;
      this.#place = after;
      this.#complete(trb.address, code, slot);
      if (this.#isStopping) this.#stop();
      this.#host.ended();
    });
    return this.#active === null;
  }

  /** A command in progress is restarted later. */
  forget(): void {
    this.#active = null;
  }

  reset(): void {
    this.#place = placeOf(0);
    this.#isRunning = false;
    this.#active = null;
    this.#isStopping = false;
  }

  save(): DeviceState {
    return { place: savePlace(this.#place), isRunning: this.#isRunning, isStopping: this.#isStopping };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const place = loadPlace(stateOf(state, 'place'));
    const isRunning = booleanOf(state, 'isRunning');
    this.#isStopping = booleanOf(state, 'isStopping');
    this.#place = place;
    this.#isRunning = isRunning;
    this.#active = null;
  }

  #next() {
    try {
      return nextTrb(this.#host.memory, this.#place);
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      this.#complete(this.#place.address, CODE.trbError, 0);
      this.#isRunning = false;
      return null;
    }
  }

  #stop(): void {
    this.#isRunning = false;
    this.#isStopping = false;
    this.#complete(this.#place.address, CODE.commandStopped, 0);
  }

  #complete(pointer: number, code: number, slot: number): void {
    this.#host.put({ type: TRB.commandCompletion, pointer, code, control: (slot << 24) >>> 0 });
  }
}
