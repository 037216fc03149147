import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import { printError } from '../text/output.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { reportEnd } from './report-end.ts';
import { watchConsole } from './vm/console.ts';
import { leaving, managerOrNew } from './vm/manager.ts';

/**
 * Has the manager run a machine, with its serial port on this terminal. The VM goes on when the terminal is left or
 * lost; once it has ended there is nothing to keep of it.
 * @returns the exit status
 */
export async function runJoined(config: MachineConfigInput): Promise<number> {
  return await leaving(await managerOrNew(), async engine => {
    const id = await engine.start(config);
    const vm = (): VmInfo | undefined => engine.vms().find(vm => vm.id === id);
    let status = 0;
    // It may have ended before there was a console to join.
    if (isAlive(vm()!)) status = await watchConsole(engine, id, {});
    const left = vm();
    if (left === undefined) return status;
    if (isAlive(left)) {
      printError(`vring: ${id} goes on; vring vm console ${id} joins it again, vring vm kill ${id} ends it`);
      return status;
    }
    await engine.remove(id);
    return reportEnd(left);
  });
}
