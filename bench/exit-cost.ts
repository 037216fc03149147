import { runGuest, type Vmm } from './guest.ts';
import { atMost, type Measurement } from './measurement.ts';
import { alternate } from './statistics.ts';

const ROUNDS = 7;
const EXITS = 20_000;

/**
 * The cost of a port write that exits to user space, measured in the guest: vring handles it in a TypeScript device model
 * on its machine thread, QEMU in its own port device, and the bare loop just calls KVM_RUN again.
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
      target: atMost(1.0, 'x QEMU', values.vring / values.QEMU),
    },
  ];
}
