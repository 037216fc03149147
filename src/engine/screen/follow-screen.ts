import { wholeOf } from '../../devices/display/screen-changes.ts';
import { NOTHING_SEEN, type ScreenFrame, type ScreenSeen } from '../../devices/display/screen-frame.ts';
import { applyUpdate } from '../../devices/display/screen-update.ts';
import type { Engine } from '../engine.ts';
import { isAlive } from '../vm-info.ts';
import type { ScreenLink, ScreenView } from './screen-link.ts';

/** The delay after a failed request, which may be because the VM ends or the manager was replaced. */
const RETRY_MS = 250;

/**
 * Follows the screen of a VM, which need not run yet.
 * @param device the name of the display device; null: the first
 */
export function followScreen(engine: Engine, id: string, device: string | null = null): ScreenLink {
  return new FollowedScreen(engine, id, device);
}

class FollowedScreen implements ScreenLink {
  readonly #engine: Engine;
  readonly #id: string;
  readonly #device: string | null;
  readonly #closed = Promise.withResolvers<null>();
  #isClosed = false;
  #seen: ScreenSeen = NOTHING_SEEN;
  /** Null until the watcher has been given a frame. */
  #frame: ScreenFrame | null = null;
  #problem: string | null = null;

  constructor(engine: Engine, id: string, device: string | null) {
    this.#engine = engine;
    this.#id = id;
    this.#device = device;
  }

  get problem(): string | null {
    return this.#problem;
  }

  async next(): Promise<ScreenView | null> {
    for (;;) {
      if (this.#isClosed) return null;
      const view = await Promise.race([this.#ask(), this.#closed.promise]);
      if (this.#isClosed) return null;
      if (view !== null) return view;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#closed.resolve(null);
  }

  async #ask(): Promise<ScreenView | null> {
    if (!this.#isThere) {
      this.#problem = null;
      return this.#blank() ?? (await this.#anything());
    }
    try {
      const update = await this.#engine.screen(this.#id, this.#device, this.#seen);
      if (update === null || this.#isClosed) return null;
      this.#problem = null;
      const isFirst = this.#frame === null;
      const updated = applyUpdate(this.#frame ?? { kind: 'off' }, update.update);
      this.#frame = updated.frame;
      this.#seen = update.seen;
      return isFirst ? { ...updated, changed: wholeOf(updated.frame), looksChanged: true } : updated;
    } catch (error) {
      if (!this.#isThere) return null;
      const isNew = this.#problem === null;
      this.#problem = (error as Error).message;
      // The frame starts over after that.
      return (isNew ? this.#blank() : null) ?? (await this.#anything(RETRY_MS));
    }
  }

  /** Whether there is a machine to ask. */
  get #isThere(): boolean {
    const vm = this.#engine.vms().find(({ id }) => id === this.#id);
    return (
      vm !== undefined &&
      isAlive(vm) &&
      vm.state !== 'stopping' &&
      (vm.topology?.devices.some(({ name, screen }) => screen && (this.#device ?? name) === name) ?? false)
    );
  }

  /** Clears the frame; null if it is clear already. */
  #blank(): ScreenView | null {
    this.#seen = NOTHING_SEEN;
    if (this.#frame?.kind === 'off') return null;
    this.#frame = { kind: 'off' };
    return { frame: this.#frame, changed: [], looksChanged: true };
  }

  /** Resolves on an event of its VM or the manager, or after the limit, if any. */
  #anything(limitMs?: number): Promise<null> {
    const { promise, resolve } = Promise.withResolvers<null>();
    const timer = limitMs === undefined ? undefined : setTimeout(resolve, limitMs, null);
    const unsubscribe = this.#engine.subscribe(event => {
      const isOther = (event.kind === 'vm' && event.vm.id !== this.#id) || event.kind === 'log';
      if (!isOther) resolve(null);
    });
    return Promise.race([promise, this.#closed.promise]).finally(() => {
      clearTimeout(timer);
      unsubscribe();
    });
  }
}
