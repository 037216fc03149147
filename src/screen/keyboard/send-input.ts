import { type Clock, systemClock } from '../../clock.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import type { Engine } from '../../engine/engine.ts';

/** The delay before events are offered again to a guest that was not ready for them. */
const RETRY_MS = 20;
/** A guest that accepts nothing for this long has no driver, or hangs. */
const PATIENCE_MS = 5000;

/**
 * Sends all events to a guest, in order, as fast as it accepts them.
 * @throws when it accepts none for five seconds
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
