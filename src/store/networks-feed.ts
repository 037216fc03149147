import type { Clock } from '../clock.ts';
import type { HostConnection } from '../host-service/source.ts';
import type { AppState, AppStore } from './app-store.ts';
import { currentScreen } from './ui-slice.ts';

/** Reading takes several programs of the host. */
const AGAIN_MS = 2000;

/** Keeps the networks of the host in the store while their screen is shown. */
export class NetworksFeed {
  readonly #connection: () => HostConnection;
  readonly #store: AppStore;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;
  #shown = false;
  #callOff: () => void = () => {};
  /** Counts the requests: the answer to an earlier one is old. */
  #request = 0;

  constructor(connection: () => HostConnection, store: AppStore, clock: Clock) {
    this.#connection = connection;
    this.#store = store;
    this.#clock = clock;
    this.#unsubscribe = store.subscribe(state => this.#follow(state));
  }

  close(): void {
    this.#unsubscribe();
    this.#request++;
    this.#callOff();
  }

  /** Reads them now. */
  refresh(): void {
    this.#callOff();
    if (this.#shown) void this.#read();
  }

  #follow(state: AppState): void {
    const shown = currentScreen(state).kind === 'networks';
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#callOff();
    if (shown) void this.#read();
    else this.#request++;
  }

  async #read(): Promise<void> {
    const request = ++this.#request;
    try {
      const found = await this.#connection().client.call('networks', null);
      if (request !== this.#request) return;
      this.#store.getState().networksRead(found, this.#clock.now());
    } catch (error) {
      if (request !== this.#request) return;
      this.#store.getState().networksFailed((error as Error).message);
    }
    this.#callOff = this.#clock.after(AGAIN_MS, () => void this.#read());
  }
}
