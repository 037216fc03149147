import type { Engine } from '../engine/engine.ts';
import type { VmInfo } from '../engine/vm-info.ts';

/** Some of an engine's VMs, by id. */
export type FollowedVms = {
  readonly vms: ReadonlyMap<string, VmInfo>;
  stop(): void;
};

/**
 * The VMs that meet a condition, as the engine's events say. Asking the engine for all VMs at each event would take
 * minutes when thousands of definitions appear or disappear.
 * @param changed called after a change of such a VM, or of one that met the condition before; `vm` is null once it is
 *   no longer listed
 */
export function followVms(
  engine: Pick<Engine, 'vms' | 'subscribe'>,
  condition: (vm: VmInfo) => boolean,
  changed: (vm: VmInfo | null) => void,
): FollowedVms {
  const vms = new Map<string, VmInfo>();
  for (const vm of engine.vms()) if (condition(vm)) vms.set(vm.id, vm);
  const stop = engine.subscribe(event => {
    if (event.kind === 'removed') {
      if (vms.delete(event.id)) changed(null);
    } else if (event.kind === 'vm') {
      const { vm } = event;
      const before = vms.delete(vm.id);
      const meets = condition(vm);
      if (meets) vms.set(vm.id, vm);
      if (before || meets) changed(vm);
    }
  });
  return { vms, stop };
}
