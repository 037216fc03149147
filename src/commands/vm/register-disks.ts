import { type Command, Option } from 'commander';
import { diskBackends } from '../../devices/backends/disk.ts';
import { parseCount, parseSize } from '../../text/option-values.ts';
import { withManual } from '../manual.ts';
import type { ChangeOptions, EjectOptions, LimitOptions, ResizeOptions } from './disks.ts';
import { leaving, managerFor, runningManager } from './manager.ts';

const MOST = 2 ** 50;
const FORMATS = diskBackends.map(({ type }) => type);

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
    .argument(
      '[size]',
      "the new size, such as 20G; without it, the guest is told of the file's or device's present size",
    )
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
      'Sets the size of the image file, and notifies the guest, which sees the new size at once; enlarge partitions and file systems there ' +
        'afterward. A block device of the host is resized with its own tools first, such as lvextend; then leave out the size. ' +
        'What is beyond a smaller size is lost: shrink file systems and partitions in the guest first.',
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
    .description("Show or set the limits of a disk's rate")
    .option('--iops <n>', 'requests per second', count('--iops'))
    .option('--iops-burst <n>', 'most requests at once, after a pause', count('--iops-burst'))
    .option('--bps <size>', 'bytes per second, such as 50M', bytes('--bps'))
    .option('--bps-burst <size>', 'most bytes at once, after a pause', bytes('--bps-burst'))
    .addOption(new Option('--none', 'remove the limits').conflicts(['iops', 'iopsBurst', 'bps', 'bpsBurst']))
    .option('--persist', 'set them in the definition too, or of a VM that is off only there')
    .option('--json', 'print JSON')
    .action(async (name: string, disk: string, options: LimitOptions) => {
      const { limitDisk } = await import('./disks.ts');
      await leaving(await managerFor(options), engine => limitDisk(engine, name, disk, options));
    });
  withManual(command, {
    text: [
      'Replaces all limits of the disk, until the VM is off; with --persist at every start (`limits` in its definition). They hold for reads and writes of all its ' +
        'queues together. Without a burst, the requests or bytes of a tenth of a second may come at once.',
    ],
    json: [
      ['name', 'the VM name'],
      ['disk', "the disk's name"],
      ['limits', 'in words; `none` without any'],
    ],
    examples: [
      { command: 'vring vm limit web blk0 --iops 500 --iops-burst 2000', does: '500 requests per second' },
      { command: 'vring vm limit web blk0 --bps 50M', does: '50 MiB per second' },
      { command: 'vring vm limit web blk0 --bps 50M --persist', does: 'the same at every start too' },
      { command: 'vring vm limit web blk0 --none', does: 'no limits' },
    ],
  });
}

const LOCKED =
  'A guest that has mounted a medium locks the drive: it is then asked to release it, and the command fails, unless --force is given.';

function registerChange(vm: Command): void {
  const command = vm
    .command('change')
    .argument('<vm>', 'a running or paused VM')
    .argument('<drive>', 'the name of a drive, as in vring vm show: cd0')
    .argument('<file>', 'the image file or block device')
    .description('Put another medium into a drive of a running VM')
    .option('--force', 'take what is in it, even if the guest uses it')
    .addOption(
      new Option('--format <format>', 'its format; if absent, the file must look like a raw disk').choices(
        FORMATS,
      ),
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
      `Opens the file, and notifies the guest. ${LOCKED} The medium stays in the drive while the VM is reset; the definition has what is in it at ` +
        'the next start.',
    ],
    json: [
      ['name', 'the VM name'],
      ['drive', "the drive's name"],
      ['file', 'what is in it now'],
    ],
    examples: [
      { command: 'vring vm change web cd0 /iso/drivers.iso', does: 'another CD' },
      {
        command: 'vring vm change web cd0 /iso/drivers.iso --force',
        does: 'the same, though the guest has mounted the present one',
      },
    ],
  });
}

function registerEject(vm: Command): void {
  const command = vm
    .command('eject')
    .argument('<vm>', 'a running or paused VM')
    .argument('<drive>', 'the name of a drive, as in vring vm show: cd0')
    .description('Take the medium out of a drive of a running VM')
    .option('--force', 'take it even if the guest uses it')
    .option('--json', 'print JSON')
    .action(async (name: string, drive: string, options: EjectOptions) => {
      const { ejectMedium } = await import('./disks.ts');
      await leaving(await runningManager(), engine => ejectMedium(engine, name, drive, options));
    });
  withManual(command, {
    text: [`Takes the medium out, and releases its file. ${LOCKED}`],
    json: [
      ['name', 'the VM name'],
      ['drive', "the drive's name"],
      ['file', 'null'],
    ],
    examples: [{ command: 'vring vm eject web cd0', does: 'an empty drive' }],
  });
}
