import { type Command, Option } from 'commander';
import { withManual } from './manual.ts';
import { parseCount } from './values.ts';

const LONGEST_WAIT_SECONDS = 24 * 3600;

type ServeCommandOptions = { shutdownTimeout: number; background?: boolean; idleTimeout: number };

/** `vring serve`: the process that owns the VMs, for systemd, or in the background of a client. */
export function registerServe(program: Command): void {
  const seconds = (option: string, least: number) => (text: string) =>
    parseCount(text, option, least, LONGEST_WAIT_SECONDS);
  const serve = program
    .command('serve')
    .description('Own the VMs without a UI: start those with autostart, and let terminals attach')
    .option(
      '--shutdown-timeout <seconds>',
      'how long guests may take to switch off, when this ends, before they are killed',
      seconds('--shutdown-timeout', 0),
      60,
    )
    .addOption(
      new Option(
        '--background',
        'as clients start it: log to a file, and end when it is not wanted',
      ).hideHelp(),
    )
    .addOption(
      new Option('--idle-timeout <seconds>', 'in the background, how long to stay without VMs and clients')
        .argParser(seconds('--idle-timeout', 1))
        .default(30)
        .hideHelp(),
    )
    .action(async ({ shutdownTimeout, background = false, idleTimeout }: ServeCommandOptions) => {
      const { serve } = await import('../manager/serve.ts');
      process.exitCode = await serve({
        background,
        shutdownMs: shutdownTimeout * 1000,
        idleMs: idleTimeout * 1000,
      });
    });
  withManual(serve, {
    text: [
      'SIGTERM presses the power button of every guest, waits until they are off, and kills those that are still on after the time ' +
        'limit, naming them. There is one manager for a user; the UI and the commands find it by its socket.',
    ],
  });
}
