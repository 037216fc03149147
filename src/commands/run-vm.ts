import { printLines } from '../text/output.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { onTerminal, requireTerminal } from './on-terminal.ts';
import { openUi } from './open-ui.ts';
import { withMachineOf } from './run-config.ts';
import * as here from './run-here.ts';
import { runJoined } from './run-joined.ts';
import type { RunOptions } from './run-options.ts';
import { leaving, managerOrNew } from './vm/manager.ts';

/** Runs `vring run`, wherever the VM belongs. @param given options on the command line @returns the exit status */
export async function runVm(
  words: readonly string[],
  options: RunOptions,
  given: readonly string[],
): Promise<number> {
  if (options.ui) requireTerminal();
  const run = inManager(options);
  if (run === null) return await here.runVm(words, options, given);
  return await withMachineOf(words, options, given, run);
}

/** How the manager runs it; null if this process should. */
function inManager({ detach, ui, foreground }: RunOptions) {
  if (detach) return runDetached;
  if (ui) return runInUi;
  // A terminal connection can be lost, so the VM outlives it. In a script (pipe or file) the VM ends with the script.
  return !foreground && onTerminal() ? runJoined : null;
}

async function runInUi(config: MachineConfigInput): Promise<number> {
  const engine = await managerOrNew();
  await openUi(engine, {}, await engine.start(config));
  return 0;
}

async function runDetached(config: MachineConfigInput): Promise<number> {
  await leaving(await managerOrNew(), engine => engine.start(config));
  printLines(`${config.name}: started; vring vm console ${config.name} attaches to its console`);
  return 0;
}
