import type { AccessSize, Cancel, DeviceState } from '../../device.ts';
import { type Leds, ledsOf } from '../../input/input-event.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf, stateOf } from '../../state.ts';
import { ModelQueue, type ModelQueueServices } from '../model-queue.ts';
import type { Chain } from '../ring/chain.ts';
import type { RunningQueue, VirtioDevice, VirtioDriver, VirtioQueue } from '../virtio-device.ts';
import {
  decodeEvent,
  EV,
  EVENT_BYTES,
  encodeEvent,
  LED,
  type QueueEvent,
  SYN_REPORT,
} from './event-codes.ts';
import { CONFIG_SIZE, InputConfig, type InputDescription } from './input-config.ts';
import { PendingUpdates } from './pending-updates.ts';

const QUEUE = { events: 0, status: 1 } as const;
const QUEUE_SIZE = 64;
/** Of LED, by their codes. */
const LED_BITS = { numLock: 1 << LED.numLock, capsLock: 1 << LED.capsLock, scrollLock: 1 << LED.scrollLock };
const ALL_LEDS = LED_BITS.numLock | LED_BITS.capsLock | LED_BITS.scrollLock;

export type VirtioInputOptions = {
  readonly name: string;
  readonly type: string;
  readonly pciClass: number;
  readonly transportFeatures: bigint;
  readonly description: InputDescription;
};

/**
 * An input device (virtio 1.3 §5.8). An update consists of events that the driver gets at once: it waits until there
 * are buffers for all of them.
 */
export class VirtioInput implements VirtioDevice {
  readonly name: string;
  readonly type: string;
  readonly deviceId = 18;
  readonly pciClass: number;
  readonly queueNames = ['events', 'status'];
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE];
  readonly features = 0n;
  readonly transportFeatures: bigint;
  readonly configSize = CONFIG_SIZE;
  onConfigChanged: (() => void) | null = null;
  readonly #services: ModelQueueServices;
  readonly #events: InputDescription['events'];
  readonly #config: InputConfig;
  readonly #hooks = new Set<() => void>();
  readonly #pending = new PendingUpdates();
  /** Keys and buttons. */
  readonly #held = new Set<number>();
  #leds = 0;
  /** The driver has set up the event queue, and the device has not failed since. */
  #isUsed = false;
  /** Those that were held in a loaded state, whose user is not here: they are released as the guest has room. */
  readonly #abandoned = new Set<number>();
  #queue: ModelQueue | null = null;
  /** Buffers of the event queue that have been taken, and not filled. */
  #buffers: Chain[] = [];

  constructor(options: VirtioInputOptions, services: ModelQueueServices) {
    this.name = options.name;
    this.type = options.type;
    this.pciClass = options.pciClass;
    this.transportFeatures = options.transportFeatures;
    this.#services = services;
    this.#events = options.description.events;
    this.#config = new InputConfig(options.description);
  }

  /** Whether the guest has a driver for it now. */
  get active(): boolean {
    return this.#isUsed;
  }

  get leds(): Leds {
    return ledsOf(this.#leds, LED_BITS);
  }

  /** Calls back when `leds` or `active` have changed. */
  onChanged(hook: () => void): Cancel {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  /**
   * Presses or releases a key or a button. One that the device lacks, or that is in that state already, is ignored.
   * @returns false if the guest has not yet taken enough of the earlier ones
   */
  press(code: number, down: boolean): boolean {
    if (!this.#isUsed || !this.#has(EV.key, code) || this.#held.has(code) === down) return true;
    if (!this.#set(code, down)) return false;
    this.#queue?.work();
    return true;
  }

  /** Moves axes, together. */
  move(events: readonly QueueEvent[]): void {
    if (!this.#isUsed || events.length === 0) return;
    this.#pending.move(events);
    this.#queue?.work();
  }

  readConfig(offset: number, size: AccessSize): number {
    return this.#config.read(offset, size);
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    this.#config.write(offset, size, value);
  }

  negotiated(features: bigint): void {
    if (features !== 0n) return;
    this.#config.reset();
    this.#pending.clear();
    this.#held.clear();
    this.#abandoned.clear();
    this.#change(false, 0);
  }

  startQueue(queue: VirtioQueue, driver: VirtioDriver): RunningQueue {
    const broken = (reason: string) => {
      this.#change(false, this.#leds);
      driver.broken(reason);
    };
    const start = (work: (model: ModelQueue) => void) =>
      new ModelQueue(queue, { ...driver, broken }, this.#services, work);
    if (queue.index === QUEUE.status) return start(model => this.#takeStatus(model));
    this.#change(true, this.#leds);
    const model = start(() => this.#deliver(model, queue.size));
    this.#queue = model;
    const stop = () => {
      this.#queue = null;
      this.#buffers = [];
      return model.stop();
    };
    return { requestStop: stop, stop, abandon: stop };
  }

  save(): DeviceState {
    return {
      config: this.#config.save(),
      isUsed: this.#isUsed,
      leds: this.#leds,
      held: [...this.#held],
      pending: this.#pending.save(),
    };
  }

  load(state: DeviceState): void {
    const isUsed = booleanOf(state, 'isUsed');
    const leds = numberOf(state, 'leds', ALL_LEDS);
    // Copied: a list may have holes.
    const held: readonly unknown[] = Array.isArray(state.held) ? [...state.held] : [null];
    const isKey = (code: unknown): code is number => typeof code === 'number' && this.#has(EV.key, code);
    if (!held.every(isKey) || new Set(held).size !== held.length)
      throw new DeviceStateError('held', 'list of keys');
    this.#pending.load(bytesOf(state, 'pending'), (type, code) => this.#has(type, code));
    this.#config.load(stateOf(state, 'config'));
    for (const codes of [this.#held, this.#abandoned]) {
      codes.clear();
      for (const code of held) codes.add(code);
    }
    this.#change(isUsed, leds);
  }

  #has(type: number, code: number): boolean {
    return this.#events.get(type)?.includes(code) ?? false;
  }

  #change(isUsed: boolean, leds: number): void {
    if (isUsed === this.#isUsed && leds === this.#leds) return;
    this.#isUsed = isUsed;
    this.#leds = leds;
    for (const hook of this.#hooks) hook();
  }

  #set(code: number, down: boolean): boolean {
    if (!this.#pending.press(code, down)) return false;
    if (down) this.#held.add(code);
    else this.#held.delete(code);
    this.#abandoned.delete(code);
    return true;
  }

  #releaseAbandoned(): void {
    for (const code of this.#abandoned) if (!this.#set(code, false)) return;
  }

  /** Fills the driver's buffers, each with one event. @param size of the queue */
  #deliver(queue: ModelQueue, size: number): void {
    for (;;) {
      this.#releaseAbandoned();
      const update = this.#pending.first;
      if (update === undefined) return;
      const events = [...update, SYN_REPORT];
      // A queue that never has so many buffers gets none of them (§5.8.6.2).
      if (events.length <= size) {
        if (!this.#takeBuffers(queue, events.length)) return;
        const buffers = this.#buffers.splice(0, events.length);
        for (const [index, event] of events.entries()) queue.write(buffers[index]!, 0, encodeEvent(event));
        for (const buffer of buffers) queue.giveBack(buffer, EVENT_BYTES);
      }
      this.#pending.shift();
    }
  }

  /** @returns whether there are as many */
  #takeBuffers(queue: ModelQueue, count: number): boolean {
    while (this.#buffers.length < count) {
      const chain = queue.take();
      if (chain === null) return false;
      if (chain.writableBytes < EVENT_BYTES) {
        queue.broken(
          `put a buffer of ${chain.writableBytes} bytes into the event queue, where an event has ${EVENT_BYTES}`,
        );
        return false;
      }
      this.#buffers.push(chain);
    }
    return true;
  }

  #takeStatus(queue: ModelQueue): void {
    for (let chain = queue.take(); chain !== null; chain = queue.take()) {
      const bytes = queue.read(chain, 0, EVENT_BYTES);
      if (bytes.length < EVENT_BYTES) {
        queue.broken(`put ${bytes.length} bytes into the status queue, where an event has ${EVENT_BYTES}`);
        return;
      }
      queue.giveBack(chain, 0);
      const { type, code, value } = decodeEvent(bytes);
      if (type !== EV.led || !this.#has(type, code)) continue;
      const bit = 1 << code;
      this.#change(this.#isUsed, value !== 0 ? this.#leds | bit : this.#leds & ~bit);
    }
  }
}
