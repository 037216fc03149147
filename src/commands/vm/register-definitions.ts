import type { Command } from 'commander';
import { withManual } from '../manual.ts';
import { registerCreate } from './create/register.ts';
import { DEFINED, withDefineOptions } from './define-options.ts';
import type { DeleteOptions } from './delete.ts';
import type { EditOptions } from './edit.ts';
import type { ImportOptions } from './import.ts';
import { withVmList } from './with-vm-list.ts';

/** Commands that create, change and delete definitions. They do not need a manager. */
export function registerDefinitions(vm: Command): void {
  registerCreate(vm);
  registerImport(vm);
  registerEdit(vm);
  registerDelete(vm);
  registerSchema(vm);
}

function registerImport(vm: Command): void {
  const command = withDefineOptions(
    vm
      .command('import')
      .argument('<file>', 'output of virsh dumpxml NAME; - for standard input')
      .description('Define a VM from a libvirt domain')
      .option('--name <name>', "name of the VM (default: the domain's)"),
  ).action(async (file: string, options: ImportOptions) => {
    const { importVm } = await import('./import.ts');
    await withVmList(vmList => importVm(vmList, file, options));
  });
  withManual(command, {
    text: ['Elements and attributes that a definition cannot express are listed with their line numbers.'],
    json: [
      ...DEFINED,
      ['leftOut', '{ `path`, `line`, `reason` (or null) }[]: elements and attributes that were left out'],
    ],
    examples: [
      { command: 'virsh dumpxml web | vring vm import -', does: 'import a libvirt VM of this host' },
    ],
  });
}

function registerEdit(vm: Command): void {
  const edit = vm
    .command('edit')
    .argument('<vm>', 'VM name')
    .description("Edit a VM's definition in $VISUAL or $EDITOR")
    .option('--json', 'print JSON')
    .action(async (name: string, options: EditOptions) => {
      const { editVm } = await import('./edit.ts');
      process.exitCode = await withVmList(vmList => editVm(vmList, name, options));
    });
  withManual(edit, {
    text: [
      'The text is validated before it is saved; if it is invalid, you can edit it again, and your text is never lost. The ' +
        'previous definition is kept as `NAME.yaml~`. A change to a running VM takes effect at its next start.',
    ],
    json: [
      ['name', "the VM's name"],
      ['changed', 'false if the text was not changed'],
      ['definition', 'the current definition, as YAML'],
    ],
  });
}

function registerDelete(vm: Command): void {
  const remove = vm
    .command('delete')
    .argument('[vm...]', 'VMs that are off')
    .description('Delete VMs and their definitions; disks are kept')
    .option('--all', 'all VMs that are off')
    .option('--yes', 'do not ask for confirmation')
    .option('--json', 'print JSON')
    .action(async (names: string[], options: DeleteOptions) => {
      const { deleteVms } = await import('./delete.ts');
      process.exitCode = await withVmList(vmList => deleteVms(vmList, names, options));
    });
  withManual(remove, {
    text: ['Each definition is kept as `NAME.yaml~`.'],
    json: [['vms', '`name`, `ok`, `result`, `error`, `state` (null: gone)']],
  });
}

function registerSchema(vm: Command): void {
  vm.command('schema')
    .description('Print the JSON Schema of VM definitions, for editors')
    .action(async () => {
      const { printSchema } = await import('./schema.ts');
      printSchema();
    });
}
