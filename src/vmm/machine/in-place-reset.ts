import { reasonOf } from './device-modules.ts';
import type { Ending } from './ending.ts';
import type { Machine } from './life-cycle.ts';
import type { Release } from './quiescence.ts';
import type { Notify } from './report.ts';

export type ResetParts = {
  readonly machine: Machine;
  readonly deviceModules: readonly string[];
  readonly ending: Ending;
  readonly notify: Notify;
  /** Called just before the state of the machine is lost. */
  readonly beforeReset: () => void;
};

/**
 * Resets a machine in place once all of it has stopped. A disk that does not respond delays that; everything else keeps
 * responding in the meantime. A paused machine stays paused.
 */
export class InPlaceReset {
  readonly #parts: ResetParts;
  #isUnderWay = false;
  #whenDone: (() => void) | null = null;

  constructor(parts: ResetParts) {
    this.#parts = parts;
  }

  /** Does nothing while a reset is in progress. @param event logged when it is done */
  begin(event: string): void {
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    const { machine, ending, beforeReset } = this.#parts;
    let isDone = false;
    let release: Release | null = null;
    const done = (failure: unknown) => {
      isDone = true;
      if (this.#done(failure, event)) release?.();
    };
    release = machine.quiesce(() => {
      beforeReset();
      machine.reset(done);
    });
    if (isDone && ending.end === null) release();
  }

  /** Calls back once no reset is in progress. */
  afterwards(callback: () => void): void {
    if (this.#isUnderWay) this.#whenDone = callback;
    else callback();
  }

  /** @returns whether the machine may continue */
  #done(failure: unknown, event: string): boolean {
    const { deviceModules, ending, notify } = this.#parts;
    this.#isUnderWay = false;
    if (failure !== null) {
      ending.crash({ reason: `the machine cannot be reset: ${reasonOf(failure, deviceModules)}` });
      return false;
    }
    notify(report => {
      report.repaired();
      report.happened('info', event);
    });
    this.#whenDone?.();
    this.#whenDone = null;
    return true;
  }
}
