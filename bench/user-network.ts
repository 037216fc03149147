import { runGuest, type Vmm } from './guest.ts';
import { atLeast, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 5;
const SECONDS = 2;
const SIZES = [60, 1500];

/**
 * Frames to the gateway of a user-mode network and back: echo requests, 64 of them in flight, from a guest that polls
 * in ring 3. Both VMMs use libslirp; vring runs it in its own process.
 */
export async function measureUserNetwork(): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const size of SIZES) {
    const contestant = (vmm: Vmm) => async () => {
      const options = ['-netdev', 'user,id=n0', '-device', 'virtio-net-pci,netdev=n0,romfile='];
      const [result] = await runGuest(vmm, { commands: `gateway ${SECONDS}s ${size}`, options });
      return result!.get('pps')!;
    };
    const values = await alternate(ROUNDS, { vring: contestant('vring'), QEMU: contestant('QEMU') });
    measurements.push({
      what: `user-mode network, frames of ${size} bytes and back`,
      unit: 'replies/s',
      values,
      target: atLeast(1, 'x QEMU', values.vring / values.QEMU),
    });
  }
  return measurements;
}
