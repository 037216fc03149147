import { isAlive, type Loss } from '../engine/vm-info.ts';
import { names } from '../view/manager-loss.ts';
import type { Action } from './action.ts';

function isGone(loss: Loss | null): boolean {
  return loss?.kind === 'died' || loss?.kind === 'ended';
}

/** For use after a manager died or ended. The next one takes over the VMs that still run. */
export const startAgain: Action = {
  name: 'start-again',
  category: 'Virtual machine',
  label: 'start again',
  description:
    'Start a manager if none is running, which takes over running VMs; start the VMs that ended unexpectedly',
  bar: 5,
  changes: 'vm',
  withoutManager: true,
  here: ({ state: { managerLost, infos } }) =>
    isGone(managerLost) || (managerLost === null && Object.values(infos).some(vm => vm.interrupted === true)),
  run: async ({ ui }) => {
    if (ui.store.getState().managerLost !== null) ui.notify('info', 'starting a manager');
    await ui.engine.startManager();
    const interrupted = ui.engine.vms().filter(vm => vm.interrupted && !isAlive(vm));
    if (interrupted.length === 0) return;
    ui.notify('info', `starting ${names(interrupted)}`);
    const results = await Promise.allSettled(interrupted.map(vm => ui.engine.restart(vm.id)));
    const failed = interrupted.filter((_, index) => results[index]!.status === 'rejected');
    if (failed.length === 0) ui.notify('info', `started ${names(interrupted)}`);
    else ui.notify('error', `could not start ${names(failed)}: see the log`);
  },
};
