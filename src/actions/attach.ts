import type { VmInfo } from '../engine/vm-info.ts';
import type { PickRow } from '../store/pick-layer.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { own } from '../text/own.ts';
import { textEdit } from '../text/text-edit.ts';
import { attachRefusal, NEW_VM, VM_CHOICE_COLUMNS, vmChoices } from '../view/attach-choices.ts';
import { type Action, NO_VM } from './action.ts';
import { openDiskForm } from './attach-disk.ts';
import { openNicForm } from './attach-nic.ts';
import { askToAttach, targetOf } from './attach-plan.ts';
import { bridgeAmong, FUNCTION_SCREENS, NO_FUNCTION, targetsOf, wholeGroup } from './host-targets.ts';
import { openScreen } from './navigate.ts';
import { openNewVmForm } from './new-vm.ts';
import type { Ui } from './ui.ts';

type Chosen = {
  readonly addresses: readonly string[];
  readonly wholeGroup: boolean;
};

/** Lets the user pick the VM that gets the devices, then shows the plan. */
function pickVm(ui: Ui, chosen: Chosen): void {
  const state = ui.store.getState();
  const vms = state.order.map(id => state.infos[id]!);
  const rows = vmChoices(vms, chosen.addresses);
  const [first, ...more] = chosen.addresses;
  state.pushLayer({
    kind: 'pick',
    title: `Attach ${first}${more.length === 0 ? '' : ` and ${more.length} more`} to which VM?`,
    hint: 'Type to narrow',
    columns: VM_CHOICE_COLUMNS,
    rows,
    edit: textEdit(),
    cursor: firstChoice(rows, state.selectedVm),
    pick: key => void ui.attempt(key === NEW_VM ? attachToNew(ui, chosen) : attachTo(ui, key, chosen)),
  });
}

/** The VM under the cursor of the VM list if it can have them, else the first one that can. */
function firstChoice(rows: readonly PickRow[], selected: string | null): number {
  const able = (row: PickRow) => row.refusal === null;
  const preferred = rows.findIndex(row => able(row) && row.key === selected);
  return preferred >= 0 ? preferred : Math.max(0, rows.findIndex(able));
}

async function attachTo(ui: Ui, id: string, { addresses, wholeGroup }: Chosen): Promise<void> {
  const vm = own(ui.store.getState().infos, id);
  if (vm === undefined) throw new Error(`${id} is gone: it was deleted or renamed in the meantime`);
  const refusal = attachRefusal(vm, addresses);
  if (refusal !== null) throw new Error(refusal);
  await askToAttach(ui, await targetOf(ui, vm), addresses, wholeGroup);
}

/** Opens the form for a new VM, with the devices filled in; the plan for both follows. */
async function attachToNew(ui: Ui, { addresses, wholeGroup }: Chosen): Promise<void> {
  openNewVmForm(ui, {
    devices: addresses,
    planned: plan => {
      const { name, memory, cpus, passthrough } = plan.definition;
      const target = { kind: 'new', name, memory: memory.size, vcpus: cpus.count, plan } as const;
      // The user may have changed them in the form.
      const asked = passthrough.map(({ host }) => host);
      void ui.attempt(askToAttach(ui, target, asked, wholeGroup));
    },
  });
}

function openHostDevices(ui: Ui, vm: VmInfo): void {
  // The pick list starts at this VM.
  ui.store.getState().selectVm(vm.id);
  openScreen(ui, { kind: 'vfio' });
  ui.notify('info', `Space marks devices for ${vm.name}, a attaches them`);
}

export const attachActions: readonly Action[] = [
  {
    name: 'attach',
    category: 'Host',
    label: 'attach',
    phrase: 'attach the function',
    description:
      "Attach the function, or all marked ones, to a running VM, or for a VM's next start; shows the plan first",
    screens: FUNCTION_SCREENS,
    bar: 39,
    changes: 'host-by-plan',
    unavailable: context => {
      const targets = targetsOf(context);
      return targets === null ? NO_FUNCTION : bridgeAmong(targets);
    },
    run: context =>
      pickVm(context.ui, {
        addresses: targetsOf(context)!.addresses,
        wholeGroup: wholeGroup(context),
      }),
  },
  {
    name: 'attach-here',
    category: 'Virtual machine',
    label: 'attach',
    phrase: 'attach a device',
    description:
      'Attach a disk, a network card, or devices of the host, which Space marks in a list and a attaches',
    screens: ['vm'],
    here: ({ state, vm }) => vm !== null && vmViewOf(state, vm.id).tab === 'devices',
    bar: 39,
    changes: 'vm',
    unavailable: ({ vm }) => (vm === null ? NO_VM : attachRefusal(vm, [])),
    run: ({ ui, vm }) => {
      const { name } = vm!;
      ui.choose(
        `Attach what to ${name}?`,
        'Host devices are marked in a list with Space, and attached with a.',
        [
          { label: 'Cancel' },
          { label: 'Disk', run: () => openDiskForm(ui, vm!) },
          { label: 'Network card', run: () => openNicForm(ui, vm!) },
          { label: 'Host devices', run: () => openHostDevices(ui, vm!) },
        ],
      );
    },
  },
];
