import { type Command, Option } from 'commander';
import { diskFormats } from '../../devices/backends/disk.ts';
import { parseCount, parseSize } from '../../text/option-values.ts';
import { withManual } from '../manual.ts';
import type { ChangeOptions, EjectOptions, LimitOptions, ResizeOptions } from './disks.ts';
import { leaving, runningManager } from './manager.ts';

const MOST = 2 ** 50;

/** The commands that change a disk of a running VM. */
export function registerDisks(vm: Command): void {
  registerResize(vm);
  registerLimit(vm);
  registerChange(vm);
  registerEject(vm);
}

function registerResize(vm: Command): void {
  const command = vm
    .command('resize')
    .argument('<vm>', 'a running or paused VM')
    .argument('<disk>', 'the name of a disk, as in vring vm show: blk0')
    .argument('[size]', 'the new size, such as 20G (default: the current size of the file or device)')
    .description('Resize a disk of a running VM')
    .option('--shrink', 'allow a smaller size')
    .option('--json', 'print JSON')
    .action(async (name: string, disk: string, size: string | undefined, options: ResizeOptions) => {
      const bytes = size === undefined ? null : parseSize(size, 'size');
      const { resizeDisk } = await import('./disks.ts');
      await leaving(await runningManager(), engine => resizeDisk(engine, name, disk, { ...options, bytes }));
    });
  withManual(command, {
    text: [
      'Sets the size of the image file and notifies the guest, which sees the new size immediately; enlarge ' +
        'its partitions and file systems afterward. Resize a block device with its own tools first, such as ' +
        'lvextend, then run this command without a size. Data beyond a smaller size is lost: shrink file systems ' +
        'and partitions in the guest first.',
    ],
    json: [
      ['name', 'the VM name'],
      ['disk', "the disk's name"],
      ['bytes', 'its size'],
    ],
    examples: [
      { command: 'vring vm resize web blk0 20G', does: 'grow the image and the disk' },
      { command: 'vring vm resize web blk1', does: 'use the new size of a logical volume' },
    ],
  });
}

function registerLimit(vm: Command): void {
  const count = (option: string) => (text: string) => parseCount(text, option, 1, MOST);
  const bytes = (option: string) => (text: string) => parseSize(text, option);
  const command = vm
    .command('limit')
    .argument('<vm>', 'VM name')
    .argument('<disk>', 'the name of a disk, as in vring vm show: blk0')
    .description('Show or set the rate limits of a disk')
    .option('--iops <n>', 'requests per second', count('--iops'))
    .option('--iops-burst <n>', 'most requests at once, after an idle period', count('--iops-burst'))
    .option('--bps <size>', 'bytes per second, such as 50M', bytes('--bps'))
    .option('--bps-burst <size>', 'most bytes at once, after an idle period', bytes('--bps-burst'))
    .addOption(new Option('--none', 'remove the limits').conflicts(['iops', 'iopsBurst', 'bps', 'bpsBurst']))
    .option('--persist', 'also set them in the definition; if the VM is off, only there')
    .option('--json', 'print JSON')
    .action(async (name: string, disk: string, options: LimitOptions) => {
      const { limitDisk } = await import('./disks.ts');
      const { devicesOfVm } = await import('./vm-devices.ts');
      await leaving(await devicesOfVm(name), devices => limitDisk(devices, name, disk, options));
    });
  withManual(command, {
    text: [
      'Replaces all limits of the disk until the VM is off, or with --persist at every start (`limits` in its ' +
        'definition). They apply to reads and writes of all its queues together. The default burst is the amount ' +
        'allowed in a tenth of a second.',
    ],
    json: [
      ['name', 'the VM name'],
      ['disk', "the disk's name"],
      ['limits', 'in words; `none` without any'],
    ],
    examples: [
      { command: 'vring vm limit web blk0 --iops 500 --iops-burst 2000', does: '500 requests per second' },
      { command: 'vring vm limit web blk0 --bps 50M', does: '50 MiB per second' },
      { command: 'vring vm limit web blk0 --bps 50M --persist', does: 'the same, also at every start' },
      { command: 'vring vm limit web blk0 --none', does: 'no limits' },
    ],
  });
}

const LOCKED =
  'A guest that has mounted the medium locks the drive: it is asked to release it, and the command fails, unless ' +
  '--force is given.';

function registerChange(vm: Command): void {
  const command = vm
    .command('change')
    .argument('<vm>', 'a running or paused VM')
    .argument('<drive>', 'the name of a drive, as in vring vm show: cd0')
    .argument('<file>', 'the image file or block device')
    .description('Change the medium in a drive of a running VM')
    .option('--force', 'eject the current medium, even if the guest uses it')
    .addOption(
      new Option(
        '--format <format>',
        'format of the file; without it, the file must look like a raw disk',
      ).choices(diskFormats),
    )
    .addOption(
      new Option('--cache <mode>', "use the host's page cache, or bypass it").choices(['writeback', 'none']),
    )
    .option('--json', 'print JSON')
    .action(async (name: string, drive: string, file: string, options: ChangeOptions) => {
      const { changeMedium } = await import('./disks.ts');
      await leaving(await runningManager(), engine => changeMedium(engine, name, drive, file, options));
    });
  withManual(command, {
    text: [
      `Opens the file and notifies the guest. ${LOCKED} The medium stays in the drive across resets; at the next ` +
        'start, the VM has the medium of its definition.',
    ],
    json: [
      ['name', 'the VM name'],
      ['drive', "the drive's name"],
      ['file', 'the medium in it now'],
    ],
    examples: [
      { command: 'vring vm change web cd0 /iso/drivers.iso', does: 'another CD' },
      {
        command: 'vring vm change web cd0 /iso/drivers.iso --force',
        does: 'the same, even if the guest has mounted the current one',
      },
    ],
  });
}

function registerEject(vm: Command): void {
  const command = vm
    .command('eject')
    .argument('<vm>', 'a running or paused VM')
    .argument('<drive>', 'the name of a drive, as in vring vm show: cd0')
    .description('Eject the medium of a drive of a running VM')
    .option('--force', 'eject it even if the guest uses it')
    .option('--json', 'print JSON')
    .action(async (name: string, drive: string, options: EjectOptions) => {
      const { ejectMedium } = await import('./disks.ts');
      await leaving(await runningManager(), engine => ejectMedium(engine, name, drive, options));
    });
  withManual(command, {
    text: [`Removes the medium and releases its file. ${LOCKED}`],
    json: [
      ['name', 'the VM name'],
      ['drive', "the drive's name"],
      ['file', 'null'],
    ],
    examples: [{ command: 'vring vm eject web cd0', does: 'leave the drive empty' }],
  });
}
