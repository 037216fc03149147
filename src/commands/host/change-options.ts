import type { Command } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { withHostOptions } from './host-options.ts';

/** A command that may change the host. */
export function withChangeOptions(command: Command): Command {
  return withTimeout(
    withHostOptions(command)
      .option('--dry-run', 'show every step without changing anything')
      .option('--force', 'override failed checks where the kernel allows it'),
  );
}

/** A command that writes to devices. */
export function withTimeout(command: Command): Command {
  return command.option(
    '--step-timeout <seconds>',
    'seconds to wait for a write to a device to complete (default: 60, more for many VFs)',
    text => parseCount(text, '--step-timeout', 1, 86_400),
  );
}
