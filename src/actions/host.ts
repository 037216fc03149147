import { isParkingDriver } from '../host/vfio/read.ts';
import type { DoctorRow } from '../view/host-rows.ts';
import type { Action, ActionContext } from './action.ts';
import { askForChange, askForUndo } from './host-change.ts';
import { editCount, editSettings } from './host-prompts.ts';
import { bridgeAmong, FUNCTION_SCREENS, NO_FUNCTION, targetsOf, wholeGroup } from './host-targets.ts';

const HOST_SCREENS = [...FUNCTION_SCREENS, 'doctor'] as const;

const binding: readonly Action[] = [
  {
    name: 'bind',
    category: 'Host',
    label: 'bind',
    phrase: 'bind the function',
    description: 'Bind the function, or all marked ones, to vfio-pci for a VM; shows the plan first',
    screens: FUNCTION_SCREENS,
    bar: 40,
    changes: 'host-by-plan',
    unavailable: context => {
      const targets = targetsOf(context);
      if (targets === null) return NO_FUNCTION;
      const functions = targets.addresses.map(address => targets.host.functions.get(address)!);
      const bridge = bridgeAmong(targets);
      if (bridge !== null) return bridge;
      return functions.every(fn => fn.driver === 'vfio-pci') ? 'vfio-pci has it already' : null;
    },
    run: context =>
      askForChange(context.ui, {
        kind: 'bind',
        addresses: targetsOf(context)!.addresses,
        driver: 'vfio-pci',
        wholeGroup: wholeGroup(context),
        persist: false,
      }),
  },
  {
    name: 'release',
    category: 'Host',
    label: 'release',
    phrase: 'release the function',
    description: "Return the function, or all marked ones, to the host's drivers; shows the plan first",
    screens: FUNCTION_SCREENS,
    bar: 41,
    changes: 'host-by-plan',
    unavailable: context => {
      const targets = targetsOf(context);
      if (targets === null) return NO_FUNCTION;
      const away = targets.addresses.some(address => {
        const fn = targets.host.functions.get(address)!;
        return isParkingDriver(fn.driver) || fn.driverOverride !== null || fn.driver === null;
      });
      return away ? null : 'the host has it';
    },
    run: context =>
      askForChange(context.ui, {
        kind: 'unbind',
        addresses: targetsOf(context)!.addresses,
        driver: null,
        wholeGroup: wholeGroup(context),
        persist: false,
      }),
  },
];

/** The SR-IOV function at the cursor. */
function sriovTarget({ ui, state }: ActionContext) {
  const address = ui.hostSelect.functionAtCursor(state);
  const fn = state.host?.functions.get(address ?? '');
  if (fn === undefined) return null;
  const physical = state.host!.physicalFunctions.get(fn.physicalFunction ?? fn.address);
  const virtual = physical?.vfs.find(vf => vf.address === fn.address);
  return physical === undefined ? null : { physical, virtual };
}

const edit: Action = {
  name: 'edit',
  category: 'Host',
  label: 'edit',
  phrase: 'edit SR-IOV settings',
  description:
    'Change the number of VFs, or the settings of a VF: MAC, VLAN, trust, spoof check; shows the plan first',
  screens: ['sriov', 'function'],
  bar: 35,
  changes: 'host-by-plan',
  unavailable: context => {
    const target = sriovTarget(context);
    if (target === null) return 'the function has no SR-IOV';
    const { virtual } = target;
    return virtual !== undefined && virtual.attributes === null
      ? `VF ${virtual.index} has no settings: only network cards have, while their driver is bound`
      : null;
  },
  run: context => {
    const { physical, virtual } = sriovTarget(context)!;
    if (virtual === undefined) editCount(context.ui, physical);
    else editSettings(context.ui, physical, virtual);
  },
};

const host: readonly Action[] = [
  {
    name: 'fix',
    category: 'Host',
    label: 'fix',
    phrase: 'apply the fix',
    description: 'Enable the IOMMU from the next boot on; shows the plan first',
    screens: ['doctor'],
    bar: 40,
    changes: 'host-by-plan',
    unavailable: ({ ui, state }) => {
      const row = ui.hostSelect.rowAtCursor(state) as DoctorRow | null;
      if (row === null) return 'there is no finding here';
      if (row.finding.id !== 'iommu.enabled')
        return 'fix this one manually: its steps are shown below the list';
      return row.finding.state === 'ok' ? 'the IOMMU is on' : null;
    },
    run: ({ ui }) => askForChange(ui, { kind: 'iommu' }),
  },
  {
    name: 'undo',
    category: 'Host',
    label: 'undo',
    description: 'Undo the last change of the host; shows what that does first',
    screens: HOST_SCREENS,
    bar: 50,
    changes: 'host',
    run: ({ ui }) => askForUndo(ui),
  },
];

/** Actions that change the host. Each shows its plan before anything is changed. */
export const hostActions: readonly Action[] = [...binding, edit, ...host];
