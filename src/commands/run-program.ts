import { type Command, CommanderError } from 'commander';
import { errorText } from '../text/listed-error.ts';
import { outputFailure, outputFlushed, printError, watchOutput } from '../text/output.ts';
import { UsageError } from '../text/usage-error.ts';
import { withQemuOptionsLast } from './qemu-words.ts';

const FAILURE = 1;
const WRONG_USAGE = 2;

/** Runs a command line of the program that `build` creates, then exits. */
export async function runProgram(build: () => Command, argv: readonly string[]): Promise<never> {
  watchOutput();
  try {
    const program = build();
    await program.parseAsync(withQemuOptionsLast(program, argv.slice(2)), { from: 'user' });
  } catch (error) {
    process.exitCode = await exitStatus(error);
  }
  return await endProgram();
}

/** Exits once all output is flushed, with status 1 if some of it could not be written. */
export async function endProgram(): Promise<never> {
  await outputFlushed();
  const failure = outputFailure();
  if (failure !== null) {
    printError(`vring: ${failure}`);
    process.exitCode ||= FAILURE;
  }
  // Do not wait for idle machine threads and open sockets.
  process.exit();
}

/** Prints the error. @returns the exit status */
async function exitStatus(error: unknown): Promise<number> {
  // Commander has printed its message; help and version also end here, with status 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  printError(`vring: ${errorText(error)}`);
  if (process.env.VRING_DEBUG && error instanceof Error) printError(error.stack ?? '');
  const { ConfigError } = await import('../vmm/machine/config.ts');
  return error instanceof UsageError || error instanceof ConfigError ? WRONG_USAGE : FAILURE;
}
