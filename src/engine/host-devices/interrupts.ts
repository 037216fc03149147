import { HostRoot } from '../../host/root.ts';
import { postsInterrupts, readInterruptCounts } from '../../host/vfio/interrupt-counts.ts';
import type { HostInterruptCounts } from '../sampling/counter-source.ts';
import type { VmHostDevice } from '../vm-info.ts';

/** The host's interrupt counts for these devices of a VM. */
export function hostInterruptsOf(
  held: readonly Pick<VmHostDevice, 'address' | 'device'>[],
  root = new HostRoot(),
): HostInterruptCounts {
  const names = new Map(held.map(({ address, device }) => [address, device]));
  const counts = readInterruptCounts(root, new Set(names.keys()));
  return {
    posted: postsInterrupts(root),
    vectors: counts.map(each => ({ ...each, device: names.get(each.address)! })),
  };
}
