import type { Command } from 'commander';
import { withManual } from './manual.ts';

/** `vring metrics`: for monitoring. */
export function registerMetrics(program: Command): void {
  const metrics = program
    .command('metrics')
    .description('Print the host and all VMs as an OpenMetrics text')
    .action(async () => {
      const { openVmList } = await import('./vm/vm-list.ts');
      const { managerIfAny, leaving } = await import('./vm/manager.ts');
      const engine = await managerIfAny();
      if (engine !== null) {
        process.stdout.write(await leaving(engine, each => each.metrics()));
        return;
      }
      const { metricsWithoutManager } = await import('../report/metrics-now.ts');
      process.stdout.write(metricsWithoutManager((await openVmList()).vms()));
    });
  withManual(metrics, {
    text: [
      'docs/metrics.md lists the metrics. Without a manager, the VMs are those that are defined, and off.',
    ],
  });
}
