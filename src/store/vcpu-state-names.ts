import { VCPU_STATE } from '../vmm/counters/counters.ts';

const names = new Map<number, string>(Object.entries(VCPU_STATE).map(([name, state]) => [state, name]));

/** The name of a `VCPU_STATE` value; null stands for several vCPUs in different states. */
export function vcpuStateName(state: number | null): string {
  return state === null ? 'mixed' : (names.get(state) ?? `state ${state}`);
}
