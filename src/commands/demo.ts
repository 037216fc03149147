import type { Command } from 'commander';
import { isAlive } from '../engine/vm-info.ts';
import { builtFile } from '../project-root.ts';
import { printText } from '../text/output.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { IN_PROCESS_OPTION } from './in-process.ts';
import { onTerminal } from './on-terminal.ts';
import { loadUi, type OpenUiOptions, openUi, withUiOptions } from './open-ui.ts';

const NAME = 'demo';
const MiB = 2 ** 20;
const DISK_BYTES = 64 * MiB;
const REPORT_AFTER_MS = 2000;

/** `vring demo`, which `npm start` runs: the embedded guest, in the UI or as a report. */
export function registerDemo(program: Command): void {
  withUiOptions(program.command('demo'))
    .description('Run the embedded guest in the UI, or print a report if there is no terminal')
    .option('--json', 'print the report as JSON')
    .option(...IN_PROCESS_OPTION)
    .action(async (options: OpenUiOptions & { json?: boolean; inProcess?: boolean }) => {
      if (!onTerminal() || options.json) await reportDemo(options.json === true);
      else await (options.inProcess ? showHere(options) : showDemo(options));
    });
}

/** In the manager, like any other VM: it keeps running after the UI exits. */
async function showDemo(options: OpenUiOptions): Promise<void> {
  const [{ managerOrNew }, { keptDemoDisk }] = await Promise.all([
    import('./vm/manager.ts'),
    import('./demo-disk.ts'),
  ]);
  const [engine] = await Promise.all([managerOrNew(), loadUi()]);
  const existing = engine.vms().find(vm => vm.name === NAME);
  if (existing === undefined) await engine.start(machine(keptDemoDisk(DISK_BYTES)));
  else if (!isAlive(existing)) await engine.restart(NAME);
  await openUi(engine, options, NAME);
}

/** In this process, without a manager; it ends with the UI. */
async function showHere(options: OpenUiOptions): Promise<void> {
  const [{ LocalEngine }, { demoDisk }] = await Promise.all([
    import('../engine/local-engine.ts'),
    import('./demo-disk.ts'),
    loadUi(),
  ]);
  const engine = new LocalEngine();
  await openUi(engine, options, await engine.start(machine(demoDisk(DISK_BYTES))));
}

/** In this process, only while the report is made. */
async function reportDemo(json: boolean): Promise<void> {
  const [{ LocalEngine }, { demoDisk }, { report }] = await Promise.all([
    import('../engine/local-engine.ts'),
    import('./demo-disk.ts'),
    import('./report.ts'),
  ]);
  const engine = new LocalEngine();
  const id = await engine.start(machine(demoDisk(DISK_BYTES)));
  printText(await report(engine, id, { afterMs: REPORT_AFTER_MS, json }));
  await engine.close();
}

function machine(disk: string): MachineConfigInput {
  return {
    name: NAME,
    memory: { bytes: 64 * MiB },
    boot: { kind: 'kernel', path: builtFile('guest.elf'), append: 'run="demo"' },
    devices: [{ type: 'virtio-blk', path: disk, format: 'raw' }, { type: 'virtio-rng' }],
  };
}
