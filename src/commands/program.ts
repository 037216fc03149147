import { Command, CommanderError } from 'commander';
import { version } from '../project-root.ts';
import { ConfigError } from '../vmm/config.ts';
import { registerDemo } from './demo.ts';
import { registerDevices } from './devices.ts';
import { registerHostCommands } from './host/index.ts';
import { registerRun } from './run.ts';
import { registerUi } from './ui.ts';
import { UsageError } from './usage-error.ts';

const FAILURE = 1;
const WRONG_USAGE = 2;

/** The whole command line; the process's exit status is set when the import is done. */
const program = new Command('vring')
  .description('A terminal hypervisor: PCI devices, and guests on its own VMM, from one screen over SSH')
  .version(version(), '-V, --version')
  .showHelpAfterError('(vring --help shows what there is)')
  .exitOverride();

for (const register of [registerUi, registerRun, registerDemo, registerDevices, registerHostCommands])
  register(program);

// A reader that has gone away (`| head`) is no reason to fail.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitStatus(error);
}
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
// Warm machine threads and open sockets have no say in when the command has ended.
process.exit();

/** Resolves when a slow reader has taken everything that was printed. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => {
    stream.write('', () => resolve());
  });
}

/** Prints what went wrong, in one sentence, and gives the exit status. */
function exitStatus(error: unknown): number {
  // Commander has printed its message already; help and version end this way with status 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  console.error(`vring: ${error instanceof Error ? error.message : String(error)}`);
  if (process.env.VRING_DEBUG && error instanceof Error) console.error(error.stack);
  return error instanceof UsageError || error instanceof ConfigError ? WRONG_USAGE : FAILURE;
}
