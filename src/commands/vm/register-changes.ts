import { Argument, type Command, Option } from 'commander';
import { withManual } from '../manual.ts';
import type { CloneVmOptions } from './clone.ts';
import { DEFINED } from './define-options.ts';
import { withVmList } from './with-vm-list.ts';

type JsonOption = { readonly json?: boolean };

/** Commands that change or clone a definition without an editor. They do not need a manager. */
export function registerChanges(vm: Command): void {
  registerAutostart(vm);
  registerRename(vm);
  registerClone(vm);
}

function registerAutostart(vm: Command): void {
  const command = vm
    .command('autostart')
    .argument('<vm>', 'VM name')
    .addArgument(
      new Argument('[state]', 'on or off; prints the current state if omitted').choices(['on', 'off']),
    )
    .description('Show or set whether a VM starts with the manager')
    .option('--json', 'print JSON')
    .action(async (name: string, state: 'on' | 'off' | undefined, options: JsonOption) => {
      const { autostartVm } = await import('./autostart.ts');
      await withVmList(vmList => autostartVm(vmList, name, state, options));
    });
  withManual(command, {
    text: ['Sets the `autostart` key of the definition and leaves the rest of the file unchanged.'],
    json: [
      ['name', 'the VM name'],
      ['autostart', 'true or false'],
      ['changed', 'whether the command changed it'],
    ],
    examples: [{ command: 'vring vm autostart web on', does: 'start web with the manager' }],
  });
}

function registerRename(vm: Command): void {
  const command = vm
    .command('rename')
    .argument('<vm>', 'a VM that is off')
    .argument('<new-name>', 'the new name')
    .description('Rename a VM')
    .option('--json', 'print JSON')
    .action(async (name: string, newName: string, options: JsonOption) => {
      const { renameVm } = await import('./rename.ts');
      await withVmList(vmList => renameVm(vmList, name, newName, options));
    });
  withManual(command, {
    text: [
      'Renames the definition with its log and autostart; the old definition is kept as `NAME.yaml~`. Disks keep their paths, and network cards ' +
        'keep their MAC addresses.',
    ],
    json: [
      ['name', 'the new name'],
      ['previousName', 'the old name'],
    ],
  });
}

function registerClone(vm: Command): void {
  const command = vm
    .command('clone')
    .argument('<vm>', 'VM name')
    .argument('<new-name>', 'name of the clone')
    .description('Clone a VM')
    .addOption(
      new Option('--disks <how>', 'how to clone writable disks')
        .choices(['copy', 'share', 'none'])
        .default('copy'),
    )
    .option('--dry-run', 'print the steps and the definition without creating anything')
    .option('--json', 'print JSON')
    .action(async (name: string, newName: string, options: CloneVmOptions) => {
      const { cloneVm } = await import('./clone.ts');
      await withVmList(vmList => cloneVm(vmList, name, newName, options));
    });
  withManual(command, {
    text: [
      'The clone gets its own MAC addresses and, if made from a cloud image, its own cloud-init instance ID. Autostart is off. ' +
        '`copy` copies the disks to the `disks` folder of the state folder, with reflinks where the file system supports them and ' +
        'sparsely elsewhere; the VM must be off. `share` uses the same files, so only one of the two VMs can run at a time. `none` leaves ' +
        'these disks out. Read-only disks are always shared.',
    ],
    json: [
      ...DEFINED,
      ['clonedFrom', 'the name of the original'],
      ['steps', 'what is created, one phrase per step'],
    ],
    examples: [
      { command: 'vring vm clone web web-test', does: 'a clone with its own copies of the disks' },
      {
        command: 'vring vm clone web web-test --disks none --dry-run',
        does: 'preview a clone without disks',
      },
    ],
  });
}
