import { CommanderError } from 'commander';
import { UsageError } from '../text/usage-error.ts';
import { buildProgram } from './program.ts';
import { withQemuOptionsLast } from './qemu-words.ts';

const FAILURE = 1;
const WRONG_USAGE = 2;

/** Carries out the command line, and ends the process. */
export async function runProgram(argv: readonly string[]): Promise<never> {
  // A reader that has gone away (`| head`) is no reason to fail.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  try {
    const program = buildProgram();
    await program.parseAsync(withQemuOptionsLast(program, argv.slice(2)), { from: 'user' });
  } catch (error) {
    process.exitCode = await exitStatus(error);
  }
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // Warm machine threads and open sockets have no say in when the command has ended.
  process.exit();
}

/** Resolves when a slow reader has taken everything that was printed. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => {
    stream.write('', () => resolve());
  });
}

/** Prints what went wrong, in one sentence, and gives the exit status. */
async function exitStatus(error: unknown): Promise<number> {
  // Commander has printed its message already; help and version end this way with status 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  console.error(`vring: ${error instanceof Error ? error.message : String(error)}`);
  if (process.env.VRING_DEBUG && error instanceof Error) console.error(error.stack);
  const { ConfigError } = await import('../vmm/machine/config.ts');
  return error instanceof UsageError || error instanceof ConfigError ? WRONG_USAGE : FAILURE;
}
