import type { DiskLimits } from '../../devices/backends/disk.ts';
import type { NetLimits } from '../../devices/backends/net-limits.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import type { Definitions } from '../definitions.ts';
import type { VmHostDevices } from '../host-devices/vm-host-devices.ts';
import type { KnownNetworks } from '../networks/open-wire.ts';
import type { Vm } from '../vm.ts';
import { isAlive } from '../vm-info.ts';
import { attachDevice, checkedDevice } from './attach.ts';
import { definedAs } from './defined-device.ts';
import { identityOf } from './defined-devices.ts';
import { detachDevice } from './detach.ts';
import {
  type AttachedDevice,
  type AttachOptions,
  type DetachOptions,
  inDefinitionOnly,
  limitsNeedPersist,
  type SetVcpusOptions,
  type VcpusChanged,
} from './hotplug-info.ts';
import { checkDiskOf } from './open-disk.ts';
import { setVcpus } from './set-vcpus.ts';

/** The callbacks of `VmDevices` to its engine. */
export type VmDevicesHost = {
  readonly definitions: Definitions;
  readonly hostDevices: VmHostDevices;
  readonly networks: KnownNetworks;
  /** The definitions on disk have changed. */
  followDefinitions(): void;
  note(level: 'info', text: string, vm: string): void;
};

/** Attaches devices to VMs and detaches them: while a VM runs, and in its definition. */
export class VmDevices {
  readonly #host: VmDevicesHost;

  constructor(host: VmDevicesHost) {
    this.#host = host;
  }

  /** @throws an error for the user */
  async attach(vm: Vm, input: DeviceConfig, { persist, running }: AttachOptions): Promise<AttachedDevice> {
    const { definitions, hostDevices, networks } = this.#host;
    const device = checkedDevice(input);
    if (!vm.alive && running === true)
      throw new Error(
        `${vm.name} is ${vm.info.state} now: nothing was attached, and its definition is unchanged`,
      );
    if (!vm.alive) {
      await checkDiskOf(device);
      // It may have been started in the meantime.
      if (!vm.alive) return this.#attachToDefinition(vm, input);
    }
    if (persist) requireDefinition(vm);
    const attached = await attachDevice(vm, device, named => hostDevices.takeToAttach(vm, named), networks);
    const { name } = attached;
    if (persist)
      this.#followInDefinition(vm, `${name} is attached`, () =>
        definitions.attach(vm.name, { ...input, name }),
      );
    return attached;
  }

  /** Resolves once the device is out and the host has its resources back. @throws an error for the user */
  async detach(vm: Vm, device: string, { force, persist }: DetachOptions): Promise<void> {
    const { definitions, hostDevices } = this.#host;
    if (!vm.alive) {
      requireDefinition(vm);
      this.#changeDefinition(vm, () => definitions.detach(vm.name, { name: device }));
      return;
    }
    const known = vm.devices?.get(device);
    if (persist) requireDefinition(vm);
    const remove = () => definitions.detach(vm.name, { ...known, name: device });
    // It may have left the VM before.
    if (persist && vm.info.topology?.devices.every(({ name }) => name !== device)) {
      this.#changeDefinition(vm, remove);
      return;
    }
    if (persist) requireDefined(vm, { ...known, name: device });
    await detachDevice(vm, device, force);
    const address = known && deviceTable.hostDevice(known)?.address;
    if (address !== undefined) await hostDevices.returned(address);
    if (persist) this.#followInDefinition(vm, `${device} is detached`, remove);
  }

  /**
   * Replaces the rate limits of a disk or network card: now, if the VM runs, and with `persist` at every start. @param
   * set applies them to its machine
   * @throws an error for the user
   */
  async limit(
    vm: Vm,
    device: string,
    limits: DiskLimits | NetLimits,
    { persist, set }: { readonly persist: boolean; readonly set: () => Promise<unknown> },
  ): Promise<void> {
    const { definitions } = this.#host;
    if (persist) requireDefinition(vm);
    else if (!vm.alive) throw new Error(limitsNeedPersist(vm.info));
    const known = vm.alive ? vm.devices?.get(device) : undefined;
    const change = () => definitions.limit(vm.name, { ...known, name: device }, limits);
    if (persist && !vm.alive) {
      this.#changeDefinition(vm, change);
      return;
    }
    await set();
    if (persist) this.#followInDefinition(vm, `the limits of ${device} are set`, change);
  }

  /**
   * Changes the number of vCPUs: now, if the VM runs, and with `persist` at every start. Resolves once the guest has
   * done its part, which may be never.
   * @throws an error for the user
   */
  async setVcpus(vm: Vm, count: number, { persist = false }: SetVcpusOptions): Promise<VcpusChanged> {
    const { definitions } = this.#host;
    const change = () => definitions.setVcpus(vm.name, count);
    if (!vm.alive) {
      requireDefinition(vm);
      this.#changeDefinition(vm, change);
      return { vcpus: count, running: false, noticed: false };
    }
    if (persist) requireDefinition(vm);
    const changed = await setVcpus(vm, count);
    if (persist) this.#followInDefinition(vm, 'the running VM is changed', change);
    return changed;
  }

  #attachToDefinition(vm: Vm, device: DeviceConfig): AttachedDevice {
    requireDefinition(vm);
    const name = this.#changeDefinition(vm, () => this.#host.definitions.attach(vm.name, device));
    return inDefinitionOnly(device, name);
  }

  /**
   * Updates the definition after a change to a running VM. @param done that change, for the error. @throws an error
   * that reports both
   */
  #followInDefinition(vm: Vm, done: string, change: () => void): void {
    try {
      this.#changeDefinition(vm, change);
    } catch (error) {
      throw new Error(`${done}, but not in the definition: ${(error as Error).message}`, { cause: error });
    }
  }

  #changeDefinition<Result>({ name }: Vm, change: () => Result): Result {
    const result = change();
    this.#host.followDefinitions();
    this.#host.note('info', 'its definition was changed', name);
    return result;
  }
}

/** @throws unless the definition has the device: nothing is detached for a change that cannot be made */
function requireDefined(vm: Vm, device: Partial<DeviceConfig>): void {
  const devices = vm.defined?.devices;
  if (devices === undefined || definedAs(devices, identityOf(device)) !== undefined) return;
  throw new Error(`${device.name} is not in the definition of ${vm.name}: leave out --persist`);
}

function requireDefinition({ name, defined, info }: Vm): void {
  if (defined === null)
    throw new Error(
      isAlive(info)
        ? `${name} has no definition to change: leave out --persist`
        : `${name} is ${info.state} and has no definition: start it first`,
    );
}
