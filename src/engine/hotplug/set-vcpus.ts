import { acrossHandOvers } from '../across-hand-overs.ts';
import { parseVcpusSet } from '../machines/machine-messages.ts';
import type { Vm } from '../vm.ts';
import { isUp } from '../vm-info.ts';
import type { VcpusChanged } from './hotplug-info.ts';

/**
 * Has a running VM have this many vCPUs. Resolves once its guest has taken up the new ones and released the others,
 * which may be never: the topology shows what it waits for.
 * @throws an error for the user
 */
export async function setVcpus(vm: Vm, count: number): Promise<VcpusChanged> {
  const { info } = vm;
  if (!isUp(info)) throw new Error(`${vm.name} is ${info.state}: wait until it runs`);
  const answer = await acrossHandOvers(
    () => vm.command('set-vcpus', { count }),
    () => vm.alive,
  );
  return { running: true, ...parseVcpusSet(answer) };
}
