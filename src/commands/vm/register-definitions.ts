import type { Command } from 'commander';
import { withManual } from '../manual.ts';
import { registerCreate } from './create/register.ts';
import { DEFINED, withDefineOptions } from './define-options.ts';
import type { DeleteOptions } from './delete.ts';
import type { EditOptions } from './edit.ts';
import type { ImportOptions } from './import.ts';
import { withVmList } from './with-vm-list.ts';

/** What makes, changes and deletes definitions. None of it needs a manager. */
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
      .argument('<file>', 'what virsh dumpxml NAME printed; - for standard input')
      .description('Define a VM as a libvirt domain describes it')
      .option('--name <name>', "another name than the domain's"),
  ).action(async (file: string, options: ImportOptions) => {
    const { importVm } = await import('./import.ts');
    await withVmList(vmList => importVm(vmList, file, options));
  });
  withManual(command, {
    text: ['What the definition does not have a place for is listed, line by line.'],
    json: [
      ...DEFINED,
      [
        'leftOut',
        '{ `path`, `line`, `reason` (or null) }[]: elements and attributes that did not become a part of it',
      ],
    ],
    examples: [{ command: 'virsh dumpxml web | vring vm import -', does: 'a VM of libvirt on this host' }],
  });
}

function registerEdit(vm: Command): void {
  const edit = vm
    .command('edit')
    .argument('<vm>', 'name of the VM')
    .description("Change a VM's definition in an editor ($VISUAL, $EDITOR)")
    .option('--json', 'as JSON')
    .action(async (name: string, options: EditOptions) => {
      const { editVm } = await import('./edit.ts');
      process.exitCode = await withVmList(vmList => editVm(vmList, name, options));
    });
  withManual(edit, {
    text: [
      'The text is checked before it is saved; while something is wrong with it, it can be edited again, and it is never lost. The ' +
        'definition before it is kept as `NAME.yaml~`. A VM that runs has the change from its next start on.',
    ],
    json: [
      ['name', "the VM's name"],
      ['changed', 'false when the editor left the text as it was'],
      ['definition', 'as it is now, as YAML'],
    ],
  });
}

function registerDelete(vm: Command): void {
  const remove = vm
    .command('delete')
    .argument('[vm...]', 'names of VMs that are off')
    .description('Take VMs out of the list, with their definitions; disks stay')
    .option('--all', 'every VM that is off')
    .option('--yes', 'do not ask')
    .option('--json', 'as JSON')
    .action(async (names: string[], options: DeleteOptions) => {
      const { deleteVms } = await import('./delete.ts');
      process.exitCode = await withVmList(vmList => deleteVms(vmList, names, options));
    });
  withManual(remove, {
    text: ['A definition is kept as `NAME.yaml~`.'],
    json: [['vms', '`name`, `ok`, `result`, `error`, `state` (null: gone)']],
  });
}

function registerSchema(vm: Command): void {
  vm.command('schema')
    .description('Print the JSON Schema of a definition, for editors')
    .action(async () => {
      const { printSchema } = await import('./schema.ts');
      printSchema();
    });
}
