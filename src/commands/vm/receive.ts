import type { FromDestination } from '../../engine/migration/messages.ts';
import { Receiver } from '../../engine/migration/receiver.ts';
import { version } from '../../project-root.ts';
import { printError } from '../../text/output.ts';
import { printable } from '../../text/printable.ts';
import { UsageError } from '../../text/usage-error.ts';
import { CONNECTION_LOST, encodeMessage, StreamError, StreamReader } from '../../vmm/migration/stream.ts';
import { leaving, managerOrNew } from './manager.ts';

/** Receives a VM on standard input. @returns the exit status */
export async function receive(): Promise<number> {
  if (process.stdin.isTTY || process.stdout.isTTY)
    throw new UsageError('this receives a VM from another host: run vring vm migrate there');
  // The other host may be gone.
  process.stdout.on('error', () => {});
  const answer = (message: FromDestination) =>
    new Promise<void>(resolve => process.stdout.write(encodeMessage(message), () => resolve()));
  try {
    return await leaving(await managerOrNew(), async engine => {
      await answer({ kind: 'ready', version: version() });
      const receiver = new Receiver(engine, answer);
      try {
        await receiveAll(receiver);
        return 0;
      } catch (error) {
        // Nothing of it runs here once the manager knows that this process has given it up.
        if (!receiver.mayRun) await receiver.giveUp((error as Error).message);
        throw receiver.mayRun ? new LateError((error as Error).message) : error;
      } finally {
        receiver.close();
      }
    });
  } catch (error) {
    const { message } = error as Error;
    const reason = error instanceof StreamError ? `the other host ${message}` : message;
    if (!(error instanceof LateError)) await answer({ kind: 'failed', reason });
    printError(`vring: ${printable(reason)}`);
    return 1;
  }
}

/** After the VM was told to run: it may do so. */
class LateError extends Error {}

async function receiveAll(receiver: Receiver): Promise<void> {
  const reader = new StreamReader();
  for await (const chunk of process.stdin) {
    for (const item of reader.push(chunk)) await receiver.take(item);
    if (receiver.isDone) return;
  }
  throw new Error(CONNECTION_LOST);
}
