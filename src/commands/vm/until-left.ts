import { outputLost } from '../../text/output.ts';
import { endingSignal } from '../ending-signal.ts';

/** Resolves when the user has had enough: a signal, or a reader of stdout that is gone. */
export async function untilLeft(): Promise<void> {
  const signal = endingSignal();
  await Promise.race([signal.status, outputLost]);
  signal.ignore();
}
