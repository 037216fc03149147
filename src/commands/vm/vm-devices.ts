import type { Definitions } from '../../engine/definitions.ts';
import type { Engine } from '../../engine/engine.ts';
import { inDefinitionOnly, limitsNeedPersist } from '../../engine/hotplug/hotplug-info.ts';
import { isAlive, type VmInfo } from '../../engine/vm-info.ts';
import { findVm } from './find.ts';
import { managerIfAny, managerOrNew } from './manager.ts';
import { vmListOnDisk } from './vm-list.ts';

/** Changes of the devices and vCPUs of VMs. */
export type VmDevices = Pick<
  Engine,
  'vms' | 'subscribe' | 'attach' | 'detach' | 'cancelDetach' | 'limitDisk' | 'limitNic' | 'setVcpus' | 'close'
>;

/**
 * What changes the devices and vCPUs of a VM: the manager, which is started if the VM runs without one. A VM that is off has only
 * its definition, for which no manager is needed. @throws if there is no such VM
 */
export async function devicesOfVm(name: string): Promise<VmDevices> {
  const engine = await managerIfAny();
  if (engine !== null) return engine;
  const vms = (await vmListOnDisk()).vms();
  const vm = findVm(vms, name);
  if (isAlive(vm)) return await managerOrNew();
  const { DefinitionStore } = await import('../../definitions/store.ts');
  return inDefinition(vm, vms, new DefinitionStore());
}

function inDefinition(vm: VmInfo, vms: readonly VmInfo[], definitions: Definitions): VmDevices {
  const { name, state } = vm;
  const limit: VmDevices['limitDisk'] & VmDevices['limitNic'] = async (_, device, limits, options) => {
    if (!options?.persist) throw new Error(limitsNeedPersist(vm));
    await whileOff(name, () => definitions.limit(name, { name: device }, limits));
  };
  return {
    vms: () => vms,
    subscribe: () => () => {},
    attach: async (_, input) => {
      const { checkedDevice } = await import('../../engine/hotplug/attach.ts');
      const { checkDiskOf } = await import('../../engine/hotplug/open-disk.ts');
      await checkDiskOf(checkedDevice(input));
      return inDefinitionOnly(input, await whileOff(name, () => definitions.attach(name, input)));
    },
    detach: (_, device) => whileOff(name, () => definitions.detach(name, { name: device })),
    cancelDetach: async (_, device) => {
      throw new Error(`${name} is ${state}: its guest has not been asked to release ${device}`);
    },
    limitDisk: limit,
    limitNic: limit,
    setVcpus: async (_, count) => {
      await whileOff(name, () => definitions.setVcpus(name, count));
      return { vcpus: count, running: false, noticed: false };
    },
    close: async () => {},
  };
}

/** The VM is not started in the meantime. */
async function whileOff<Result>(name: string, change: () => Result): Promise<Result> {
  const { lockVm } = await import('../../manager/vm-lock.ts');
  const lock = lockVm(name);
  try {
    return change();
  } finally {
    lock.release();
  }
}
