import type { Action, ActionContext } from './action.ts';
import { shutDownAndQuit } from './shut-down.ts';

function count(alive: number): string {
  return alive === 1 ? '1 VM runs' : `${alive} VMs run`;
}

/** Leaving harms no VM that another process runs; shutting them down is offered at the same time. */
function leave({ ui, state }: ActionContext): void {
  const alive = ui.select.aliveVms(state);
  const cannotChange = ui.readOnly !== null || state.managerLost !== null;
  if (alive === 0 || !ui.engine.manager.remote || cannotChange) {
    ui.quit();
    return;
  }
  ui.choose('Leave vring?', `${count(alive)}. Detached, they go on; vring brings you back to them.`, [
    { label: 'Detach', run: () => ui.quit() },
    { label: 'Shut down', run: () => shutDownAndQuit(ui) },
    { label: 'Cancel' },
  ]);
}

export const quitAction: Action = {
  name: 'quit',
  category: 'Program',
  label: 'quit',
  description: 'Leave: VMs go on without this screen, or are shut down if you choose so',
  bar: 100,
  dangerous: ({ ui, state }) => {
    const alive = ui.select.aliveVms(state);
    if (alive === 0 || ui.engine.manager.remote) return null;
    return {
      title: 'Quit vring?',
      body: `${count(alive)} in this process and will be stopped at once.`,
      verb: 'Quit',
    };
  },
  run: leave,
};
