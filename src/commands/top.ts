import type { Command } from 'commander';
import { withManual } from './manual.ts';
import { parseDuration } from './values.ts';
import { VM_TOTALS } from './vm/facts.ts';

export const INTERVAL_MS = { least: 100, most: 3_600_000, usual: 1000 } as const;

export function parseInterval(text: string): number {
  return parseDuration(text, '--interval', INTERVAL_MS.least, INTERVAL_MS.most);
}

export type TopOptions = {
  readonly once?: boolean;
  readonly csv?: boolean;
  readonly json?: boolean;
  readonly interval?: number;
};

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
      await top(options);
    });
  withManual(top, {
    text: [
      'On a terminal `q` leaves. Elsewhere the tables, lines or documents follow each other until nobody reads them any more.',
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
