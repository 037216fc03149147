import { BUTTON_OFF } from '../engine/engine.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import type { Choice } from '../store/layers.ts';
import { own } from '../text/own.ts';
import type { Ui } from './ui.ts';

/** How long guests may take before the dialog offers to kill them. */
const PATIENCE_MS = 10_000;
const TICK_MS = 1000;

/**
 * Presses the power button of every running VM, waits while a dialog shows the progress, and leaves when all are off.
 * The user can kill those that do not power off, or stop waiting, which does not undo anything.
 */
export function shutDownAndQuit(ui: Ui): void {
  const ids = aliveVms(ui).map(vm => vm.id);
  const refusals = new Map<string, string>();
  const startedAt = ui.clock.now();
  const dialog = ui.choose('', '', []);
  let callOffTick = () => {};

  const stop = () => {
    callOffTick();
    unsubscribe();
  };
  const show = () => {
    const waited = ui.clock.now() - startedAt;
    const { infos } = ui.store.getState();
    const remaining = ids.filter(id => infos[id] !== undefined && isAlive(infos[id]));
    dialog.change({
      title: `Shutting down: ${ids.length - remaining.length} of ${ids.length} off, ${Math.floor(waited / 1000)} s`,
      body: ids.map(id => `${id}: ${stateOf(infos[id], refusals.get(id))}`).join('\n'),
      choices: choices(remaining, waited >= PATIENCE_MS || refusals.size > 0),
    });
  };
  const choices = (remaining: readonly string[], impatient: boolean): readonly Choice[] => [
    { label: 'Stop waiting' },
    { label: 'Detach', run: () => ui.quit() },
    ...(impatient
      ? [{ label: 'Kill the rest', run: () => void ui.attempt(killAndQuit(ui, remaining)) }]
      : []),
  ];
  const tick = () => {
    show();
    callOffTick = ui.clock.after(TICK_MS, tick);
  };
  const unsubscribe = ui.store.subscribe((state, before) => {
    if (!dialog.isOpen()) stop();
    else if (state.infos !== before.infos) {
      if (aliveVms(ui).some(vm => ids.includes(vm.id))) show();
      else {
        stop();
        ui.quit();
      }
    }
  });

  for (const id of ids) {
    const press = async () => {
      const state = own(ui.store.getState().infos, id)?.state;
      if (state === 'paused' || state === 'suspended')
        throw new Error(`a ${state} guest cannot react to the power button`);
      const { noticed } = await ui.engine.powerButton(id);
      if (!noticed) throw new Error(BUTTON_OFF);
    };
    press().catch((error: Error) => {
      refusals.set(id, error.message);
      if (dialog.isOpen()) show();
    });
  }
  tick();
}

function aliveVms(ui: Ui): readonly VmInfo[] {
  return Object.values(ui.store.getState().infos).filter(isAlive);
}

function stateOf(vm: VmInfo | undefined, refusal: string | undefined): string {
  if (vm === undefined) return 'deleted';
  if (!isAlive(vm)) return vm.state;
  return `${vm.state}; ${refusal ?? 'power button pressed'}`;
}

async function killAndQuit(ui: Ui, ids: readonly string[]): Promise<void> {
  await Promise.all(ids.map(id => ui.engine.kill(id)));
  ui.quit();
}
