import type { LocalEngine } from '../engine/local-engine.ts';
import { isAlive } from '../engine/vm-info.ts';

export type SaveOptions = {
  readonly timeoutMs: number;
  /** Resolves when there is no more time. */
  readonly hurry: Promise<void>;
};

/** So many write at once: a disk gets no faster by more. */
const TOGETHER = 2;

/**
 * Saves every VM that runs or is paused, for the next manager to start. One that cannot be saved in the time is left running.
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
