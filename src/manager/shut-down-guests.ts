import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../engine/engine.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive, isUp } from '../engine/vm-info.ts';

/** After a wake-up, the guest's driver takes a moment to be ready. */
const PRESS_AGAIN_MS = 500;

export type ShutDownOptions = {
  readonly timeoutMs: number;
  /** Resolves when time is up. */
  readonly hurry: Promise<void>;
};

/**
 * Presses the power button of every VM that is up, and waits for the guests to power off.
 * @returns the names of those that did not in time: they are still running
 */
export async function shutDownGuests(
  engine: Engine,
  { timeoutMs, hurry }: ShutDownOptions,
): Promise<string[]> {
  const pressed = new Set<string>();
  let isOver = false;
  const press = async ({ id, state }: VmInfo) => {
    if (pressed.has(id) || !isUp({ state })) return;
    pressed.add(id);
    try {
      // A paused guest does not notice its button; nor does one that has just been woken, for a moment.
      if (state === 'paused') await engine.resume(id);
      if (state === 'suspended') await engine.wake(id);
      while (!(await engine.powerButton(id)).noticed && state === 'suspended' && !isOver)
        await sleep(PRESS_AGAIN_MS);
    } catch {
      // It has just ended, or has no button: only whether it is off at the end matters.
    }
  };
  const allOff = Promise.withResolvers<void>();
  const check = () => {
    const up = engine.vms().filter(isAlive);
    for (const vm of up) void press(vm);
    if (up.length === 0) allOff.resolve();
  };
  const unsubscribe = engine.subscribe(check);
  check();
  const timer = setTimeout(() => allOff.resolve(), timeoutMs);
  await Promise.race([allOff.promise, hurry]);
  isOver = true;
  clearTimeout(timer);
  unsubscribe();
  return engine
    .vms()
    .filter(isAlive)
    .map(vm => vm.name);
}
