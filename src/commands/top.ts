import type { Command } from 'commander';
import { LEFT_STATUS, withManual } from './manual.ts';
import { parseInterval, type TopOptions } from './top/options.ts';
import { VM_TOTALS } from './vm/vm-json.ts';

/** `vring top`: VMs by CPU time. */
export function registerTop(program: Command): void {
  const top = program
    .command('top')
    .description('Show host and VM activity, updated continuously')
    .option('--once', 'print one sample and exit')
    .option('--interval <time>', 'sampling interval, such as 500ms or 2s (default: 1s)', parseInterval)
    .option('--csv', 'print CSV, one line per VM')
    .option('--json', 'print JSON, one document per line')
    .action(async (options: TopOptions) => {
      const { top } = await import('./top/top.ts');
      process.exitCode = await top(options);
    });
  withManual(top, {
    text: ['On a terminal, `q` quits. Otherwise it prints until the reader closes the pipe.', LEFT_STATUS],
    json: [
      ['at', 'milliseconds since 1970'],
      ['seconds', 'length of the interval'],
      ['host', '`cpu` (1 is one fully used CPU), `cpus`, `memory`: `totalBytes`, `availableBytes`'],
      ['vms', `of running VMs: \`name\`, \`state\`, and rates per second: ${VM_TOTALS}`],
    ],
    examples: [{ command: 'vring top --once --csv --interval 5s', does: 'one five-second sample as CSV' }],
  });
}
