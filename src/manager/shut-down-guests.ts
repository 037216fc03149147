import type { Engine } from '../engine/engine.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';

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
  const press = async ({ id, state }: VmInfo) => {
    if (pressed.has(id) || (state !== 'running' && state !== 'paused')) return;
    pressed.add(id);
    try {
      // A paused guest does not notice its button.
      if (state === 'paused') await engine.resume(id);
      await engine.powerButton(id);
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
  clearTimeout(timer);
  unsubscribe();
  return engine
    .vms()
    .filter(isAlive)
    .map(vm => vm.name);
}
