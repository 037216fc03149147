import { runGuest, type Vmm } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 3;
const LIMIT_MS = 1000;

/**
 * How long a balloon takes to return 1 GiB of used guest memory to the host: page by page, 256 per request as in Linux,
 * in order, or such that no two consecutive pages are neighbors.
 */
export async function measureBalloon(): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const [what, order] of [
    ['in order', ''],
    ['scattered', ' scattered'],
  ]) {
    const contestant = (vmm: Vmm) => async () => {
      const options = ['-m', '1536', '-device', 'virtio-balloon-pci'];
      const [result] = await runGuest(vmm, { commands: `balloon 1024m${order}`, options });
      return result!.get('us')! / 1000;
    };
    const values = await alternate(ROUNDS, { vring: contestant('vring'), QEMU: contestant('QEMU') });
    measurements.push({
      what: `balloon of 1 GiB, pages ${what}`,
      unit: 'ms',
      values,
      target: atMost(LIMIT_MS, 'ms', values.vring),
    });
  }
  return measurements;
}
