import { statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { MetricsFormat } from '../engine/engine.ts';
import { writeOut } from '../text/output.ts';
import { withManual } from './manual.ts';

type MetricsOptions = { readonly format: MetricsFormat; readonly output?: string };

/** `vring metrics`: for monitoring. */
export function registerMetrics(program: Command): void {
  const metrics = program
    .command('metrics')
    .description('Print the metrics of the host and all VMs')
    .addOption(
      new Option('--format <format>', 'OpenMetrics 1.0, or the Prometheus text format 0.0.4')
        .choices(['openmetrics', 'prometheus'])
        .default('openmetrics'),
    )
    .option('--output <file>', 'write to a file, replacing it atomically')
    .action(async ({ format, output }: MetricsOptions) => {
      const text = await metricsText(format);
      if (output === undefined) writeOut(text);
      else await replace(resolve(output), text);
    });
  withManual(metrics, {
    text: [
      'docs/metrics.md lists the metrics. `vring serve --metrics` serves them over HTTP. Without a manager, ' +
        'all defined VMs are listed as off.',
    ],
    examples: [
      {
        command: 'vring metrics --format prometheus --output /var/lib/prometheus/node-exporter/vring.prom',
        does: "for the textfile collector of Prometheus' node_exporter, run from a timer",
      },
    ],
  });
}

async function metricsText(format: MetricsFormat): Promise<string> {
  const { managerIfAny, leaving } = await import('./vm/manager.ts');
  const engine = await managerIfAny();
  if (engine !== null) return leaving(engine, each => each.metrics(format));
  const { openVmList } = await import('./vm/vm-list.ts');
  const { metricsWithoutManager } = await import('../report/metrics-now.ts');
  return metricsWithoutManager((await openVmList()).vms(), format);
}

/** Atomic: a collector reads either the old text or the new one. A device or a FIFO is written to in place. */
async function replace(file: string, text: string): Promise<void> {
  const folder = dirname(file);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`--output ${file}: the folder ${folder} does not exist; create it first`);
  const { replaceFile } = await import('../files/replace-file.ts');
  const there = statSync(file, { throwIfNoEntry: false });
  try {
    if (there === undefined || there.isFile()) replaceFile(file, text, { mode: 0o644 });
    else writeFileSync(file, text);
  } catch (error) {
    throw new Error(`--output ${file} cannot be written: ${(error as Error).message}`);
  }
}
