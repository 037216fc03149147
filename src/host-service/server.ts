import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { HostPlans } from './plans.ts';
import {
  CHANGING_CALLS,
  type Channel,
  type FromHostThread,
  type HostCall,
  type ToHostThread,
} from './protocol.ts';
import type { HostService } from './service.ts';

/** Delay of the second usage sample after the first, which has nothing to compare with. */
const FIRST_USAGE_MS = 250;
/** How often to check for changes. */
const LOOK_MS = 400;
/**
 * Some changes cannot be detected cheaply: attributes of VFs, open device nodes, configuration files. Everything is read
 * again after this time, or later if reading takes so long that it would keep a CPU busy.
 */
const REFRESH_MS = 5000;
const REST_PER_READ = 20;

/** The host thread: answers the UI, and sends it changes while it watches. */
export class HostServer {
  readonly #service: HostService;
  readonly #plans: HostPlans;
  readonly #channel: Channel;
  readonly #clock: Clock;
  /** When to read everything again, whether or not a change was detected. */
  #dueAt = Number.NEGATIVE_INFINITY;
  #callOff: (() => void) | null = null;
  #cancelUsage: () => void = () => {};
  /** Serializes reads: two at once would both send the same differences. */
  #reading: Promise<void> = Promise.resolve();

  constructor(service: HostService, plans: HostPlans, channel: Channel, clock: Clock) {
    this.#service = service;
    this.#plans = plans;
    this.#channel = channel;
    this.#clock = clock;
    channel.on('message', (message: ToHostThread) => this.#receive(message));
  }

  #receive(message: ToHostThread): void {
    switch (message.kind) {
      case 'watch':
        this.#callOff?.();
        this.#callOff = null;
        if (message.on) void this.#look();
        break;
      case 'usage':
        this.#cancelUsage();
        if (message.intervalMs !== null) this.#startUsage(message.intervalMs);
        break;
      case 'refresh':
        void this.#refresh();
        break;
      case 'call':
        void this.#answer(message.id, message.call, message.argument);
        break;
    }
  }

  async #look(): Promise<void> {
    let watching = true;
    this.#callOff = () => {
      watching = false;
    };
    if (this.#clock.now() >= this.#dueAt || this.#service.hasChanged()) await this.#refresh();
    if (watching) this.#callOff = this.#clock.after(LOOK_MS, () => void this.#look());
  }

  #startUsage(intervalMs: number): void {
    const reader = this.#service.usage();
    const take = () => {
      const usage = reader.read(this.#clock.now());
      if (usage !== null) this.#send({ kind: 'usage', usage });
      this.#cancelUsage = this.#clock.after(usage === null ? FIRST_USAGE_MS : intervalMs, take);
    };
    take();
  }

  #refresh(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read());
    return this.#reading;
  }

  async #read(): Promise<void> {
    const startedAt = this.#clock.now();
    const first = this.#dueAt === Number.NEGATIVE_INFINITY;
    const parts = await this.#service.refresh((part, read, total) => {
      this.#send({ kind: 'part', part });
      this.#send({ kind: 'reading', progress: { read, total } });
    });
    const now = this.#clock.now();
    this.#dueAt = now + Math.max(REFRESH_MS, REST_PER_READ * (now - startedAt));
    for (const part of parts) {
      this.#send({ kind: 'part', part });
      // The UI handles all queued messages at once: sending one at a time lets it handle keys in between.
      await setImmediate();
    }
    if (parts.length > 0 || first) this.#send({ kind: 'read' });
  }

  async #answer(id: number, call: HostCall, argument: unknown): Promise<void> {
    try {
      const result = await this.#perform(id, call, argument as never);
      if (CHANGING_CALLS.includes(call)) await this.#refresh();
      this.#send({ kind: 'answer', id, result });
    } catch (error) {
      this.#send({ kind: 'failure', id, message: (error as Error).message });
    }
  }

  #perform(id: number, call: HostCall, argument: never): unknown {
    switch (call) {
      case 'details':
        return this.#service.details(argument);
      case 'plan':
        return this.#plans.make(argument);
      case 'networks':
        return this.#plans.networks();
      case 'images':
        return this.#service.images(argument);
      case 'assess':
        return this.#plans.assess(argument);
      case 'apply':
        return this.#plans.apply(argument, (steps, waiting) =>
          this.#send({ kind: 'progress', id, steps, waiting }),
        );
      case 'lastPlan':
        return this.#plans.last();
      case 'undo':
        return this.#plans.undo(argument);
    }
  }

  #send(message: FromHostThread): void {
    this.#channel.postMessage(message);
  }
}
