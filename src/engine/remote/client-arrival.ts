import { CONNECTION_LOST } from '../../vmm/migration/stream.ts';
import type { Engine } from '../engine.ts';
import type { Arrival, Load, Offer, ReceivingMemory } from '../migration/migration-info.ts';
import { refusal } from './request-error.ts';

/** The VM that a client receives from another host, at most one. It is given up when the client leaves. */
export class ClientArrival {
  readonly #engine: Pick<Engine, 'receive'>;
  #arrival: Promise<Arrival> | null = null;
  #isGone = false;

  constructor(engine: Pick<Engine, 'receive'>) {
    this.#engine = engine;
  }

  async prepare(offer: Offer): Promise<ReceivingMemory> {
    if (this.#arrival !== null) throw refusal('invalidParams', 'this client receives a VM already');
    this.#arrival = this.#engine.receive(offer);
    const arrival = await this.#arrival;
    if (this.#isGone) await arrival.close(GONE);
    return arrival.memory;
  }

  async load(load: Load): Promise<void> {
    await (await this.#present).load(load);
  }

  async go(): Promise<string | null> {
    // A client that is gone cannot have been told to, but its request may still be on its way.
    return await (await this.#present).go();
  }

  async giveUp(reason: string): Promise<void> {
    await (await this.#present).close(reason);
  }

  /** The client has left. */
  close(): void {
    this.#isGone = true;
    void this.#arrival?.then(arrival => arrival.close(GONE)).catch(() => {});
  }

  get #present(): Promise<Arrival> {
    if (this.#arrival === null) throw refusal('invalidParams', 'this client receives no VM');
    return this.#arrival;
  }
}

const GONE = CONNECTION_LOST;
