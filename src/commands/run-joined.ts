import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import { printError } from '../text/output.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { reportEnd } from './report-end.ts';
import { watchConsole } from './vm/console.ts';
import { leaving, managerOrNew } from './vm/manager.ts';

/**
 * Has the manager run a machine, with its serial port on this terminal. The VM keeps running when the terminal detaches or
 * is lost; it is removed once it has ended.
 * @returns the exit status
 */
export async function runJoined(config: MachineConfigInput): Promise<number> {
  return await leaving(await managerOrNew(), async engine => {
    const id = await engine.start(config);
    const vm = (): VmInfo | undefined => engine.vms().find(vm => vm.id === id);
    let status = 0;
    if (hidesScreen(vm()!))
      printError(`vring: ${id} has a screen, too: vring vm screen ${id} shows it, also after Ctrl-] here`);
    // It may have ended before its console could be attached.
    if (isAlive(vm()!)) status = await watchConsole(engine, id, {});
    const left = vm();
    if (left === undefined) return status;
    if (isAlive(left)) {
      printError(
        `vring: ${id} keeps running: vring vm console ${id} reattaches, vring vm kill ${id} kills it`,
      );
      return status;
    }
    await engine.remove(id);
    return reportEnd(left);
  });
}

/** Whether the guest may print on its screen only, which the terminal does not show. */
function hidesScreen({ topology }: VmInfo): boolean {
  return topology !== null && !topology.serialFirst && topology.devices.some(({ screen }) => screen);
}
