import { type Command, Option } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { withManual } from '../manual.ts';
import type { AttachOptions, DetachOptions } from './attach-device.ts';
import { WAIT_SECONDS } from './detach-wait.ts';
import { leaving } from './manager.ts';

const A_DAY = 86_400;

/** The commands that attach devices to VMs and detach them. */
export function registerDevices(vm: Command): void {
  registerAttach(vm);
  registerDetach(vm);
}

function registerAttach(vm: Command): void {
  const command = vm
    .command('attach')
    .argument('<vm>', 'VM name')
    .description('Attach a device to a VM while it runs, or to its definition')
    .option('--disk <file[,option...]>', 'a disk, with the options that vring run --disk takes')
    .option(
      '--pci <address[,option...]>',
      'a PCI device of the host, with options of vfio-pci (vring devices vfio-pci)',
    )
    .option(
      '--net <how>',
      'a network card: user, tap:INTERFACE, bridge:BRIDGE, network:NAME, macvtap:INTERFACE or passt, with ' +
        'settings of -nic: bridge:br0,queues=2',
    )
    .option(
      '--device <type[,option...]>',
      "any other device, as QEMU's device_add: virtio-rng,max-bytes=1024; vring devices lists the types",
    )
    .option('--id <name>', "the device's name in the VM (default: the next numbered one)")
    .option(
      '--bus <bus>',
      'the bus to plug it into: pci.0, root-port.1, the name of a root port or controller, scsi, sata, usb or ' +
        'sd for the first such controller, or nvme for a controller of its own',
    )
    .option(
      '--addr <address>',
      'its slot on the bus, in hexadecimal, its SCSI target and unit, such as 3:0, or its SATA port (default: ' +
        'the first free one)',
    )
    .option('--persist', 'also add it to the definition')
    .option('--json', 'print JSON')
    .action(async (name: string, options: AttachOptions) => {
      const { attachDevice } = await import('./attach-device.ts');
      const { devicesOfVm } = await import('./vm-devices.ts');
      await leaving(await devicesOfVm(name), devices => attachDevice(devices, name, options));
    });
  withManual(command, {
    text: [
      'A running guest is notified of the device, in a free root port that it drives (native PCI Express ' +
        'hotplug), else in a free slot of bus 0 (ACPI). The device stays until the VM is off, across guest ' +
        'reboots, and is part of snapshots; with --persist, it is there at every start. A VM that is off gets ' +
        'the device in its definition.',
    ],
    json: [
      ['vm', 'the VM name'],
      ['name', "the device's name"],
      ['bus', 'its bus; null if not known before the start'],
      ['addr', 'its place on that bus, as in a definition; or null'],
      ['address', 'its address as the guest sees it, or null'],
      ['running', 'true if the running VM has it, false if only the definition does'],
      ['noticed', 'whether the guest was notified; if not, it finds the device at its next bus scan'],
    ],
    examples: [
      { command: 'vring vm attach web --disk data.img', does: 'a disk, with the next free name' },
      { command: 'vring vm attach web --disk data.img --bus scsi', does: 'the same on its SCSI controller' },
      {
        command: 'vring vm attach web --device sata-cd,path=drivers.iso',
        does: 'a CD drive on its SATA controller',
      },
      {
        command: 'vring vm attach web --device usb-tablet',
        does: 'an absolute pointer, on its USB controller',
      },
      {
        command: 'vring vm attach web --disk /dev/vg0/data,format=raw --id data --persist',
        does: 'a block device, also at every start',
      },
      {
        command: 'vring vm attach web --net bridge:br0 --persist',
        does: 'a network card on a bridge, also at every start',
      },
      { command: 'vring vm attach web --device virtio-rng,id=rng1', does: 'another random number device' },
    ],
  });
}

function registerDetach(vm: Command): void {
  const seconds = (text: string) => parseCount(text, '--wait', 0, A_DAY);
  const command = vm
    .command('detach')
    .argument('<vm>', 'VM name')
    .argument('<device>', 'the name of a device, as in vring vm show: blk1')
    .description('Detach a device from a VM while it runs, or from its definition')
    .addOption(new Option('--force', 'remove it without asking the guest').conflicts('cancel'))
    .option('--wait <seconds>', 'seconds to wait for the guest; 0: do not wait', seconds, WAIT_SECONDS)
    .addOption(new Option('--cancel', 'withdraw the request to release it').conflicts('persist'))
    .option('--persist', 'also remove it from the definition')
    .option('--json', 'print JSON')
    .action(async (name: string, device: string, options: DetachOptions) => {
      const { detachDevice } = await import('./attach-device.ts');
      const { devicesOfVm } = await import('./vm-devices.ts');
      process.exitCode = await leaving(await devicesOfVm(name), devices =>
        detachDevice(devices, name, device, options),
      );
    });
  withManual(command, {
    text: [
      'The guest is asked to release the device. A guest that is stuck, still starting, or without a hotplug ' +
        'driver does not: the request stays pending until the guest reboots. --force removes the device as if it ' +
        'were pulled out: data that the guest has not written yet is lost. Disks and CD drives on SCSI and SATA ' +
        'controllers, USB devices and SD cards leave immediately: unmount them first.',
      'The exit status is 1 if the guest has not released the device in time; it may still do so later.',
    ],
    json: [
      ['vm', 'the VM name'],
      ['device', "the device's name"],
      ['detached', 'whether it is out'],
    ],
    examples: [
      { command: 'vring vm detach web blk1', does: 'ask the guest, and wait for 30 seconds' },
      { command: 'vring vm detach web blk1 --force', does: 'remove it, whatever the guest does with it' },
    ],
  });
}
