import type { Command } from 'commander';
import { LEFT_STATUS, withManual } from './manual.ts';
import { parseInterval, type TopOptions } from './top/options.ts';
import { VM_TOTALS } from './vm/vm-json.ts';

/** `vring top`: what the VMs do, by CPU time. */
export function registerTop(program: Command): void {
  const top = program
    .command('top')
    .description('Show what host and VMs do, again and again')
    .option('--once', 'show it once')
    .option('--interval <time>', 'measured over this long: 500ms, 2s (default: 1s)', parseInterval)
    .option('--csv', 'as comma-separated values, a line a VM')
    .option('--json', 'as JSON, one document a line')
    .action(async (options: TopOptions) => {
      const { top } = await import('./top/top.ts');
      process.exitCode = await top(options);
    });
  withManual(top, {
    text: [
      'On a terminal `q` leaves. Elsewhere the tables, lines or documents follow each other until nobody reads them any more.',
      LEFT_STATUS,
    ],
    json: [
      ['at', 'milliseconds since 1970'],
      ['seconds', 'how long was measured'],
      ['host', '`cpu` (1 is one CPU in full use), `cpus`, `memory`: `totalBytes`, `availableBytes`'],
      ['vms', `of those that run: \`name\`, \`state\`, and rates a second: ${VM_TOTALS}`],
    ],
    examples: [{ command: 'vring top --once --csv --interval 5s', does: 'five seconds as CSV' }],
  });
}
