import type { Clock } from '../clock.ts';
import type { HostConnection, HostSource } from '../host-service/source.ts';
import { own } from '../text/own.ts';
import type { AppState, AppStore } from './app-store.ts';
import { currentScreen, showsHost } from './ui-slice.ts';
import { vmViewOf } from './vm-view-slice.ts';

/** How long the cursor rests on a row, after a quick move, before the details of its function are read. */
const RESTS_MS = 100;

/** Keeps what the store knows of the host up to date, while a screen shows it. */
export class HostFeed {
  readonly source: HostSource;
  readonly #store: AppStore;
  readonly #clock: Clock;
  readonly #functionAtCursor: (state: AppState) => string | null;
  readonly #unsubscribe: () => void;
  #connection: HostConnection | null = null;
  #watching = false;
  /** Interval at which the host's usage is read, in milliseconds; null: not at all. */
  #usageMs: number | null = null;
  /** One at a time: what the cursor has passed by meanwhile is not asked for. */
  #asking = false;
  /** The function whose details are to be read, and when the cursor came to it. */
  #lookedAt: { readonly address: string; readonly since: number } | null = null;
  /** Calls off the read for the cursor's next rest; null: it is not waited for. */
  #callOffRead: (() => void) | null = null;

  /** @param functionAtCursor the function whose details are shown */
  constructor(
    source: HostSource,
    store: AppStore,
    clock: Clock,
    functionAtCursor: (state: AppState) => string | null,
  ) {
    this.source = source;
    this.#store = store;
    this.#clock = clock;
    this.#functionAtCursor = functionAtCursor;
    this.#unsubscribe = store.subscribe((state, before) => this.#follow(state, before));
  }

  /** The host's thread, started when it is first needed. */
  connection(): HostConnection {
    if (this.#connection !== null) return this.#connection;
    const connection = this.source.connect();
    this.#connection = connection;
    connection.client.onRead = parts => this.#store.getState().hostRead(parts);
    connection.client.onReading = progress => this.#store.getState().setHostReading(progress);
    connection.client.onUsage = usage => this.#store.getState().usageRead(usage);
    connection.onLost(reason => this.#store.getState().hostGone(reason));
    return connection;
  }

  /** Reads everything again; with a new thread, where the one before has died. */
  refresh(): void {
    if (this.#store.getState().hostLost !== null) {
      this.#connection = null;
      this.#watching = false;
      this.#usageMs = null;
      this.#store.getState().hostForgotten();
    }
    this.connection().client.refresh();
  }

  /** Ends the thread, once a plan that is being applied is finished. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#callOffRead?.();
    await this.#connection?.client.idle();
    await this.#connection?.close();
  }

  #follow(state: AppState, before: AppState): void {
    const shown = showsHost(state);
    const needed = shown || showsPassedDevices(state);
    if (needed !== this.#watching) {
      this.#watching = needed;
      this.connection().client.watch(needed);
    }
    const usageMs = usageInterval(state);
    if (usageMs !== this.#usageMs) {
      this.#usageMs = usageMs;
      this.connection().client.usage(usageMs);
    }
    const address = shown ? this.#functionAtCursor(state) : null;
    const isNews = address !== state.hostDetails?.address || state.host !== before.host;
    if (address !== null && state.host?.functions.has(address) && isNews) this.#lookAt(address);
  }

  /**
   * Reads the details of a function: at once, or, where the cursor is moved quickly, when it rests. What it passes by is
   * neither read from the hardware nor drawn.
   */
  #lookAt(address: string): void {
    if (address !== this.#lookedAt?.address) {
      const since = this.#clock.now();
      const quick = this.#lookedAt !== null && since - this.#lookedAt.since < RESTS_MS;
      this.#lookedAt = { address, since };
      this.#callOffRead?.();
      this.#callOffRead = quick ? this.#clock.after(RESTS_MS, () => this.#rested()) : null;
    }
    if (this.#callOffRead === null) void this.#readDetails(address);
  }

  #rested(): void {
    this.#callOffRead = null;
    const address = this.#functionAtCursor(this.#store.getState());
    if (address !== null) void this.#readDetails(address);
  }

  /** Reads the details of a function, and of the one at the cursor by then, if that is another one. */
  async #readDetails(address: string): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    let next: string | null = address;
    for (
      let asked = '';
      next !== null && next !== asked && this.#callOffRead === null;
      next = this.#functionAtCursor(this.#store.getState())
    ) {
      asked = next;
      try {
        const details = await this.connection().client.call('details', asked);
        this.#store.getState().hostDetailsRead({ address: asked, details });
      } catch {
        // Gone in the meantime, or with the thread: the lists say so.
        this.#store.getState().hostDetailsRead({ address: asked, details: null });
      }
    }
    this.#asking = false;
  }
}

/** Devices of a VM that are the host's are shown with what they are there. */
function showsPassedDevices(state: AppState): boolean {
  const screen = currentScreen(state);
  if (screen.kind !== 'vm' || vmViewOf(state, screen.id).tab !== 'devices') return false;
  return own(state.infos, screen.id)?.topology?.devices.some(device => device.hostDevice) ?? false;
}

/** The overview reads the host's usage at the sampling interval; once only while sampling is frozen. */
function usageInterval(state: AppState): number | null {
  const { paused, intervalMs } = state.sampling;
  const wanted = !paused || state.usage === null;
  return currentScreen(state).kind === 'overview' && wanted ? intervalMs : null;
}
