import type { DefinedVm, Definitions } from '../../engine/definitions.ts';
import type { Engine } from '../../engine/engine.ts';
import type { VmLock } from '../../engine/vm.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import { managerIfAny } from './manager.ts';

/** The VMs that there are, whether somebody runs them or not. */
export type VmList = Pick<Engine, 'vms' | 'define' | 'definition' | 'rename' | 'remove' | 'close'>;

/** The manager's; the definitions on disk when there is no manager: then all are off. */
export async function openVmList(): Promise<VmList> {
  const engine = await managerIfAny();
  if (engine !== null) return engine;
  const { DefinitionStore } = await import('../../definitions/store.ts');
  return vmListOf(new DefinitionStore());
}

export function vmListOf(definitions: Definitions): VmList {
  return {
    vms: () => definitions.list().map(vmOff),
    define: async (name, yaml, options) => definitions.save(name, yaml, options),
    definition: async name => definitions.text(name),
    rename: async (id, name) => {
      // No VM of either name may be started meanwhile.
      const { lockVm } = await import('../../manager/vm-lock.ts');
      const locks: VmLock[] = [];
      try {
        for (const each of [id, name]) locks.push(lockVm(each));
        definitions.rename(id, name);
      } finally {
        for (const lock of locks) lock.release();
      }
    },
    remove: async name => definitions.remove(name),
    close: async () => {},
  };
}

function vmOff({ name, problem, blockers, vcpus, memoryBytes, autostart }: DefinedVm): VmInfo {
  return {
    id: name,
    name,
    state: 'off',
    vcpus,
    memoryBytes,
    reason: null,
    detail: null,
    exitCode: null,
    broken: {},
    startedAt: null,
    topology: null,
    defined: true,
    problem,
    blockers,
    autostart,
    keyboardHolder: null,
  };
}
