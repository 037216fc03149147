import { endingSignal } from '../ending-signal.ts';

/** Resolves when the user has had enough: a signal, or a reader of stdout that is gone. */
export async function untilLeft(): Promise<void> {
  const signal = endingSignal();
  const gone = Promise.withResolvers<void>();
  process.stdout.on('error', () => gone.resolve());
  await Promise.race([signal.status, gone.promise]);
  signal.ignore();
}
