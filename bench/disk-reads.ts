import { join } from 'node:path';
import { execa } from 'execa';
import { makeCachedFile } from './cached-file.ts';
import { runGuest, type Vmm, workDirectory } from './guest.ts';
import { atLeast, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 5;
const SECONDS = 2;

/**
 * Random 4 KiB reads of a file in the page cache, through virtio-blk from a guest that polls in ring 3, and by fio on
 * the host. Measures the request path, not the disk.
 */
export async function measureDiskReads(): Promise<Measurement[]> {
  const disk = join(workDirectory, 'disk.img');
  await makeCachedFile(disk);
  return [await atDepth(disk, 1), await atDepth(disk, 32)];
}

/** The same through virtio-scsi. */
export async function measureScsiReads(): Promise<Measurement[]> {
  const disk = join(workDirectory, 'scsi.img');
  await makeCachedFile(disk);
  return [await scsiAtDepth(disk, 1), await scsiAtDepth(disk, 32)];
}

/**
 * Reads by bus-master DMA from an IDE drive, whose ports the guest drives: each access to one is an exit, also of the
 * guest's polling.
 */
export async function measureIdeReads(): Promise<Measurement[]> {
  const disk = join(workDirectory, 'ide.img');
  await makeCachedFile(disk);
  return [...(await ideBySize(disk, '128k')), ...(await ideBySize(disk, '4k'))];
}

async function ideBySize(disk: string, size: string): Promise<Measurement[]> {
  const exits: Partial<Record<Vmm, number>> = {};
  const rate = (vmm: Vmm) => async () => {
    // V8 compiles the drive's model during the first command.
    const commands = `ide read ${size} 1s; ide read ${size} ${SECONDS}s`;
    const result = (await runGuest(vmm, { commands, disk, bus: 'ide' })).at(-1);
    const [requests, us, accesses] = ['requests', 'us', 'accesses'].map(name => result!.get(name)!);
    exits[vmm] = accesses! / requests!;
    return (requests! * 1e6) / us!;
  };
  const values = await alternate(ROUNDS, { vring: rate('vring'), QEMU: rate('QEMU') });
  const what = `IDE DMA reads of ${size}`;
  return [
    { what, unit: 'requests/s', values, target: atLeast(1, 'x QEMU', values.vring / values.QEMU) },
    { what: `exits of ${what}`, unit: 'per request', values: exits as Record<string, number> },
  ];
}

async function scsiAtDepth(disk: string, depth: number): Promise<Measurement> {
  const iops = (vmm: Vmm) => async () => {
    const commands = `blk read 4k ${depth} ${SECONDS}s scsi=0`;
    const [result] = await runGuest(vmm, { commands, disk, bus: 'scsi' });
    return result!.get('iops')!;
  };
  const values = await alternate(ROUNDS, { vring: iops('vring'), QEMU: iops('QEMU') });
  return {
    ...{ what: `4k random read on virtio-scsi, depth ${depth}`, unit: 'IOPS', values },
    target: atLeast(1.2, 'x QEMU', values.vring / values.QEMU),
  };
}

async function atDepth(disk: string, depth: number): Promise<Measurement> {
  const iops = (vmm: Vmm) => async () => {
    const [result] = await runGuest(vmm, { commands: `blk read 4k ${depth} ${SECONDS}s`, disk });
    return result!.get('iops')!;
  };
  const values = await alternate(ROUNDS, {
    vring: iops('vring'),
    QEMU: iops('QEMU'),
    'fio, host': () => fioIops(disk, depth),
  });
  const measurement = { what: `4k random read, depth ${depth}`, unit: 'IOPS', values };
  if (depth === 1) return measurement;
  return { ...measurement, target: atLeast(1.2, 'x QEMU', values.vring / values.QEMU) };
}

async function fioIops(file: string, depth: number): Promise<number> {
  const { stdout } = await execa('fio', [
    ...['--name=reads', `--filename=${file}`, '--readonly', '--rw=randread', '--bs=4k', `--iodepth=${depth}`],
    ...[
      '--ioengine=io_uring',
      '--invalidate=0',
      `--runtime=${SECONDS}`,
      '--time_based',
      '--output-format=json',
    ],
  ]);
  return JSON.parse(stdout).jobs[0].read.iops;
}
