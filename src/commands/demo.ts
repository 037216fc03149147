import type { Command } from 'commander';
import { builtFile } from '../project-root.ts';
import { type OpenUiOptions, openUi, withUiOptions } from './open-ui.ts';

const MiB = 2 ** 20;
const DISK_BYTES = 64 * MiB;
const REPORT_AFTER_MS = 2000;

/** `vring demo`, which `npm start` runs: the embedded guest, in the UI or as a report. */
export function registerDemo(program: Command): void {
  withUiOptions(program.command('demo'))
    .description('Run the embedded guest: in the UI, or as a report where there is no terminal')
    .option('--json', 'print the report as JSON')
    .action(async (options: OpenUiOptions & { json?: boolean }) => {
      const [{ LocalEngine }, { createDemoDisk }] = await Promise.all([
        import('../engine/local-engine.ts'),
        import('./demo-disk.ts'),
      ]);
      const engine = new LocalEngine();
      const disk = createDemoDisk(DISK_BYTES);
      const id = await engine.start({
        name: 'demo',
        memory: { bytes: 64 * MiB },
        kernel: { path: builtFile('guest.elf'), append: 'run="demo"' },
        devices: [{ type: 'virtio-blk', path: disk }, { type: 'virtio-rng' }],
      });
      const interactive = process.stdout.isTTY && process.stdin.isTTY && !options.json;
      if (interactive) {
        await openUi(engine, options, id);
        return;
      }
      const { report } = await import('./report.ts');
      console.log(await report(engine, id, { afterMs: REPORT_AFTER_MS, json: options.json === true }));
      await engine.close();
    });
}
