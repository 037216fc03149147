import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';

const repository = dirname(import.meta.dirname);

/** The embedded guest, which all VMMs run. */
export const GUEST = join(repository, 'dist/guest.elf');
export const VRING = join(repository, 'bin/vring');

/** Files of one benchmark run, removed when it ends. */
export const workDirectory = mkdtempSync(join(tmpdir(), 'vring-bench-'));
process.on('exit', () => rmSync(workDirectory, { recursive: true, force: true }));

/** The guest's command line without commands: it waits at its prompt. */
export const BARE_APPEND = 'quiet';

/** How long a guest may take, including its start. */
const TIMEOUT_MS = 120_000;

/** QEMU without default devices. */
export const QEMU_BASE = [
  '-accel',
  'kvm',
  '-cpu',
  // Some KVMs offer this MSR but refuse what QEMU writes to it.
  'host,arch-capabilities=off',
  '-smp',
  '1',
  '-m',
  '64',
  '-nodefaults',
  '-no-user-config',
].concat(['-display', 'none', '-no-reboot', '-kernel', GUEST]);

/** The disk's devices. QEMU's virtio devices are its fastest: with a separate I/O thread. */
const DEVICES = {
  virtio: {
    vring: ['virtio-blk-pci,drive=disk0'],
    QEMU: ['virtio-blk-pci,drive=disk0,iothread=io0,disable-legacy=on'],
  },
  scsi: {
    vring: ['virtio-scsi-pci', 'scsi-hd,drive=disk0'],
    QEMU: ['virtio-scsi-pci,iothread=io0,disable-legacy=on', 'scsi-hd,drive=disk0,scsi-id=0,lun=0'],
  },
  ide: {
    vring: ['piix3-ide,id=ide', 'ide-hd,drive=disk0,bus=ide.0'],
    QEMU: ['piix3-ide,id=ide', 'ide-hd,drive=disk0,bus=ide.0'],
  },
} as const;

function devices(vmm: 'vring' | 'QEMU', bus: DiskBus): string[] {
  return DEVICES[bus][vmm].flatMap(device => ['-device', device]);
}

function qemuDisk(file: string, { bus, format }: DiskOptions): string[] {
  return [
    ...[
      '-object',
      'iothread,id=io0',
      '-drive',
      `file=${file},if=none,id=disk0,format=${format},aio=io_uring`,
    ],
    ...devices('QEMU', bus),
  ];
}

/** For a disk on a bus that --disk does not offer, vring is started with QEMU's options. */
function vringArguments(append: string, file: string | undefined, bus: DiskBus): string[] {
  if (file === undefined || bus === 'virtio') {
    return ['run', GUEST, '--memory', '64M', '--append', append, ...(file ? ['--disk', file] : [])];
  }
  return [
    ...['run', '-m', '64', '-kernel', GUEST, '-append', append],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
    ...['-drive', `file=${file},if=none,id=disk0,format=raw`, ...devices('vring', bus)],
  ];
}

export type DiskBus = keyof typeof DEVICES;
type DiskOptions = { readonly bus: DiskBus; readonly format: 'raw' | 'qcow2' };

export type Job = {
  /** The guest's commands, such as `exits io 1000`; see its `help`. */
  readonly commands: string;
  readonly disk?: string;
  /** The disk's bus; default: a raw disk on virtio. */
  readonly bus?: DiskBus;
  readonly format?: 'raw' | 'qcow2';
  /** Options that vring and QEMU share, in place of a disk. */
  readonly options?: readonly string[];
};

export type Vmm = 'vring' | 'QEMU' | 'bare loop';

/** Values of a line `result <name> key=value ...` that the guest printed. */
export type GuestResult = ReadonlyMap<string, number>;

/** Runs the guest on a VMM until it has done the job. @returns its results, in command order */
export async function runGuest(vmm: Vmm, job: Job): Promise<GuestResult[]> {
  const [command, ...args] = await commandLine(vmm, job);
  // The guest exits with a code of its choice, which QEMU maps to a different one.
  const { stdout, stderr } = await execa(command!, args, {
    stdin: 'ignore',
    timeout: TIMEOUT_MS,
    reject: false,
  });
  const results = [...stdout.matchAll(/^result \S+ (.*?)\r?$/gm)].map(match => parseResult(match[1]!));
  if (results.length === 0) throw new Error(`the guest printed no result on ${vmm}:\n${stdout}\n${stderr}`);
  return results;
}

async function commandLine(
  vmm: Vmm,
  { commands, disk, bus = 'virtio', format = 'raw', options = [] }: Job,
): Promise<string[]> {
  const append = `quiet run="${commands}; exit 0"`;
  switch (vmm) {
    case 'vring':
      if (options.length > 0) {
        return [VRING, 'run', '-m', '64', '-kernel', GUEST, '-append', append, '-nographic', ...options];
      }
      return [VRING, ...vringArguments(append, disk, bus)];
    case 'QEMU':
      return [
        ...['qemu-system-x86_64', '-machine', 'q35', ...QEMU_BASE, '-append', append, '-serial', 'stdio'],
        ...[
          '-device',
          'isa-debug-exit,iobase=0xf4,iosize=1',
          ...(disk ? qemuDisk(disk, { bus, format }) : []),
          ...options,
        ],
      ];
    case 'bare loop':
      return [await bareLoop(), GUEST, append];
  }
}

let compiled: Promise<string> | undefined;

/** Builds bare-kvm.c. @returns its program */
export function bareLoop(): Promise<string> {
  compiled ??= (async () => {
    const program = join(workDirectory, 'bare-kvm');
    await execa('cc', ['-O2', '-o', program, join(import.meta.dirname, 'bare-kvm.c')]);
    return program;
  })();
  return compiled;
}

export function parseResult(text: string): GuestResult {
  return new Map([...text.matchAll(/(\S+)=([\d.]+)/g)].map(match => [match[1]!, Number(match[2])]));
}
