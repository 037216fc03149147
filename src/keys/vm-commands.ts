import type { VmInfo, VmState } from '../engine/engine.ts';
import { isAlive } from '../engine/vm-state.ts';
import type { Question } from '../store/layers.ts';
import type { Command, CommandContext } from './command.ts';

const NO_VM = 'there is no VM here';
const VM_SCREENS = ['vms', 'vm'] as const;

/** Makes the reason why a VM is in no state for something. */
function onlyWhile(states: readonly VmState[]) {
  return ({ vm }: CommandContext): string | null => {
    if (vm === null) return NO_VM;
    return states.includes(vm.state) ? null : `${vm.name} is ${vm.state}`;
  };
}

function ask(question: (vm: VmInfo) => Question) {
  return ({ vm }: CommandContext): Question | null => (vm === null ? null : question(vm));
}

/** Commands that change a VM have capital letters, so that no slip of a finger is one. */
export const vmCommands: readonly Command[] = [
  {
    name: 'start',
    keys: ['S'],
    category: 'Virtual machine',
    screens: VM_SCREENS,
    changes: 'vm',
    label: 'start',
    description: 'Start the VM again, with the same configuration',
    bar: 52,
    unavailable: onlyWhile(['off', 'crashed']),
    run: async ({ ui, vm }) => {
      ui.notify('info', `starting ${vm!.name}`);
      await ui.engine.restart(vm!.id);
    },
  },
  {
    name: 'pause',
    keys: ['P'],
    category: 'Virtual machine',
    screens: VM_SCREENS,
    changes: 'vm',
    label: 'pause',
    description: 'Pause the VM',
    bar: 50,
    unavailable: onlyWhile(['running']),
    run: ({ ui, vm }) => ui.engine.pause(vm!.id),
  },
  {
    name: 'resume',
    keys: ['U'],
    category: 'Virtual machine',
    screens: VM_SCREENS,
    changes: 'vm',
    label: 'resume',
    description: 'Let a paused VM go on (unpause)',
    bar: 51,
    unavailable: onlyWhile(['paused']),
    run: ({ ui, vm }) => ui.engine.resume(vm!.id),
  },
  {
    name: 'power-button',
    keys: ['B'],
    category: 'Virtual machine',
    screens: VM_SCREENS,
    changes: 'vm',
    label: 'power button',
    description: 'Press the ACPI power button; the guest decides what happens',
    unavailable: onlyWhile(['running']),
    dangerous: ask(vm => ({
      title: `Press the power button of ${vm.name}?`,
      body: 'Most guests shut down.',
      verb: 'Press it',
    })),
    run: async ({ ui, vm }) => {
      await ui.engine.powerButton(vm!.id);
      ui.notify('info', `${vm!.name}: power button pressed; now the guest decides`);
    },
  },
  {
    name: 'reset',
    keys: ['R'],
    category: 'Virtual machine',
    screens: VM_SCREENS,
    changes: 'vm',
    label: 'reset',
    description: 'Press the reset button: the guest boots again without shutting down',
    unavailable: onlyWhile(['running', 'paused']),
    dangerous: ask(vm => ({
      title: `Reset ${vm.name}?`,
      body: 'The guest boots again at once. What it has not written to its disks is lost.',
      verb: 'Reset',
    })),
    run: async ({ ui, vm }) => {
      await ui.engine.reset(vm!.id);
      ui.notify('info', `${vm!.name} was reset`);
    },
  },
  {
    name: 'kill',
    keys: ['K'],
    category: 'Virtual machine',
    screens: VM_SCREENS,
    changes: 'vm',
    label: 'kill',
    description: 'End the VM at once',
    bar: 60,
    unavailable: onlyWhile(['starting', 'running', 'paused']),
    dangerous: ask(vm => ({
      title: `Kill ${vm.name}?`,
      body: 'It ends at once. What the guest has not written to its disks is lost.',
      verb: 'Kill',
    })),
    run: ({ ui, vm }) => ui.engine.kill(vm!.id),
  },
  {
    name: 'remove',
    keys: ['X'],
    category: 'Virtual machine',
    screens: VM_SCREENS,
    changes: 'vm',
    label: 'remove',
    description: 'Take a VM that has ended out of the list',
    bar: 61,
    unavailable: ({ vm }) => {
      if (vm === null) return NO_VM;
      return isAlive(vm) ? `${vm.name} is ${vm.state}: kill it first` : null;
    },
    dangerous: ask(vm => ({
      title: `Remove ${vm.name}?`,
      body: 'Its configuration and its console output are forgotten. Its disks are left alone.',
      verb: 'Remove',
    })),
    run: ({ ui, vm }) => ui.engine.remove(vm!.id),
  },
];
