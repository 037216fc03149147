import type { Command } from 'commander';
import { likely } from '../text/nearest.ts';
import { printable } from '../text/printable.ts';
import { UsageError } from '../text/usage-error.ts';
import { IN_PROCESS_OPTION, inProcessEngine } from './in-process.ts';
import { requireTerminal } from './on-terminal.ts';
import { loadUi, type OpenUiOptions, openUi, withUiOptions } from './open-ui.ts';

/** `vring` alone: the full-screen UI. */
export function registerUi(program: Command): void {
  // Commands have options of the same names: those after a command's name belong to the command.
  const ui = withUiOptions(program.enablePositionalOptions()).option(...IN_PROCESS_OPTION);
  ui.action(async (options: OpenUiOptions & { inProcess?: boolean }) => {
    const [unknown] = program.args;
    if (unknown !== undefined) {
      const near = likely(
        unknown,
        program.commands.map(command => command.name()),
      );
      const help = near === null ? 'vring --help lists them' : `did you mean ${near}?`;
      throw new UsageError(`there is no command "${printable(unknown)}"; ${help}`);
    }
    requireTerminal();
    if (options.inProcess) {
      await openUi(await inProcessEngine(), options);
      return;
    }
    // The manager and the UI take about equally long to start, so start both in parallel.
    const { managerOrNew } = await import('./vm/manager.ts');
    const manager = managerOrNew({ readOnly: options.readOnly === true });
    const [engine] = await Promise.all([manager, loadUi()]);
    await openUi(engine, options);
  });
}
