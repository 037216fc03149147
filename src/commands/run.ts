import { type Command, Option } from 'commander';
import { parseCount, parseSize } from '../text/option-values.ts';
import { withManual } from './manual.ts';
import type { RunOptions } from './run-options.ts';
import type { DiskOption } from './values.ts';
import { parseCpuFeatures, parseDisk } from './values.ts';

/** The implementation of `vring run`. */
export type RunModule = {
  /** @param given options on the command line @returns the exit status */
  runVm(words: readonly string[], options: RunOptions, given: readonly string[]): Promise<number>;
};

/** `vring run`: one VM on this terminal. */
export function registerRun(program: Command, load: () => Promise<RunModule>): void {
  const run = program
    .command('run')
    .argument('[kernel]', 'Linux bzImage, ELF with a PVH note, or multiboot kernel')
    .argument('[qemu...]', 'QEMU options instead of a kernel: `-m 1024 -smp 2 -kernel vmlinuz`')
    .usage('[options] [kernel | qemu options]')
    .description('Boot a kernel, or a disk through firmware, with the serial port on this terminal')
    .option(
      '--firmware <what>',
      'bios (SeaBIOS), uefi (OVMF) or a file: boots a disk, or the kernel (default: bios without a kernel, ' +
        'none with one)',
    )
    .option('--initrd <file>', 'initial RAM disk')
    .option('--append <text>', 'kernel command line')
    .option(
      '--disk <file[,option...]>',
      'add a virtio-blk disk: a raw file or a block device (repeat for more); options: format=raw, readonly, ' +
        'transient, cache=none, serial=S, queues=N, iops=N, bps=SIZE',
      (text, disks: DiskOption[] | undefined) => [...(disks ?? []), parseDisk(text)],
    )
    .option('--cpus <n>', 'number of vCPUs', text => parseCount(text, '--cpus', 1, 64), 1)
    .addOption(
      new Option('--memory <size>', 'guest RAM')
        .argParser(text => parseSize(text, '--memory'))
        .default(parseSize('256M', '--memory'), '256M'),
    )
    .addOption(new Option('--hugepages <size>', 'back guest RAM with huge pages').choices(['2M', '1G']))
    .option('--cpu-features <-name,...>', 'CPU features to hide from the guest', parseCpuFeatures)
    .addOption(new Option('--kvm <state>', 'off hides the hypervisor from the guest').choices(['on', 'off']))
    .option('--name <name>', "the VM's name (default: the kernel's file name)")
    .option('--no-rng', 'leave out the virtio-rng device')
    .option(
      '--device-module <file>',
      "a device model of your own, in TypeScript or JavaScript, for QEMU's -device (repeat for more; docs/devices.md)",
      (file, files: string[] | undefined) => [...(files ?? []), file],
    )
    .addOption(
      new Option(
        '--confine <mode>',
        "confinement of the machine's process; strict: refuse to start unless every layer is on",
      )
        .choices(['default', 'strict', 'off'])
        .default('default'),
    )
    .addOption(new Option('--ui', 'run it in the manager and open the full-screen UI').conflicts('detach'))
    .option('--detach', 'run it in the manager and return')
    .addOption(
      new Option('--foreground', 'run it in this process: closing the terminal or Ctrl-] kills it').conflicts(
        ['ui', 'detach'],
      ),
    )
    .action(async (_kernel, _qemu, options: RunOptions, command: Command) => {
      const { runVm } = await load();
      const given = Object.keys(options).filter(name => command.getOptionValueSource(name) === 'cli');
      process.exitCode = await runVm(command.args, options, given);
    });
  withManual(run, {
    text: [
      "QEMU's options are accepted as start scripts have them. Options that make no difference to the guest " +
        'are left out and named; options that the guest needs and vring lacks are refused (docs/definitions.md). ' +
        "Of vring's own options, `--name`, `--ui`, `--detach`, `--hugepages`, `--device-module` and `--confine` " +
        'may be combined with them.',
      'On a terminal, the manager runs the VM: Ctrl-] or a lost connection leaves it running, and `vring vm ' +
        'console` attaches again. Without a terminal, in a script or a pipe, the VM runs in this process and ' +
        'ends with it.',
      'The exit status is 0 after a power-off, 1 after a crash, whose reason and registers are printed, or the ' +
        'code that the guest writes to the debug exit port.',
    ],
    examples: [
      {
        command:
          "vring run vmlinuz --initrd initrd.img --append 'console=ttyS0' --disk disk.img --cpus 2 --memory 1G",
        does: 'a Linux guest with two vCPUs and a disk',
      },
      {
        command:
          'vring run -m 1024 -smp 2 -drive file=disk.img,if=virtio -kernel vmlinuz -append console=ttyS0',
        does: 'the same with QEMU options',
      },
      {
        command: 'vring run --disk disk.img --memory 1G',
        does: 'boot an installed system by SeaBIOS',
      },
      {
        command: 'vring run --firmware uefi --disk disk.img --memory 1G',
        does: 'the same by OVMF (UEFI)',
      },
      {
        command: 'vring run --detach --name build vmlinuz',
        does: 'a VM that keeps running when the terminal closes',
      },
    ],
  });
}
