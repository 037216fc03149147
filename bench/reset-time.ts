import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsoleLink } from '../src/engine/engine.ts';
import { atMost, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';
import { VringManager } from './vring-manager.ts';

const ROUNDS = 9;
/** Time for the next spare process to get ready, as between VMs that a user starts one by one. */
const PREPARES_MS = 3000;
/** The most that a guest takes to reach its prompt, where it waits. */
const BOOTS_MS = 100;

/** From the request to the first byte of the restarted guest, beside a start in the same manager. */
export async function measureResetTime(): Promise<Measurement[]> {
  await using manager = await VringManager.start('reset');
  const guest = new Guest(manager);
  const values = await alternate(ROUNDS, { start: () => guest.start(), reset: () => guest.reset() });
  return [
    {
      what: 'reset of a running VM',
      unit: 'ms',
      values: { vring: values.reset, 'a start': values.start },
      target: atMost(0.5, 'x a start', values.reset / values.start),
    },
  ];
}

/** One VM after another, whose guest prints a byte when it starts, and then waits. */
class Guest {
  readonly #manager: VringManager;
  #started = 0;
  #id = '';
  #link: ConsoleLink | null = null;
  #printed = Promise.withResolvers<number>();

  constructor(manager: VringManager) {
    this.#manager = manager;
  }

  /** Ends the previous VM, and starts the next one. @returns milliseconds to its first byte */
  async start(): Promise<number> {
    const { engine } = this.#manager;
    if (this.#link !== null) {
      this.#link.close();
      await engine.kill(this.#id);
      await engine.remove(this.#id);
    }
    await sleep(PREPARES_MS);
    return await this.#firstByte(async () => {
      this.#id = await this.#manager.add(`reset-${this.#started++}`);
      this.#link = engine.openConsole(this.#id, {
        printed: bytes => {
          if (bytes.length > 0) this.#printed.resolve(performance.now());
        },
      });
    });
  }

  async reset(): Promise<number> {
    return await this.#firstByte(() => this.#manager.engine.reset(this.#id));
  }

  async #firstByte(order: () => Promise<void>): Promise<number> {
    await sleep(BOOTS_MS);
    this.#printed = Promise.withResolvers();
    const begun = performance.now();
    await order();
    return (await this.#printed.promise) - begun;
  }
}
