import { isAlive } from '../../engine/vm-info.ts';
import { printError } from '../../text/output.ts';
import { type ActOptions, actOnEach } from './act.ts';
import { confirm, requirePrompt } from './ask.ts';
import { findVm, requireNames } from './find.ts';
import type { VmList } from './vm-list.ts';

export type DeleteOptions = ActOptions & { readonly yes?: boolean };

/** Deletes VMs that are off, with their definitions; disks are kept. @returns the exit status */
export async function deleteVms(
  vmList: VmList,
  names: readonly string[],
  options: DeleteOptions,
): Promise<number> {
  const wanted = requireNames(names, options);
  if (!options.yes) {
    for (const name of wanted) findVm(vmList.vms(), name);
    requirePrompt('use --yes to delete without asking');
    const which = options.all ? 'all VMs that are off' : wanted.join(', ');
    if (
      !(await confirm(
        `Delete ${which}? Disks and snapshots are kept, and each definition as NAME.yaml~`,
        false,
      ))
    ) {
      printError('vring: nothing was deleted');
      return 1;
    }
  }
  return await actOnEach(vmList, wanted, options, {
    doing: 'deleting',
    applies: vm => !isAlive(vm),
    run: async (_, vm) => {
      if (isAlive(vm)) throw new Error(`it is ${vm.state}: stop it first`);
      await vmList.remove(vm.id);
      const definition = vm.defined ? [`its definition is kept as ${vm.name}.yaml~`] : [];
      const { snapshots = [] } = vm;
      const kept =
        snapshots.length > 0
          ? [
              `its snapshots are kept, until vring vm delete-snapshot ${vm.name} --all: ${snapshots.join(', ')}`,
            ]
          : [];
      return ['deleted', ...definition, ...kept].join('; ');
    },
  });
}
