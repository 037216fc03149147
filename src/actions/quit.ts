import type { Action, ActionContext } from './action.ts';
import { shutDownAndQuit } from './shut-down.ts';

function count(alive: number): string {
  return alive === 1 ? '1 VM is running' : `${alive} VMs are running`;
}

/** Leaving does not affect VMs that another process runs; the dialog also offers to shut them down. */
function leave({ ui, state }: ActionContext): void {
  const alive = ui.select.aliveVms(state);
  const cannotChange = ui.readOnly !== null || state.managerLost !== null;
  if (alive === 0 || !ui.engine.manager.remote || cannotChange) {
    ui.quit();
    return;
  }
  ui.choose(
    'Quit vring?',
    `${count(alive)}. Detach leaves ${alive === 1 ? 'it' : 'them'} running: run vring to come back.`,
    [
      { label: 'Detach', run: () => ui.quit() },
      { label: 'Shut down', run: () => shutDownAndQuit(ui) },
      { label: 'Cancel' },
    ],
  );
}

export const quitAction: Action = {
  name: 'quit',
  category: 'Program',
  label: 'quit',
  description: 'Quit: detach and leave the VMs running, or shut them down',
  bar: 100,
  dangerous: ({ ui, state }) => {
    const alive = ui.select.aliveVms(state);
    if (alive === 0 || ui.engine.manager.remote) return null;
    return {
      title: 'Quit vring?',
      body: `${count(alive)} in this process and will be killed.`,
      verb: 'Quit',
    };
  },
  run: leave,
};
