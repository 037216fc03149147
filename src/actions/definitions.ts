import { type Action, type ActionContext, NO_VM } from './action.ts';
import { isConsoleTab } from './console.ts';
import { editDefinition } from './edit-definition.ts';

function undefinedVm({ vm }: ActionContext): string | null {
  if (vm === null) return NO_VM;
  return vm.defined ? null : `${vm.name} has no definition, since it was started without one`;
}

/** Actions on definitions. */
export const definitionActions: readonly Action[] = [
  {
    name: 'new-vm',
    category: 'Definition',
    label: 'new',
    phrase: 'create a VM',
    description: 'Create a VM; shows the plan first',
    screens: ['vms'],
    bar: 18,
    changes: 'vm',
    run: async ({ ui }) => {
      // Loaded on demand, so that the UI starts faster.
      const { openNewVmForm } = await import('./new-vm.ts');
      openNewVmForm(ui);
    },
  },
  {
    name: 'edit-vm',
    category: 'Definition',
    label: 'edit',
    phrase: 'edit the definition',
    description: 'Edit the definition in $VISUAL or $EDITOR; it is checked before it is saved',
    screens: ['vms', 'vm'],
    bar: 41,
    changes: 'vm',
    unavailable: undefinedVm,
    run: ({ ui, vm }) => editDefinition(ui, vm!.id),
  },
  {
    name: 'yaml',
    category: 'Definition',
    label: 'YAML',
    phrase: 'show the definition',
    description: 'Show the definition as it is on disk',
    screens: ['vms', 'vm'],
    here: context => !isConsoleTab(context),
    unavailable: undefinedVm,
    run: async ({ ui, vm }) => {
      const text = await ui.engine.definition(vm!.id);
      ui.read(`${vm!.name}: its definition`, text.trimEnd().split('\n'));
    },
  },
];
