import type { Clock } from '../clock.ts';
import type { HostConnection, HostSource } from '../host-service/source.ts';
import { own } from '../text/own.ts';
import type { AppState, AppStore } from './app-store.ts';
import { currentScreen, showsHost } from './ui-slice.ts';
import { vmViewOf } from './vm-view-slice.ts';

/** How long the cursor must rest on a row, after a quick move, before the details of its function are read. */
const RESTS_MS = 100;

/** Keeps the host's data in the store up to date while a screen shows it. */
export class HostFeed {
  readonly source: HostSource;
  readonly #store: AppStore;
  readonly #clock: Clock;
  readonly #functionAtCursor: (state: AppState) => string | null;
  readonly #unsubscribe: () => void;
  #connection: HostConnection | null = null;
  #watching = false;
  /** Interval in milliseconds at which the host's usage is read; null if not at all. */
  #usageMs: number | null = null;
  /** Allows one request at a time: rows that the cursor has passed in the meantime are skipped. */
  #asking = false;
  /** What the cursor is on, null for what is not a function, and since when. */
  #lookedAt: { readonly address: string | null; readonly since: number } = {
    address: null,
    since: Number.NEGATIVE_INFINITY,
  };
  /** Cancels the delayed read at the cursor; null if none is pending. */
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

  /** The host's thread, started on first use. */
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

  /** Reads everything again, on a new thread if the previous one has died. */
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
    if (!shown || state.host === null) return;
    const address = this.#functionAtCursor(state);
    if (address !== this.#lookedAt.address) this.#reached(address);
    const isNew = address !== state.hostDetails?.address || state.host !== before.host;
    const isKnown = address !== null && state.host.functions.has(address);
    if (isKnown && isNew && this.#callOffRead === null) void this.#readDetails(address);
  }

  /**
   * The details of a function are read immediately, or once the cursor rests if it moves quickly: those of rows that it
   * passes are neither read from the hardware nor drawn.
   */
  #reached(address: string | null): void {
    const since = this.#clock.now();
    const quick = since - this.#lookedAt.since < RESTS_MS;
    this.#lookedAt = { address, since };
    this.#callOffRead?.();
    this.#callOffRead = quick ? this.#clock.after(RESTS_MS, () => this.#rested()) : null;
  }

  #rested(): void {
    this.#callOffRead = null;
    const address = this.#functionAtCursor(this.#store.getState());
    if (address !== null) void this.#readDetails(address);
  }

  /** Reads the details of a function, and then of the one that the cursor has reached, if it differs. */
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
        // The function or the thread is gone: the lists report that.
        this.#store.getState().hostDetailsRead({ address: asked, details: null });
      }
    }
    this.#asking = false;
  }
}

/** Whether the VM's host devices are shown, with their host details. */
function showsPassedDevices(state: AppState): boolean {
  const screen = currentScreen(state);
  if (screen.kind !== 'vm' || vmViewOf(state, screen.id).tab !== 'devices') return false;
  return own(state.infos, screen.id)?.topology?.devices.some(device => device.hostDevice) ?? false;
}

/** The overview reads the host's usage at the sampling interval; only once while sampling is frozen. */
function usageInterval(state: AppState): number | null {
  const { paused, intervalMs } = state.sampling;
  const wanted = !paused || state.usage === null;
  return currentScreen(state).kind === 'overview' && wanted ? intervalMs : null;
}
