import type { Command } from 'commander';
import type { CreateOptions } from '../../../definitions/create/new-vm.ts';
import { parseCount, parseSize } from '../../../text/option-values.ts';
import { withManual } from '../../manual.ts';
import type { DefineOptions } from '../define.ts';
import { DEFINED, withDefineOptions } from '../define-options.ts';
import { withVmList } from '../with-vm-list.ts';

const several = (text: string, before: readonly string[] | undefined) => [...(before ?? []), text];
const list = (text: string) => text.split(',').filter(word => word !== '');

/** `vring vm create`: from a kernel, an installer, a cloud image, QEMU's options, or by being asked. */
export function registerCreate(vm: Command): void {
  const create = withDefineOptions(
    vm
      .command('create')
      .argument('[name]', 'name of the new VM')
      .argument('[qemu...]', "QEMU's options that describe it")
      .usage('[options] <name> [-- qemu options]')
      .description('Make a new VM')
      .option('--iso <file>', 'install it from this image of a CD')
      .option('--cloud-image <file>', 'make its disk of this image, which sets itself up by cloud-init')
      .option('--kernel <file>', 'boot this kernel')
      .option('--initrd <file>', "the kernel's initial RAM disk")
      .option('--append <text>', "the kernel's command line")
      .option('--memory <size>', 'guest RAM (default: 2G; with a kernel 256M)', text =>
        parseSize(text, '--memory'),
      )
      .option('--cpus <n>', 'number of vCPUs (default: 1)', text => parseCount(text, '--cpus', 1, 64))
      .option(
        '--disk-size <size>',
        "size of its disk (default: 20G; of a cloud image, the image's; with a kernel there is none)",
        text => parseSize(text, '--disk-size'),
      )
      .option('--network <how>', 'user, tap, tap:INTERFACE, bridge:BRIDGE, macvtap:INTERFACE or none')
      .option('--passthrough <address>', 'a PCI device that it gets (repeat for more)', several)
      .option('--autostart', 'start it with the manager')
      .option('--user <name>', "the cloud image's first user (default: you)")
      .option(
        '--ssh-key <file>',
        'their SSH public key, or a file of such (repeat for more; default: your own)',
        several,
      )
      .option('--password-hash <hash>', "their password's, as `openssl passwd -6` makes it")
      .option('--address <ip/prefix>', "the guest's own address, such as 192.0.2.10/24 (default: by DHCP)")
      .option('--gateway <ip>', 'its gateway')
      .option('--dns <ip,...>', 'its name servers', list),
  ).action(
    async (
      name: string | undefined,
      qemu: string[],
      options: CreateOptions & DefineOptions & { network?: string },
    ) => {
      const { createVm } = await import('./create.ts');
      const { parseNetwork } = await import('../../../definitions/create/option-values.ts');
      const { network: text, ...others } = options;
      const network = text === undefined ? {} : { network: parseNetwork(text) };
      await withVmList(vmList => createVm(vmList, name, qemu, { ...others, ...network }));
    },
  );
  withManual(create, {
    text: [
      'Without anything that says what the VM is to be, it asks, on a terminal. Disks are made in the folder `disks` of the state ' +
        'folder; when something goes wrong, what was made is removed.',
    ],
    json: [
      ...DEFINED,
      ['steps', "what was made for it, in words; not with QEMU's options"],
      ['leftOut', "of QEMU's options: option, settings and reason of what was left out"],
    ],
    examples: [
      { command: 'vring vm create', does: 'be asked for everything' },
      {
        command: 'vring vm create web --iso debian.iso --disk-size 20G --memory 2G --cpus 2',
        does: 'a VM to install',
      },
      {
        command:
          'vring vm create ci --cloud-image debian-12.qcow2 --disk-size 10G --ssh-key ~/.ssh/id_ed25519.pub',
        does: 'a VM that is ready after its first boot',
      },
      {
        command:
          'vring vm create db -m 2048 -smp 2 -drive file=/var/lib/db.img,if=virtio -kernel /boot/vmlinuz -append root=/dev/vda',
        does: "a VM as QEMU's options describe it",
      },
    ],
  });
}
