import { runGuest, type Vmm } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 7;
const EXITS = 20_000;

/**
 * What a port write costs that only user space can answer, seen from the guest: in vring a TypeScript device model
 * on its machine thread, in QEMU its own port device, in the bare loop nothing but the next KVM_RUN.
 */
export async function measureExitCost(): Promise<Measurement[]> {
  const cost = (vmm: Vmm) => async () => {
    const [result] = await runGuest(vmm, { commands: `exits io ${EXITS}` });
    return result!.get('write_ns')!;
  };
  const values = await alternate(ROUNDS, {
    vring: cost('vring'),
    QEMU: cost('QEMU'),
    'bare loop': cost('bare loop'),
  });
  return [
    {
      what: 'port write, answered',
      unit: 'ns',
      values,
      aim: atMost(1.0, 'x QEMU', values.vring / values.QEMU),
    },
  ];
}
