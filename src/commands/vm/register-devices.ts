import { type Command, Option } from 'commander';
import { parseCount } from '../../text/option-values.ts';
import { withManual } from '../manual.ts';
import type { AttachOptions, DetachOptions } from './attach-device.ts';
import { WAIT_SECONDS } from './detach-wait.ts';
import { leaving, managerOrNew, runningManager } from './manager.ts';

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
      'a network card: user, tap:INTERFACE, bridge:BRIDGE, network:NAME, macvtap:INTERFACE or passt, with settings of -nic: bridge:br0,queues=2',
    )
    .option(
      '--device <type[,option...]>',
      "any other device, as QEMU's device_add: virtio-rng,max-bytes=1024; vring devices lists the types",
    )
    .option('--id <name>', "the device's name in the VM; numbered if absent")
    .option(
      '--bus <bus>',
      'the bus to plug it into: pci.0, root-port.1, the name of a root port or controller, or scsi, sata, usb or sd for the first such controller',
    )
    .option(
      '--addr <address>',
      'its slot on the bus, in hexadecimal, its SCSI target and unit, such as 3:0, or its SATA port; the first free one if absent',
    )
    .option('--persist', 'add it to the definition too')
    .option('--json', 'print JSON')
    .action(async (name: string, options: AttachOptions) => {
      const { attachDevice } = await import('./attach-device.ts');
      await leaving(await managerOrNew(), engine => attachDevice(engine, name, options));
    });
  withManual(command, {
    text: [
      'A running guest is told of the device: in a free root port that it drives (native PCI Express hotplug), else in a free slot of bus 0 (ACPI). ' +
        'The device is there until the VM is off, also when the guest reboots, and in its snapshots; with --persist at every start. ' +
        'A VM that is off gets the device in its definition.',
    ],
    json: [
      ['vm', 'the VM name'],
      ['name', "the device's name"],
      ['bus', 'the bus it is on; null if that is not known before the start'],
      ['addr', 'its place there, as in a definition; or null'],
      ['address', 'its address as the guest sees it, or null'],
      ['running', 'true if the VM runs and has it, false if only the definition does'],
      ['noticed', 'whether the guest has a hotplug driver that looks at it now'],
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
        does: 'a pointer by position, on its USB controller',
      },
      {
        command: 'vring vm attach web --disk /dev/vg0/data,format=raw --id data --persist',
        does: 'a block device, at every start too',
      },
      {
        command: 'vring vm attach web --net bridge:br0 --persist',
        does: 'a network card on a bridge, at every start too',
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
    .addOption(new Option('--force', 'take it without asking the guest').conflicts('cancel'))
    .option('--wait <seconds>', 'how long to wait for the guest; 0: only ask', seconds, WAIT_SECONDS)
    .addOption(
      new Option('--cancel', 'let it stay: the guest need not release it any more').conflicts('persist'),
    )
    .option('--persist', 'remove it from the definition too')
    .option('--json', 'print JSON')
    .action(async (name: string, device: string, options: DetachOptions) => {
      const { detachDevice } = await import('./attach-device.ts');
      process.exitCode = await leaving(await runningManager(), engine =>
        detachDevice(engine, name, device, options),
      );
    });
  withManual(command, {
    text: [
      'The guest is asked to release the device, stops using it and lets it go. A guest without a hotplug driver never does, nor does one that is stuck ' +
        'or still starting: the request stays, and is carried out at the latest when the guest reboots. --force takes the device as if pulled out: ' +
        'what the guest has not written to a disk is lost. Disks and CD drives of SCSI and SATA controllers leave at once: unmount them first.',
      'The exit status is 1 if the guest has not released the device in time; it may still do so.',
    ],
    json: [
      ['vm', 'the VM name'],
      ['device', "the device's name"],
      ['detached', 'whether it is out'],
    ],
    examples: [
      { command: 'vring vm detach web blk1', does: 'ask, and wait for half a minute' },
      { command: 'vring vm detach web blk1 --force', does: 'take it, whatever the guest does with it' },
    ],
  });
}
