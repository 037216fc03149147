import { type Clock, systemClock } from '../../clock.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import type { Engine } from '../../engine/engine.ts';

/** Until events are offered again to a guest that has not taken those before. */
const RETRY_MS = 20;
/** A guest that takes nothing for so long has no driver, or hangs. */
const PATIENCE_MS = 5000;

/**
 * Has a guest get all events, in order, at the pace that it takes them.
 * @throws when it takes none for five seconds
 */
export async function sendInput(
  engine: Pick<Engine, 'input'>,
  id: string,
  events: readonly InputEvent[],
  clock: Clock = systemClock,
): Promise<void> {
  let left = events;
  let since = clock.now();
  while (left.length > 0) {
    const taken = await engine.input(id, left);
    left = left.slice(taken);
    if (left.length === 0) return;
    if (taken > 0) since = clock.now();
    else if (clock.now() - since > PATIENCE_MS)
      throw new Error(`the guest does not read its keyboard: ${left.length} events were not sent`);
    await pause(clock, RETRY_MS);
  }
}

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise(resolve => clock.after(ms, resolve));
}
