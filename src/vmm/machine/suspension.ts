import type { WakeSource } from '../../devices/device.ts';
import { reasonOf } from './device-modules.ts';
import type { Ending } from './ending.ts';
import type { Machine } from './life-cycle.ts';
import type { Release } from './quiescence.ts';
import type { Notify } from './report.ts';

/** Texts for the log. */
const WOKEN_BY: Readonly<Record<WakeSource, string>> = {
  user: 'woken up',
  rtc: 'woken up by the alarm of its clock',
  network: 'woken up by its network',
};

export type SuspensionParts = {
  readonly machine: Machine;
  readonly deviceModules: readonly string[];
  readonly ending: Ending;
  readonly notify: Notify;
  /** Called when it goes to sleep or runs again. */
  readonly changed: () => void;
};

/** ACPI S3 of a machine: its vCPUs are stopped but its devices are not, so that one of them may wake it up. */
export class Suspension {
  readonly #parts: SuspensionParts;
  #isWaking = false;
  /** Called once it is awake. */
  #callbacks: (() => void)[] = [];

  constructor(parts: SuspensionParts) {
    this.#parts = parts;
  }

  /** The guest has put the machine to sleep. */
  begin(): void {
    const { machine, notify, changed } = this.#parts;
    machine.sleep();
    notify(report => report.happened('info', 'suspended by the guest'));
    changed();
  }

  /**
   * Wakes it up as soon as all of it has stopped.
   * @param done called when it is awake. @returns false if it does not sleep, or its guest has not enabled this wake-up
   * source
   */
  wake(by: WakeSource, done: () => void = () => {}): boolean {
    const { machine, ending } = this.#parts;
    if (!machine.asleep || !machine.parts.chipset.wakesBy(by)) return false;
    this.#callbacks.push(done);
    if (this.#isWaking) return true;
    this.#isWaking = true;
    let isDone = false;
    let release: Release | null = null;
    release = machine.quiesce(() => {
      isDone = true;
      if (this.#wakeUp(by)) release?.();
    });
    if (isDone && ending.end === null) release();
    return true;
  }

  /** @returns whether the machine may continue */
  #wakeUp(by: WakeSource): boolean {
    const { machine, deviceModules, ending, notify, changed } = this.#parts;
    this.#isWaking = false;
    // It may have been reset in the meantime.
    if (machine.asleep) {
      try {
        machine.wake(by);
      } catch (error) {
        ending.crash({ reason: `the machine cannot be woken up: ${reasonOf(error, deviceModules)}` });
        return false;
      }
      notify(report => {
        report.repaired();
        report.happened('info', WOKEN_BY[by]);
      });
    }
    changed();
    for (const callback of this.#callbacks.splice(0)) callback();
    return true;
  }
}
