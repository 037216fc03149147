import { atLeast, type Measurement } from './measurement.ts';
import { alternate, medians } from './statistics.ts';
import { type Card, floodProgram, runOnTap, type TapVmm, withTap } from './tap-guest.ts';

const ROUNDS = 3;
const SECONDS = 2;
/** Frames of this size show the bit rate; the others, the frame rate. */
const LARGE = 60_000;

const CARD: Card = { driver: 'virtio-net-pci', qemu: ',disable-legacy=on' };

/**
 * Frames between a TAP interface, in its own network namespace, and a guest that polls in ring 3. QEMU runs without
 * vhost: both carry the frames in their own threads. The guest fills each of its buffers only once, else the rate would
 * be that of its loops over the bytes. Needs root.
 */
export async function measureNet(): Promise<Measurement[]> {
  return await withTap(async () => {
    const measurements: Measurement[] = [];
    for (const size of [64, 1500]) {
      measurements.push(
        ...(await measured(`sent, ${size} bytes`, `net send ${SECONDS}s ${size} repeat`, 'pps', null)),
      );
      const program = await floodProgram(size);
      measurements.push(
        ...(await measured(`received, ${size} bytes`, `net receive ${SECONDS}s`, 'pps', program)),
      );
    }
    const large = `net send ${SECONDS}s ${LARGE} repeat`;
    measurements.push(...(await measured(`sent, ${LARGE} bytes`, large, 'mbit', null)));
    return measurements;
  });
}

/**
 * The rate of frames of a kind, and the CPU time that they take.
 * @param program sends what the guest receives
 */
async function measured(
  what: string,
  command: string,
  field: 'pps' | 'mbit',
  program: readonly string[] | null,
): Promise<Measurement[]> {
  const cpu: Record<TapVmm, number[]> = { vring: [], QEMU: [] };
  const contestant = (vmm: TapVmm) => async () => {
    const { results, cpuSeconds } = await runOnTap(vmm, CARD, `net info; ${command}`, program);
    const fields = results[1]!;
    cpu[vmm].push(((cpuSeconds[1]! - cpuSeconds[0]!) * 1e6) / fields.get('frames')!);
    return fields.get(field)!;
  };
  const values = await alternate(ROUNDS, { vring: contestant('vring'), QEMU: contestant('QEMU') });
  const unit = field === 'pps' ? 'packets/s' : 'Mbit/s';
  return [
    { what: `frames ${what}`, unit, values, target: atLeast(1.2, 'x QEMU', values.vring / values.QEMU) },
    {
      what: `CPU of frames ${what}`,
      unit: 's per million',
      values: medians(cpu),
    },
  ];
}
