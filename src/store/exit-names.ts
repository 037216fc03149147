import { EXIT } from '../vmm/kvm/constants.ts';

const names = new Map<number, string>(Object.entries(EXIT).map(([name, reason]) => [reason, name]));

/** The name of a KVM_EXIT_* reason (linux/kvm.h) without that prefix. */
export function exitName(reason: number): string {
  return names.get(reason) ?? `reason ${reason}`;
}
