import type { Machine } from './life-cycle.ts';
import type { Release } from './quiescence.ts';
import type { Notify } from './report.ts';

/** The pause that a user asks for, or that a failing disk causes. It lasts until the user ends it, across resets. */
export class UserPause {
  readonly #machine: Machine;
  readonly #notify: Notify;
  #release: Release | null = null;
  /** A pause because of something that its user has to look at: failed requests of a disk are retried when it ends. */
  #failure: {
    readonly reason: string;
    readonly release: Release;
    isQuiesced: boolean;
    ends: boolean;
  } | null = null;
  /** Called once the vCPUs have stopped. */
  readonly #callbacks = new Set<() => void>();

  constructor(machine: Machine, notify: Notify) {
    this.#machine = machine;
    this.#notify = notify;
  }

  /** Whether the user has asked for it, even if vCPUs still run. */
  get isAsked(): boolean {
    return this.#release !== null || this.#failure !== null;
  }

  /** Pauses the machine for a reason: a disk error, or a migration. */
  failed(reason: string): void {
    if (this.#failure !== null) return;
    let isQuiesced = false;
    const release = this.#machine.hold({
      quiesced: () => {
        isQuiesced = true;
        if (this.#failure === null) return;
        this.#failure.isQuiesced = true;
        if (this.#failure.ends) this.#endFailure();
      },
    });
    this.#failure = { reason, release, isQuiesced, ends: false };
    this.update();
  }

  /**
   * Pauses the machine, or leaves it paused.
   * @param paused called once no vCPU runs; a device that has not stopped by then has no visible effect. Also called if
   * the pause ends before that
   */
  begin(paused: () => void): void {
    this.#callbacks.add(paused);
    this.hold();
    this.update();
  }

  /** Keeps the machine paused from its start. */
  hold(): void {
    this.#release ??= this.#machine.hold({});
  }

  end(): void {
    this.#release?.();
    this.#release = null;
    // The waiting request is retried by its queue, which has to stop first.
    this.recover();
    this.#callBack();
    this.update();
  }

  /** Ends the pause for a reason, but not one that the user has asked for. */
  recover(): void {
    if (this.#failure === null) return;
    if (this.#failure.isQuiesced) this.#endFailure();
    else this.#failure.ends = true;
  }

  #endFailure(): void {
    const { release } = this.#failure!;
    this.#failure = null;
    release();
    this.update();
  }

  /** The machine begins to run, or has stopped. */
  update(): void {
    const isPaused = this.isAsked && this.#machine.parked;
    this.#notify(report =>
      isPaused
        ? report.entered('paused', this.#failure?.reason)
        : report.entered(this.#machine.asleep ? 'suspended' : 'running'),
    );
    // After the state, which the recipient of the reply looks at.
    if (isPaused) this.#callBack();
  }

  #callBack(): void {
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) callback();
  }
}
