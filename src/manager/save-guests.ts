import type { LocalEngine } from '../engine/local-engine.ts';
import { isAlive } from '../engine/vm-info.ts';

export type SaveOptions = {
  readonly timeoutMs: number;
  /** Resolves when time is up. */
  readonly hurry: Promise<void>;
};

/** How many are saved at the same time: more do not make a disk faster. */
const TOGETHER = 2;

/**
 * Saves every running or paused VM, for the next manager to start. A VM that cannot be saved in time is left running.
 */
export async function saveGuests(
  engine: Pick<LocalEngine, 'vms' | 'save' | 'cancelTask' | 'note'>,
  { timeoutMs, hurry }: SaveOptions,
): Promise<void> {
  const waiting = engine.vms().filter(isAlive);
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => late.resolve('late'), timeoutMs);
  void hurry.then(() => late.resolve('late'));
  let isLate = false;
  const worker = async () => {
    for (let vm = waiting.shift(); vm !== undefined && !isLate; vm = waiting.shift()) {
      const { id } = vm;
      const saved = engine
        .save(id, true)
        .catch(error => engine.note('warning', `not saved, but shut down: ${(error as Error).message}`, id));
      if ((await Promise.race([saved, late.promise])) !== 'late') continue;
      isLate = true;
      await engine.cancelTask(id).catch(() => {});
      await saved;
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, worker));
  clearTimeout(timer);
}
