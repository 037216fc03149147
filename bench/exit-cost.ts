import { runGuest, type Vmm } from './guest.ts';
import { atLeast, atMost, type Measurement } from './measurement.ts';
import { alternate, medians } from './statistics.ts';

const ROUNDS = 7;
/** V8 compiles what answers an exit during the first of them. */
const FIRST_EXITS = 20_000;
const EXITS = 200_000;
/** How long the vCPUs write, in milliseconds. */
const SMP_MS = 300;

/**
 * The cost of a port write that exits to user space, measured in the guest: vring handles it in a TypeScript device
 * model on its machine thread, QEMU in its own port device, and the bare loop just calls KVM_RUN again.
 */
export async function measureExitCost(): Promise<Measurement[]> {
  const first: Record<Vmm, number[]> = { vring: [], QEMU: [], 'bare loop': [] };
  const cost = (vmm: Vmm) => async () => {
    const [start, rest] = await runGuest(vmm, { commands: `exits io ${FIRST_EXITS}; exits io ${EXITS}` });
    first[vmm].push(start!.get('write_ns')!);
    return rest!.get('write_ns')!;
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
    {
      what: `the same, the first ${FIRST_EXITS.toLocaleString('en-US')}`,
      unit: 'ns',
      values: medians(first),
    },
    await measureSmp(),
  ];
}

/** Two vCPUs that write to a port at the same time, each as fast as it can. */
async function measureSmp(): Promise<Measurement> {
  const rate = (vmm: Vmm) => async () => {
    const [result] = await runGuest(vmm, { commands: `smp ${SMP_MS}ms exits`, options: ['-smp', '2'] });
    if (result!.get('online') !== 2) throw new Error(`the second vCPU did not start on ${vmm}`);
    return result!.get('iterations')! / result!.get('ms')!;
  };
  const values = await alternate(ROUNDS, { vring: rate('vring'), QEMU: rate('QEMU') });
  return {
    what: 'port writes of two vCPUs',
    unit: '1000/s',
    values,
    target: atLeast(1.0, 'x QEMU', values.vring / values.QEMU),
  };
}
