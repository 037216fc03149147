import { VCPU_STATE } from '../../vmm/counters/counters.ts';
import { EXIT } from '../../vmm/kvm/constants.ts';

const exits = inverse(EXIT);
const vcpuStates = inverse(VCPU_STATE);

/** The name of a KVM_EXIT_* reason (linux/kvm.h) without that prefix. */
export function exitName(reason: number): string {
  return exits.get(reason) ?? `reason ${reason}`;
}

/** The name of a `VCPU_STATE` value; null stands for several vCPUs in different states. */
export function vcpuStateName(state: number | null): string {
  return state === null ? 'mixed' : (vcpuStates.get(state) ?? `state ${state}`);
}

function inverse(values: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(values).map(([name, value]) => [value, name]));
}
