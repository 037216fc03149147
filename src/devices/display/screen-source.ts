import type { Cancel, Clock } from '../device.ts';
import { ScreenCanvas } from './screen-canvas.ts';
import type { ScreenControl, ScreenSeen, ScreenUpdate } from './screen-frame.ts';

/** The refresh interval of a watched screen: 30 times a second. */
const INTERVAL_NS = 33_000_000n;
/** A watcher gets an empty answer after waiting this long: its connection may be gone. */
const PATIENCE_NS = 2_000_000_000n;
/** A watcher that has not asked again for this long is gone. */
const LEASE_NS = 1_000_000_000n;

/** What draws the screen of a device. */
export interface ScreenPainter {
  /** The screen is now watched, or no longer: while it is not, nothing is drawn, and no writes need to be logged. */
  watched(watched: boolean): void;
  /** Draws what may have changed since the last call, or all of it. */
  paint(canvas: ScreenCanvas, all: boolean): void;
}

type Watcher = {
  readonly seen: ScreenSeen;
  readonly until: bigint;
  readonly done: (update: ScreenUpdate | null) => void;
};

/** Serves the watchers of a screen. */
export class ScreenSource implements ScreenControl {
  readonly #clock: Clock;
  readonly #painter: ScreenPainter;
  readonly #watchers = new Set<Watcher>();
  /** Null while unwatched. */
  #canvas: ScreenCanvas | null = null;
  #cancelTimer: Cancel | null = null;
  #paintedAt = 0n;
  #isClosed = false;
  readonly #count: (frames: number) => void;

  /** @param count called each time something has changed */
  constructor(clock: Clock, painter: ScreenPainter, count: (frames: number) => void = () => {}) {
    this.#clock = clock;
    this.#painter = painter;
    this.#count = count;
  }

  get isWatched(): boolean {
    return this.#canvas !== null;
  }

  next(seen: ScreenSeen, done: (update: ScreenUpdate | null) => void): Cancel {
    if (this.#isClosed) return () => {};
    const now = this.#clock.now();
    const watcher = { seen, done, until: now + PATIENCE_NS };
    this.#watchers.add(watcher);
    if (this.#canvas === null) {
      this.#canvas = new ScreenCanvas();
      this.#painter.watched(true);
      this.#paint(true);
      this.#serve(now);
    } else if (now - this.#paintedAt >= INTERVAL_NS) {
      this.#paint(false);
      this.#serve(now);
    } else {
      // What has been drawn may be new to this watcher.
      this.#serve(now);
    }
    return () => this.#watchers.delete(watcher);
  }

  /** Ends watching: waiting watchers get nothing, and later ones no answer. */
  close(): void {
    const waiting = [...this.#watchers];
    this.#watchers.clear();
    this.#end();
    this.#isClosed = true;
    for (const { done } of waiting) done(null);
  }

  #paint(all: boolean): void {
    const canvas = this.#canvas!;
    const before = canvas.changes;
    this.#paintedAt = this.#clock.now();
    this.#painter.paint(canvas, all);
    canvas.finish();
    if (canvas.changes !== before) this.#count(1);
  }

  #serve(now: bigint): void {
    const canvas = this.#canvas!;
    for (const watcher of [...this.#watchers]) {
      const update = canvas.updateSince(watcher.seen);
      if (update === null && now < watcher.until) continue;
      this.#watchers.delete(watcher);
      watcher.done(update);
    }
    this.#schedule();
  }

  #schedule(): void {
    this.#cancelTimer?.();
    if (this.#canvas === null) return;
    const isWaited = this.#watchers.size > 0;
    this.#cancelTimer = this.#clock.at(
      isWaited ? this.#paintedAt + INTERVAL_NS : this.#clock.now() + LEASE_NS,
      () => {
        this.#cancelTimer = null;
        if (this.#watchers.size === 0) {
          this.#end();
          return;
        }
        this.#paint(false);
        this.#serve(this.#clock.now());
      },
    );
  }

  #end(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (this.#canvas === null) return;
    this.#canvas = null;
    this.#painter.watched(false);
  }
}
