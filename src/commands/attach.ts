import type { Command } from 'commander';
import { withManual } from './manual.ts';
import { requireTerminal } from './on-terminal.ts';
import { type OpenUiOptions, openUi, withUiOptions } from './open-ui.ts';

/** `vring attach`: the UI on a running manager. */
export function registerAttach(program: Command): void {
  const attach = withUiOptions(program.command('attach'))
    .argument('[vm]', 'the VM to open')
    .description('Open the UI on a running manager, without starting one')
    .action(async (name: string | undefined, options: OpenUiOptions) => {
      requireTerminal();
      const { findVm } = await import('./vm/find.ts');
      const { runningManager } = await import('./vm/manager.ts');
      const engine = await runningManager({ readOnly: options.readOnly === true });
      const vm = name === undefined ? undefined : findVm(engine.vms(), name);
      await openUi(engine, options, vm?.id);
    });
  withManual(attach, {
    text: [
      'Any number of terminals may be attached, each with its own screen. VMs keep running when a terminal detaches or its connection is lost.',
    ],
  });
}
