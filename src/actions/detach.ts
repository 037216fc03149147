import { definedAs, whyNeeded } from '../engine/hotplug/defined-device.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive, isUp } from '../engine/vm-info.ts';
import { currentScreen } from '../store/ui-slice.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { own } from '../text/own.ts';
import type { DeviceOwner } from '../view/device-owners.ts';
import { type DeviceRow, deviceRows } from '../view/device-rows.ts';
import type { DeviceLabel } from '../vmm/machine/topology.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';
import { FUNCTION_SCREENS, NO_FUNCTION } from './host-targets.ts';
import type { Ui } from './ui.ts';

/** The tabs whose rows are devices. */
const BACKENDS = { devices: undefined, disks: 'disk', networks: 'net' } as const;

function deviceTab({ state, vm }: ActionContext): keyof typeof BACKENDS | null {
  if (vm === null) return null;
  const { tab } = vmViewOf(state, vm.id);
  return tab === 'devices' || tab === 'disks' || tab === 'networks' ? tab : null;
}

/** A device of a machine, or of the definition of a VM that is off. */
type Device = DeviceLabel & Pick<DeviceRow, 'host'>;

/** The device at the cursor of a tab, or why it cannot be detached. */
function deviceAtCursor(context: ActionContext): Device | string {
  const { state, vm } = context;
  const tab = deviceTab(context);
  if (vm === null || tab === null) return NO_VM;
  if (!isUp(vm) && (isAlive(vm) || !vm.defined || vm.problem !== null)) return `${vm.name} is ${vm.state}`;
  const rows = deviceRows(vm, null, BACKENDS[tab]);
  const row = rows[Math.min(vmViewOf(state, vm.id).cursors[tab], rows.length - 1)];
  if (row === undefined) return `${vm.name} has no device here`;
  if (!isUp(vm)) return whyInDefinition(vm, row) ?? row;
  const { places } = vm.topology!;
  if (places === undefined)
    return `${vm.name} was started by a version of vring without hot plug: V upgrades it`;
  if (places.devices.every(({ name }) => name !== row.name)) return `${row.name} is a part of every machine`;
  return row.fixed
    ? `${row.name} (${row.type}) cannot be unplugged while ${vm.name} runs: remove it from the definition, and start the VM again`
    : row;
}

/** Why a device cannot be removed from the definition of a VM that is off; null if it can. */
function whyInDefinition(vm: VmInfo, row: DeviceRow): string | null {
  if (!inDefinition(vm, row)) return `${row.name} is not in the definition of ${vm.name}`;
  if (row.neededBy !== undefined) return whyNeeded(row.name, row.neededBy);
  const onIt = (vm.definedDevices ?? []).filter(({ bus }) => bus === row.name).map(({ name }) => name);
  return onIt.length === 0
    ? null
    : `${onIt.join(', ')} ${onIt.length === 1 ? 'is' : 'are'} on its bus: remove ${onIt.length === 1 ? 'it' : 'them'} first`;
}

/** Whether the definition has the device, too. */
function inDefinition(
  { definedDevices = [] }: VmInfo,
  { name, type, facts, hostDevice, ...row }: Device,
): boolean {
  const path = facts.find(({ label }) => label === 'path')?.value;
  const host = hostDevice?.address ?? row.host;
  const device = {
    ...{ name, type },
    ...(typeof path === 'string' && { path }),
    ...(host !== undefined && { host }),
  };
  return definedAs(definedDevices, device) !== undefined;
}

/** Asks how to detach a device, or what to do about one that has been asked for and has not left yet. */
function askToDetach(ui: Ui, vm: VmInfo, device: string): void {
  const label = vm.topology?.devices.find(({ name }) => name === device);
  const isDefined = label !== undefined && inDefinition(vm, label);
  const persist = isDefined
    ? [{ label: 'Detach for good', run: () => detach(ui, vm, device, { persist: true }) }]
    : [];
  const forGood = isDefined ? ' Detaching it for good also removes it from the definition.' : '';
  if (label?.removing === undefined) {
    ui.choose(
      `Detach ${device} from ${vm.name}?`,
      `The guest is asked to release it, and may take its time. Until then it keeps the device.${forGood}`,
      [{ label: 'Cancel' }, { label: 'Detach', run: () => detach(ui, vm, device, {}) }, ...persist],
    );
    return;
  }
  ui.choose(
    `${vm.name} has not released ${device} yet`,
    'The guest was asked to. Removing the device by force is like pulling a card out of a running computer: ' +
      'what the guest was doing with it is lost.',
    [
      { label: 'Wait' },
      { label: 'Keep it', run: () => void ui.attempt(ui.engine.cancelDetach(vm.id, device)) },
      { label: 'Remove it by force', run: () => detach(ui, vm, device, { force: true }) },
    ],
  );
}

type How = { readonly force?: boolean; readonly persist?: boolean };

/** Does not wait for the guest: the outcome is shown once it is known. */
function detach(ui: Ui, vm: VmInfo, device: string, { force = false, persist = false }: How): void {
  if (!force) ui.notify('info', `${vm.name} was asked to release ${device}`);
  const done = ui.engine
    .detach(vm.id, device, { force, persist })
    .then(() => ui.notify('info', `${device} was detached from ${vm.name}`));
  void ui.attempt(done);
}

/** The VM that has the function at the cursor, else the one that takes it. */
function ownerAtCursor({ ui, state }: ActionContext): DeviceOwner | null {
  const address = ui.hostSelect.functionAtCursor(state);
  return ui.hostSelect.view(state)?.owners.get(address ?? '')?.[0] ?? null;
}

function detachFunction(ui: Ui, vm: VmInfo, { has, device, address }: DeviceOwner): void {
  if (has) {
    askToDetach(ui, vm, device);
    return;
  }
  askToRemove(ui, vm, {
    ...{ device, what: address, effect: 'it will no longer take the device at its next start' },
    done: `${vm.name} no longer takes ${address}`,
  });
}

type Removal = {
  readonly device: string;
  readonly what: string;
  readonly effect: string;
  readonly done: string;
};

/** Asks whether to remove a device from the definition of a VM that is off. */
function askToRemove(ui: Ui, vm: VmInfo, { device, what, effect, done }: Removal): void {
  const remove = () =>
    ui.attempt(
      ui.engine.detach(vm.id, device, { force: false, persist: true }).then(() => ui.notify('info', done)),
    );
  ui.choose(`Remove ${what} from the definition of ${vm.name}?`, `${vm.name} is ${vm.state}; ${effect}.`, [
    { label: 'Cancel' },
    { label: 'Remove', run: () => void remove() },
  ]);
}

function removeFromDefinition(ui: Ui, vm: VmInfo, { name, backend }: DeviceLabel): void {
  const kept = backend === 'disk' ? '; the file of the disk is kept' : '';
  askToRemove(ui, vm, {
    ...{ device: name, what: name, effect: `it will not have the device at its next start${kept}` },
    done: `${name} was removed from the definition of ${vm.name}`,
  });
}

export const detachActions: readonly Action[] = [
  {
    name: 'detach',
    category: 'Virtual machine',
    label: 'detach',
    phrase: 'detach the device',
    description:
      'Ask the guest to release the device, or remove it by force; if the VM is off, remove it from the ' +
      'definition; asks first',
    screens: ['vm', ...FUNCTION_SCREENS],
    here: context =>
      context.vm === null || currentScreen(context.state).kind !== 'vm' || deviceTab(context) !== null,
    bar: 44,
    changes: 'vm',
    unavailable: context => {
      if (currentScreen(context.state).kind === 'vm') {
        const device = deviceAtCursor(context);
        return typeof device === 'string' ? device : null;
      }
      if (context.ui.hostSelect.functionAtCursor(context.state) === null) return NO_FUNCTION;
      const owner = ownerAtCursor(context);
      return owner === null || own(context.state.infos, owner.vm) === undefined ? 'no VM has it' : null;
    },
    run: context => {
      const { ui, state, vm } = context;
      if (currentScreen(state).kind === 'vm') {
        const device = deviceAtCursor(context) as Device;
        if (isUp(vm!)) askToDetach(ui, vm!, device.name);
        else removeFromDefinition(ui, vm!, device);
      } else {
        const owner = ownerAtCursor(context)!;
        detachFunction(ui, state.infos[owner.vm]!, owner);
      }
    },
  },
];
