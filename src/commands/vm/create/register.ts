import type { Command } from 'commander';
import type { CreateOptions } from '../../../definitions/create/new-vm.ts';
import { parseCount, parseSize } from '../../../text/option-values.ts';
import { UsageError } from '../../../text/usage-error.ts';
import { withManual } from '../../manual.ts';
import type { DefineOptions } from '../define.ts';
import { DEFINED, withDefineOptions } from '../define-options.ts';
import { withVmList } from '../with-vm-list.ts';

const several = (text: string, before: readonly string[] | undefined) => [...(before ?? []), text];
const list = (text: string) => text.split(',').filter(word => word !== '');

/** `vring vm create`: from a kernel, an installer, a cloud image, QEMU options, or prompts. */
export function registerCreate(vm: Command): void {
  const create = withDefineOptions(
    vm
      .command('create')
      .argument('[name]', 'name of the new VM')
      .argument('[qemu...]', 'QEMU options that describe it')
      .usage('[options] <name> [-- qemu options]')
      .description('Create a VM')
      .option('--iso <file>', 'boot this installer ISO image')
      .option('--cdrom <file>', 'the same as --iso')
      .option('--cloud-image <file>', 'create the disk from this cloud image, configured with cloud-init')
      .option('--kernel <file>', 'boot this kernel')
      .option('--initrd <file>', "the kernel's initial RAM disk")
      .option('--append <text>', "the kernel's command line")
      .option(
        '--firmware <what>',
        'bios (SeaBIOS), uefi (OVMF) or a file: what boots it (default: bios; with a kernel none)',
      )
      .option('--memory <size>', 'guest RAM (default: 2G; with a kernel 256M)', text =>
        parseSize(text, '--memory'),
      )
      .option('--cpus <n>', 'number of vCPUs (default: 1)', text => parseCount(text, '--cpus', 1, 64))
      .option(
        '--disk-size <size>',
        "size of its disk (default: 20G; a cloud image's own size; no disk with a kernel)",
        text => parseSize(text, '--disk-size'),
      )
      .option(
        '--disk <settings>',
        'size=SIZE,format=raw|qcow2: its disk; a qcow2 disk for a cloud image is an overlay of it (default: raw)',
      )
      .option(
        '--network <how>',
        'user, tap, tap:INTERFACE, bridge:BRIDGE, network:NAME, macvtap:INTERFACE, passt or none; with ' +
          'settings of -nic: user,hostfwd=tcp::2222-:22',
      )
      .option(
        '--pci <address>',
        'pass through a PCI function, or with 02:00 all functions of a device (repeat for more)',
        several,
      )
      .option('--autostart', 'start it with the manager')
      .option('--hostname <name>', "the cloud image's host name (default: the VM's name)")
      .option('--user <name>', "the cloud image's first user (default: your user name)")
      .option(
        '--ssh-key <file>',
        "that user's SSH public key, or a file of keys (repeat for more; default: your own)",
        several,
      )
      .option('--password-hash <hash>', "that user's password hash, as printed by `openssl passwd -6`")
      .option('--address <ip/prefix>', "the guest's static address, such as 192.0.2.10/24 (default: DHCP)")
      .option('--gateway <ip>', "the guest's gateway")
      .option('--dns <ip,...>', "the guest's name servers", list),
  ).action(
    async (
      name: string | undefined,
      qemu: string[],
      options: Omit<CreateOptions, 'disk' | 'network'> &
        DefineOptions & { network?: string; disk?: string; cdrom?: string },
    ) => {
      const { createVm } = await import('./create.ts');
      const { parseNetwork, parseNewDisk } = await import('../../../definitions/create/option-values.ts');
      const { network, disk, cdrom, ...others } = options;
      if (cdrom !== undefined && options.iso !== undefined)
        throw new UsageError('--cdrom and --iso are the same: use one of them');
      const given = {
        ...others,
        ...(cdrom !== undefined && { iso: cdrom }),
        ...(network !== undefined && { network: parseNetwork(network) }),
        ...(disk !== undefined && { disk: parseNewDisk(disk) }),
      };
      await withVmList(vmList => createVm(vmList, name, qemu, given));
    },
  );
  withManual(create, {
    text: [
      'Without options that describe the VM, it prompts for them on a terminal. Disks are created in the ' +
        '`disks` folder of the state folder; after a failure, everything created so far is removed.',
    ],
    json: [
      ...DEFINED,
      ['steps', 'what was created, one phrase per step; absent with QEMU options'],
      ['leftOut', 'QEMU options that were left out: option, settings and reason'],
    ],
    examples: [
      { command: 'vring vm create', does: 'prompt for everything' },
      {
        command: 'vring vm create web --iso debian.iso --disk-size 20G --memory 2G --cpus 2',
        does: 'a VM to install an operating system on',
      },
      {
        command:
          'vring vm create ci --cloud-image debian-12.qcow2 --disk-size 10G --ssh-key ~/.ssh/id_ed25519.pub',
        does: 'a VM that is ready to use after its first boot',
      },
      {
        command:
          'vring vm create ci --cloud-image debian-12.qcow2 --disk size=10G,format=qcow2 --network ' +
          'user,hostfwd=tcp:127.0.0.1:2222-:22',
        does: 'the same on an overlay of the image, with SSH on port 2222 of this host',
      },
      {
        command:
          'vring vm create db -m 2048 -smp 2 -drive file=/var/lib/db.img,if=virtio -kernel /boot/vmlinuz -append ' +
          'root=/dev/vda',
        does: 'a VM described by QEMU options',
      },
    ],
  });
}
