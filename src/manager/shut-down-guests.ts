import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../engine/engine.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive, isUp } from '../engine/vm-info.ts';

/** The guest's driver is there some time after it was woken up. */
const PRESS_AGAIN_MS = 500;

export type ShutDownOptions = {
  readonly timeoutMs: number;
  /** Resolves when there is no more time. */
  readonly hurry: Promise<void>;
};

/**
 * Presses the power button of every VM that is up, and waits for the guests to switch themselves off.
 * @returns the names of those that did not within the time: they run still
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
      // A guest that stands still does not notice its button, and one that has just been woken up not yet.
      if (state === 'paused') await engine.resume(id);
      if (state === 'suspended') await engine.wake(id);
      while (!(await engine.powerButton(id)).noticed && state === 'suspended' && !isOver)
        await sleep(PRESS_AGAIN_MS);
    } catch {
      // It has just ended, or has no button: whether it is off at the end is what counts.
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
