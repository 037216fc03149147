import type { DefinedVm, Definitions } from '../../engine/definitions.ts';
import type { Engine } from '../../engine/engine.ts';
import type { InterruptedVm } from '../../engine/local-engine.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import { managerIfAny } from './manager.ts';

/** All VMs, with or without a running manager. */
export type VmList = Pick<Engine, 'vms' | 'define' | 'definition' | 'rename' | 'remove' | 'close'>;

/** The manager's VMs; without a manager, the definitions on disk, marked as interrupted if they ran when the last one died. */
export async function openVmList(): Promise<VmList> {
  const engine = await managerIfAny();
  if (engine !== null) return engine;
  const { DefinitionStore } = await import('../../definitions/store.ts');
  const { readLastRun } = await import('../../manager/running-record.ts');
  const { managerPaths } = await import('../../manager/paths.ts');
  return vmListOf(new DefinitionStore(), readLastRun(managerPaths().state).interrupted);
}

export function vmListOf(definitions: Definitions, interrupted: readonly InterruptedVm[] = []): VmList {
  const reasons = new Map(interrupted.map(vm => [vm.name, vm.reason]));
  return {
    vms: () => definitions.list().map(vm => vmDown(vm, reasons.get(vm.name))),
    define: async (name, yaml, options) => definitions.save(name, yaml, options),
    definition: async name => definitions.text(name),
    rename: async (id, name) => {
      // Neither name may be started meanwhile.
      const { lockVm } = await import('../../manager/vm-lock.ts');
      const locks: { release(): void }[] = [];
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

/** @param reason why it was interrupted, if it was */
function vmDown(defined: DefinedVm, reason: string | undefined): VmInfo {
  const { name, problem, blockers, vcpus, memoryBytes, autostart } = defined;
  return {
    id: name,
    name,
    state: reason === undefined ? 'off' : 'crashed',
    ...(reason !== undefined && { interrupted: true }),
    vcpus,
    memoryBytes,
    reason: reason ?? null,
    detail: null,
    exitCode: null,
    broken: {},
    startedAt: null,
    pid: null,
    confinement: null,
    topology: null,
    defined: true,
    problem,
    blockers,
    autostart,
    keyboardHolder: null,
  };
}
