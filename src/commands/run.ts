import { type Command, Option } from 'commander';
import { withManual } from './manual.ts';
import type { DiskOption } from './values.ts';
import { parseCount, parseCpuFeatures, parseDisk, parseSize } from './values.ts';

export type RunOptions = {
  readonly initrd?: string;
  readonly append?: string;
  readonly disk?: readonly DiskOption[];
  readonly cpus: number;
  readonly memory: number;
  readonly hugepages?: '2M' | '1G';
  readonly cpuFeatures?: { remove: string[] };
  readonly kvm?: 'on' | 'off';
  readonly name?: string;
  readonly rng: boolean;
  readonly seccomp: boolean;
  readonly ui?: boolean;
};

/** `vring run`: one VM on this terminal. */
export function registerRun(program: Command): void {
  const run = program
    .command('run')
    .argument('<kernel>', 'Linux bzImage, ELF with a PVH note, or multiboot ELF')
    .description('Boot a kernel, with its serial port on this terminal')
    .option('--initrd <file>', 'initial RAM disk')
    .option('--append <text>', 'kernel command line')
    .option(
      '--disk <file[,format=raw][,readonly][,cache=none][,serial=S][,queues=N]>',
      'add a virtio-blk disk: a raw file or a block device (repeat for more)',
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
    .option('--no-seccomp', 'run vCPU and queue threads without their system call filters')
    .option('--ui', 'show it in the full-screen UI instead')
    .action(async (kernel: string, options: RunOptions) => {
      const { runVm } = await import('./run-vm.ts');
      process.exitCode = await runVm(kernel, options);
    });
  withManual(run, {
    text: [
      'Ctrl-] leaves the terminal and ends the VM. The exit status is 0 after a power-off, 1 after a crash, whose reason and ' +
        "registers are printed, and the guest's own code when it ends itself through the debug exit port.",
    ],
    examples: [
      {
        command:
          "vring run vmlinuz --initrd initrd.img --append 'console=ttyS0' --disk disk.img --cpus 2 --memory 1G",
        does: 'a Linux guest with two vCPUs and a disk',
      },
    ],
  });
}
