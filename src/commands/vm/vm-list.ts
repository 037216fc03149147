import type { DefinedVm, Definitions } from '../../engine/definitions.ts';
import type { Engine } from '../../engine/engine.ts';
import { notTaken } from '../../engine/host-devices/wanted.ts';
import type { InterruptedVm } from '../../engine/local-engine.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import type { MachineRecord } from '../../manager/machines/machine-record.ts';
import { managerIfAny } from './manager.ts';

/** All VMs, with or without a running manager. */
export type VmList = Pick<Engine, 'vms' | 'define' | 'definition' | 'rename' | 'remove' | 'close'>;

/**
 * The manager's VMs; without a manager, the definitions on disk and the VMs that run without one. VMs that ran when the
 * last manager died, but do not any more, are marked as interrupted.
 */
export async function openVmList(): Promise<VmList> {
  return (await managerIfAny()) ?? (await vmListOnDisk());
}

/** The definitions on disk and the VMs that run without a manager, as no manager runs. */
export async function vmListOnDisk(): Promise<VmList> {
  const { DefinitionStore } = await import('../../definitions/store.ts');
  const { readLastRun } = await import('../../manager/running-record.ts');
  const { managerPaths } = await import('../../manager/paths.ts');
  const { unmanagedVms } = await import('../../manager/machines/unmanaged.ts');
  const { interrupted } = readLastRun(managerPaths().state);
  return vmListOf(new DefinitionStore(), interrupted, unmanagedVms());
}

function vmListOf(
  definitions: Definitions,
  interrupted: readonly InterruptedVm[] = [],
  running: readonly MachineRecord[] = [],
): VmList {
  const reasons = new Map(interrupted.map(vm => [vm.name, vm.reason]));
  return {
    vms: () => {
      const defined = new Map(definitions.list().map(vm => [vm.name, vm]));
      const names = new Set(running.map(({ name }) => name));
      return [
        ...running.map(machine => vmUnmanaged(machine, defined.get(machine.name))),
        ...[...defined.values()]
          .filter(({ name }) => !names.has(name))
          .map(vm => vmDown(vm, reasons.get(vm.name))),
      ];
    },
    define: async (name, yaml, options) => definitions.save(name, yaml, options),
    definition: async name => definitions.text(name),
    rename: async (id, name) => {
      // Neither name may be started in the meantime.
      const { lockVm } = await import('../../manager/vm-lock.ts');
      const locks: { release(): void }[] = [];
      try {
        for (const each of [id, name]) locks.push(lockVm(each));
        definitions.rename(id, name);
      } finally {
        for (const lock of locks) lock.release();
      }
    },
    remove: async name => {
      const { lockVm } = await import('../../manager/vm-lock.ts');
      const lock = lockVm(name);
      try {
        definitions.remove(name);
      } finally {
        lock.release();
      }
    },
    close: async () => {},
  };
}

/** A VM that runs in its process; without a manager, only how it was started is known. */
function vmUnmanaged(
  { name, pid, config, startedAt }: MachineRecord,
  defined: DefinedVm | undefined,
): VmInfo {
  return {
    ...vmDown(defined ?? { ...NO_DEFINITION, name }, undefined),
    state: 'running',
    vcpus: config.cpus,
    memoryBytes: config.memory.bytes,
    reason: 'it runs without a manager; vring manager restart starts one, which takes it over',
    startedAt,
    pid,
    defined: defined !== undefined,
  };
}

const NO_DEFINITION = {
  problem: null,
  blockers: [],
  vcpus: 0,
  memoryBytes: 0,
  autostart: false,
  onCrash: 'keep',
} as const;

/** @param reason why it was interrupted, if it was */
function vmDown(defined: DefinedVm, reason: string | undefined): VmInfo {
  const { name, problem, blockers, vcpus, maxVcpus, memoryBytes, autostart } = defined;
  const { hostDevices = [], nics = [], devices = [] } = defined;
  return {
    id: name,
    name,
    state: reason === undefined ? 'off' : 'crashed',
    ...(reason !== undefined && { interrupted: true }),
    vcpus,
    ...(maxVcpus !== undefined && { maxVcpus }),
    memoryBytes,
    reason: reason ?? null,
    detail: null,
    exitCode: null,
    broken: {},
    startedAt: null,
    pid: null,
    version: null,
    confinement: null,
    topology: null,
    defined: true,
    problem,
    blockers,
    autostart,
    ...(hostDevices.length > 0 && { hostDevices: hostDevices.map(notTaken) }),
    ...(nics.length > 0 && { nics }),
    ...(devices.length > 0 && { definedDevices: devices }),
    keyboardHolder: null,
  };
}
