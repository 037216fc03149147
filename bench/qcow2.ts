import { join } from 'node:path';
import { execa } from 'execa';
import { makeCachedFile } from './cached-file.ts';
import { runGuest, type Vmm, workDirectory } from './guest.ts';
import { atLeast, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 5;
const SECONDS = 2;

/**
 * Random 4 KiB reads of a qcow2 image whose clusters are all allocated, beside those of a raw file with the same
 * content. Needs qemu-img.
 */
export async function measureQcow2(): Promise<Measurement[]> {
  const raw = join(workDirectory, 'qcow2-peer.img');
  const qcow2 = join(workDirectory, 'disk.qcow2');
  await makeCachedFile(raw);
  await execa('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2]);
  return [await atDepth(raw, qcow2, 1), await atDepth(raw, qcow2, 32)].flat();
}

async function atDepth(raw: string, qcow2: string, depth: number): Promise<Measurement[]> {
  const iops = (vmm: Vmm, disk: string, format: 'raw' | 'qcow2') => async () => {
    const [result] = await runGuest(vmm, { commands: `blk read 4k ${depth} ${SECONDS}s`, disk, format });
    return result!.get('iops')!;
  };
  const values = await alternate(ROUNDS, {
    vring: iops('vring', qcow2, 'qcow2'),
    raw: iops('vring', raw, 'raw'),
    QEMU: iops('QEMU', qcow2, 'qcow2'),
  });
  const { vring, raw: ofRaw, QEMU } = values;
  const what = `4k random read of qcow2, depth ${depth}`;
  return [
    { what, unit: 'IOPS', values: { vring, QEMU }, target: atLeast(1, 'x QEMU', vring / QEMU) },
    {
      what: `${what}, beside raw`,
      unit: 'IOPS',
      values: { vring, raw: ofRaw },
      target: atLeast(0.9, 'x raw', vring / ofRaw),
    },
  ];
}
