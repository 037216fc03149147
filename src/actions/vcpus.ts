import { isAlive, isUp, type VmInfo } from '../engine/vm-info.ts';
import { textEdit } from '../text/text-edit.ts';
import { mostVcpus, pendingVcpus } from '../view/vm-facts.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';
import type { Ui } from './ui.ts';

/** The most vCPUs of any VM. */
const MOST = 64;

function noRoom({ vm }: ActionContext): string | null {
  if (vm === null) return NO_VM;
  if (!isAlive(vm)) return vm.defined ? null : `${vm.name} is ${vm.state} and has no definition`;
  if (!isUp(vm)) return `${vm.name} is ${vm.state}`;
  return vm.topology?.vcpuLabels === undefined ? `${vm.name} has no room (cpus.maxcpus)` : null;
}

/** Does not wait for the guest: the outcome is shown once it is known. */
async function setVcpus(ui: Ui, { id, name }: VmInfo, count: number): Promise<void> {
  ui.notify('info', `${name} was asked to have ${vcpus(count)}`);
  const { running, noticed } = await ui.engine.setVcpus(id, count);
  if (!running) ui.notify('info', `${name} has ${vcpus(count)} at its next start`);
  else if (noticed) ui.notify('info', `${name} has ${vcpus(count)}`);
  else ui.notify('info', `the guest of ${name} has no driver yet that takes up ${vcpus(count)}`);
}

function vcpus(count: number): string {
  return `${count} vCPU${count === 1 ? '' : 's'}`;
}

/** Actions on the vCPUs of a VM. */
export const vcpuActions: readonly Action[] = [
  {
    name: 'vcpus',
    category: 'Virtual machine',
    label: 'vCPUs',
    phrase: 'change its number of vCPUs',
    description: 'Set how many vCPUs it has, now or in its definition',
    screens: ['vms', 'vm'],
    changes: 'vm',
    unavailable: noRoom,
    run: ({ ui, vm }) => {
      const { name, topology } = vm!;
      // What it keeps once its guest has released what it was asked for.
      const now = vm!.vcpus - pendingVcpus(topology).removing.length;
      const most = isAlive(vm!) || vm!.maxVcpus !== undefined ? mostVcpus(vm!) : MOST;
      ui.clearNotice();
      ui.store.getState().pushLayer({
        kind: 'prompt',
        prompt: `vCPUs of ${name}: a number from 1 to ${most}, ${now} now`,
        edit: textEdit(),
        fresh: false,
        inRowOf: null,
        range: { least: 1, most, now },
        submit: text => {
          const count = Number(text);
          if (!/^\d+$/.test(text) || count < 1 || count > most)
            throw new Error(`how many vCPUs? A number from 1 to ${most}`);
          void ui.attempt(setVcpus(ui, vm!, count));
        },
      });
    },
  },
];
