import type { DeviceConfig } from '../../devices/device-table.ts';
import { sentenceList } from '../../host/text.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { TakenOfHost } from '../hotplug/attach.ts';
import { closeHostDevices } from '../machines/machine.ts';
import type { HostInterruptCounts } from '../sampling/counter-source.ts';
import type { TakeHostDevices } from '../taken-at-start.ts';
import type { Vm } from '../vm.ts';
import { isUp } from '../vm-info.ts';
import { hostInterruptsOf } from './interrupts.ts';
import { HostDeviceLender, type LenderHost, type LenderOptions } from './lender.ts';
import { type WantedHostDevice, wantedHostDevices } from './wanted.ts';

/** The callbacks of these devices to their engine. */
export type VmHostDevicesHost = Pick<LenderHost, 'note'> & {
  /** Undefined if there is no VM of this name. */
  vm(name: string): Vm | undefined;
};

/** The host devices of an engine's VMs: taken when a VM starts and while it runs, and given back. */
export class VmHostDevices {
  readonly #lender: HostDeviceLender | null;
  /** Devices being given back, by address. */
  readonly #returning = new Map<string, Promise<void>>();

  /** @param options null: VMs get no host devices */
  constructor(options: LenderOptions | null, { vm, note }: VmHostDevicesHost) {
    this.#lender =
      options &&
      new HostDeviceLender(options, {
        isAlive: name => vm(name)?.alive ?? false,
        note,
        changed: name => {
          const changed = vm(name);
          if (changed !== undefined) changed.hostDevices = this.#lender?.of(name) ?? [];
        },
      });
  }

  /**
   * Takes the devices that a VM starts with; null if there are none. @throws when host devices are not available here
   */
  taking({ name, defined }: Vm, config: MachineConfig): TakeHostDevices | null {
    const wanted = wantedHostDevices(config.devices, defined?.hostDevices);
    if (wanted.length === 0) return null;
    const lender = this.#lenderFor(name, wanted);
    return signal => lender.take({ config, state: 'stopped' }, wanted, signal);
  }

  /** Takes the host device of a device being attached to a running VM. @throws why the VM cannot have it */
  async takeToAttach(vm: Vm, device: DeviceConfig): Promise<TakenOfHost> {
    const wanted = wantedHostDevices([device], vm.defined?.hostDevices);
    if (wanted.length === 0) return { opened: [], settled: async () => {} };
    const lender = this.#lenderFor(vm.name, wanted);
    const config = { ...vm.config!, devices: [...vm.config!.devices, device] };
    const opened = await lender.take({ config, state: 'running' }, wanted, new AbortController().signal);
    return {
      opened,
      settled: async isAttached => {
        closeHostDevices(opened);
        if (!isAttached) await lender.giveBack(vm.name, addressesOf(wanted));
      },
    };
  }

  /** Gives back everything that a VM had; null if there is nothing. */
  giveBack({ name }: Vm): Promise<void> | null {
    return this.#lender?.has(name) ? this.#lender.giveBack(name) : null;
  }

  /** Gives back the host devices of devices that have left a running VM, however they did. */
  giveBackDetached(vm: Vm): void {
    const lender = this.#lender;
    const present = vm.hostDevices.length === 0 ? null : (vm.devices?.hostAddresses ?? null);
    if (lender === null || present === null) return;
    if (!isUp(vm.info)) return;
    const left = addressesOf(vm.hostDevices).filter(
      address => !present.includes(address) && !this.#returning.has(address),
    );
    if (left.length === 0) return;
    const done = lender.giveBack(vm.name, left).finally(() => {
      for (const address of left) this.#returning.delete(address);
    });
    for (const address of left) this.#returning.set(address, done);
  }

  /** Resolves when a device on its way back is the host's again, or the log says why it is not. */
  async returned(address: string): Promise<void> {
    await this.#returning.get(address);
  }

  /** The host's interrupt counts for a VM's devices; null if it has none. */
  interrupts({ name, alive }: Vm): HostInterruptCounts | null {
    const held = alive ? (this.#lender?.of(name) ?? []) : [];
    return held.length === 0 ? null : hostInterruptsOf(held);
  }

  /** Gives back what earlier processes took for VMs that are gone. Call it once the running VMs are known. */
  async recover(): Promise<void> {
    await this.#lender?.recover();
  }

  close(): void {
    this.#lender?.close();
  }

  #lenderFor(vm: string, wanted: readonly WantedHostDevice[]): HostDeviceLender {
    if (this.#lender !== null) return this.#lender;
    throw new Error(
      `${vm} cannot have ${sentenceList(addressesOf(wanted))} of the host in this process: start it in the manager, with vring vm start`,
    );
  }
}

function addressesOf(devices: readonly { readonly address: string }[]): string[] {
  return devices.map(({ address }) => address);
}
