import { Argument, type Command, Option } from 'commander';
import { withManual } from '../manual.ts';
import type { CloneVmOptions } from './clone.ts';
import { DEFINED } from './define-options.ts';
import { withVmList } from './with-vm-list.ts';

type JsonOption = { readonly json?: boolean };

/** What changes a VM that is defined without an editor, or makes another one of it. None of it needs a manager. */
export function registerChanges(vm: Command): void {
  registerAutostart(vm);
  registerRename(vm);
  registerClone(vm);
}

function registerAutostart(vm: Command): void {
  const command = vm
    .command('autostart')
    .argument('<vm>', 'name of the VM')
    .addArgument(new Argument('[state]', 'on or off; without it, it is shown').choices(['on', 'off']))
    .description('Show or set whether a VM is started with vring serve')
    .option('--json', 'as JSON')
    .action(async (name: string, state: 'on' | 'off' | undefined, options: JsonOption) => {
      const { autostartVm } = await import('./autostart.ts');
      await withVmList(vmList => autostartVm(vmList, name, state, options));
    });
  withManual(command, {
    text: ['It is the key `autostart` of the definition; nothing else of the file changes.'],
    json: [
      ['name', 'the name of the VM'],
      ['autostart', 'true or false, as it is now'],
      ['changed', 'whether the command changed it'],
    ],
    examples: [{ command: 'vring vm autostart web on', does: 'start web whenever vring serve starts' }],
  });
}

function registerRename(vm: Command): void {
  const command = vm
    .command('rename')
    .argument('<vm>', 'name of a VM that is off')
    .argument('<new-name>', 'its new name')
    .description('Give a VM another name')
    .option('--json', 'as JSON')
    .action(async (name: string, newName: string, options: JsonOption) => {
      const { renameVm } = await import('./rename.ts');
      await withVmList(vmList => renameVm(vmList, name, newName, options));
    });
  withManual(command, {
    text: [
      'Definition, log and autostart go along; the old definition is kept as `NAME.yaml~`. Disks stay where they are, and network cards ' +
        'keep their MAC addresses.',
    ],
    json: [
      ['name', 'the new name'],
      ['previousName', 'the old one'],
    ],
  });
}

function registerClone(vm: Command): void {
  const command = vm
    .command('clone')
    .argument('<vm>', 'name of the VM')
    .argument('<new-name>', 'name of the clone')
    .description('Make a VM like another one')
    .addOption(
      new Option('--disks <how>', 'what becomes of the disks that the guest writes to')
        .choices(['copy', 'share', 'none'])
        .default('copy'),
    )
    .option('--dry-run', 'print the steps and the definition, and create nothing')
    .option('--json', 'as JSON')
    .action(async (name: string, newName: string, options: CloneVmOptions) => {
      const { cloneVm } = await import('./clone.ts');
      await withVmList(vmList => cloneVm(vmList, name, newName, options));
    });
  withManual(command, {
    text: [
      'The clone has a name, MAC addresses and, from a cloud image, a cloud-init instance ID of its own, and is not started by itself. ' +
        '`copy` copies the disks into the folder `disks` of the state folder, sharing their blocks where the file system can (reflink) and ' +
        'keeping holes elsewhere; the VM must be off. `share` uses the same files: one of the two VMs can run at a time. `none` leaves ' +
        'these disks out. Disks that the guest can only read are shared in any case.',
    ],
    json: [...DEFINED, ['clonedFrom', 'the name of the VM'], ['steps', 'what is created for it, in words']],
    examples: [
      { command: 'vring vm clone web web-test', does: 'a copy with disks of its own' },
      {
        command: 'vring vm clone web web-test --disks none --dry-run',
        does: 'see what it would be without disks',
      },
    ],
  });
}
