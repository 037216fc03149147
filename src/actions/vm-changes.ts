import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import { suggestedText } from '../store/layers.ts';
import { currentScreen } from '../store/ui-slice.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';
import type { Ui } from './ui.ts';

function undefinedVm({ vm }: ActionContext): string | null {
  if (vm === null) return NO_VM;
  return vm.defined ? null : `${vm.name} has no definition, since it was started without one`;
}

/** Prompts for a VM name in the status line until it is valid. */
function askForName(ui: Ui, prompt: string, suggestion: string, submit: (name: string) => void): void {
  // The prompt takes the place of a message.
  ui.clearNotice();
  ui.store.getState().pushLayer({
    kind: 'prompt',
    prompt,
    ...suggestedText(suggestion),
    inRowOf: null,
    range: null,
    submit: name => {
      if (!VM_NAME.pattern.test(name)) throw new Error(`expected ${VM_NAME.rule}`);
      if (name in ui.store.getState().infos) throw new Error(`there is already a VM named ${name}`);
      submit(name);
    },
  });
}

async function rename(ui: Ui, vm: VmInfo, name: string): Promise<void> {
  const isOpen = () => {
    const screen = currentScreen(ui.store.getState());
    return screen.kind === 'vm' && screen.id === vm.id;
  };
  const wasOpen = isOpen();
  await ui.engine.rename(vm.id, name);
  const state = ui.store.getState();
  state.selectVm(name);
  if (wasOpen && !isOpen()) state.openScreen({ kind: 'vm', id: name });
  ui.notify('info', `${vm.name} was renamed to ${name}`);
}

/** Actions that change a definition without an editor, or clone the VM. */
export const vmChangeActions: readonly Action[] = [
  {
    name: 'autostart',
    category: 'Virtual machine',
    label: 'autostart',
    phrase: 'change autostart',
    description: 'Turn autostart on or off: whether the VM starts with vring serve',
    screens: ['vms', 'vm'],
    changes: 'vm',
    unavailable: ({ vms }) => {
      if (vms.length === 0) return NO_VM;
      return vms.some(vm => vm.defined)
        ? null
        : `${vms[0]!.name} has no definition, since it was started without one`;
    },
    run: async ({ ui, state, vms }) => {
      const { setAutostart } = await import('../definitions/change/autostart.ts');
      const defined = vms.filter(vm => vm.defined);
      const on = defined.some(vm => !vm.autostart);
      state.setMarkedVms(new Set());
      for (const vm of defined) await setAutostart(ui.engine, vm.id, on);
      ui.notify('info', `autostart is ${on ? 'on' : 'off'} for ${defined.map(vm => vm.name).join(', ')}`);
    },
  },
  {
    name: 'rename',
    category: 'Virtual machine',
    label: 'rename',
    phrase: 'rename the VM',
    description: 'Rename a VM that is off; its disks and MAC addresses stay the same',
    screens: ['vms', 'vm'],
    changes: 'vm',
    unavailable: ({ vm }) => {
      if (vm === null) return NO_VM;
      return isAlive(vm) ? `${vm.name} is ${vm.state}: shut it down first` : null;
    },
    run: ({ ui, vm }) =>
      askForName(ui, `Rename ${vm!.name} to`, vm!.name, name => void ui.attempt(rename(ui, vm!, name))),
  },
  {
    name: 'clone',
    category: 'Virtual machine',
    label: 'clone',
    phrase: 'clone the VM',
    description: 'Clone the VM, with its own name, MAC addresses and disks; shows the plan first',
    screens: ['vms', 'vm'],
    changes: 'vm',
    unavailable: undefinedVm,
    run: ({ ui, vm }) =>
      askForName(ui, `Clone ${vm!.name} as`, `${vm!.name}-2`, name => {
        const plan = async () => {
          // Loaded on demand, so that the UI starts faster.
          const { planAndClone } = await import('./clone-vm.ts');
          await planAndClone(ui, vm!, name);
        };
        void ui.attempt(plan());
      }),
  },
];
