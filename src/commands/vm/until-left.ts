import { constants } from 'node:os';
import { outputLost } from '../../text/output.ts';
import { endingSignal, exitStatusOf } from '../ending-signal.ts';

const INTERRUPTED = exitStatusOf(constants.signals.SIGINT);

/**
 * Resolves on a signal, or when the reader of stdout is gone.
 * @returns the exit status: 0, also for Ctrl-C, which is how users leave such a command; 128 plus its number for
 * another signal
 */
export async function untilLeft(): Promise<number> {
  const signal = endingSignal();
  const status = await Promise.race([signal.status, outputLost.then(() => 0)]);
  signal.ignore();
  return status === INTERRUPTED ? 0 : status;
}
