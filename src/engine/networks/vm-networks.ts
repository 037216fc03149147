import type { NetOptions } from '../../devices/backends/net.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import type { NetworkDefinition } from '../../host/networks/definition.ts';
import type { ChangeLock } from '../../host/plan/change-lock.ts';
import { HostRoot } from '../../host/root.ts';
import { runScript } from '../../vmm/backends/net/tap.ts';
import type { Vm } from '../vm.ts';
import { isAlive, type LogEntry, type VmInfo } from '../vm-info.ts';
import { readGuestAddresses } from './guest-addresses.ts';
import { HostNetworks } from './host-networks.ts';
import { freeMacAddress } from './mac-address.ts';
import { macvtapName, removeMacvtap } from './macvtap.ts';
import { refuseSameMac } from './same-mac.ts';
import { vmNics } from './vm-nics.ts';

export type VmNetworksHost = {
  vms(): Iterable<Vm>;
  note(level: LogEntry['level'], text: string, vm: string | null): void;
};

/** How often guest addresses are read. */
const ADDRESSES_MS = 2000;

/**
 * The networks of an engine's VMs: vring's own on this host, the guests' addresses, and the cleanup after network
 * cards.
 */
export class VmNetworks {
  readonly #host: VmNetworksHost;
  readonly #networks: HostNetworks;
  readonly #reading: NodeJS.Timeout;

  constructor(lock: ChangeLock | null, host: VmNetworksHost) {
    this.#host = host;
    this.#networks = new HostNetworks({ lock, note: (level, text) => host.note(level, text, null) });
    if (lock !== null) this.#networks.watch();
    this.#reading = setInterval(() => this.#readAddresses(), ADDRESSES_MS).unref();
  }

  /** Brings a network up if it is down. @throws NetworkError */
  bringUp(name: string): Promise<NetworkDefinition> {
    return this.#networks.bringUp(name);
  }

  async bringAllUp(): Promise<void> {
    await this.#networks.bringAllUp();
  }

  /** Follows a VM's new `info`: removes host resources that the VM no longer uses. */
  follow(before: VmInfo | null, info: VmInfo): void {
    if (before === null || !isAlive(before)) return;
    const has = new Set(isAlive(info) ? (info.nics ?? []).map(({ device }) => device) : []);
    for (const { device, network } of before.nics ?? []) {
      if (has.has(device)) continue;
      this.#release(before, device, network.type)?.catch((error: Error) =>
        this.#host.note('warning', `${device}: ${error.message}`, info.name),
      );
    }
  }

  /** Undoes what was set up for a card that is gone. @returns null if there is nothing to undo */
  #release({ name, topology }: VmInfo, device: string, type: string): Promise<void> | null {
    if (type === 'macvtap') return removeMacvtap(macvtapName(name, device));
    const network = this.#optionsOf(name, device);
    if (network?.type !== 'tap' || network.downscript === undefined) return null;
    const facts = topology?.devices.find(label => label.name === device)?.facts ?? [];
    const opened = facts.find(({ label }) => label === 'interface')?.value ?? network.ifname;
    return opened === undefined ? null : runScript(network.downscript, String(opened));
  }

  /** What a VM's card was connected to; null if not known. */
  #optionsOf(vm: string, device: string): NetOptions | null {
    const owner = [...this.#host.vms()].find(({ name }) => name === vm);
    const config = owner?.devices?.get(device);
    return config === undefined ? null : (deviceTable.network(config)?.options ?? null);
  }

  /** @throws an error for the user when another running VM has a MAC address of these devices */
  refuseSameMac(vm: string, devices: readonly DeviceConfig[], what?: string): void {
    const running = [...this.#host.vms()].filter(({ alive }) => alive);
    refuseSameMac({ name: vm, nics: vmNics(devices) }, running, what);
  }

  /**
   * The MAC address for a card to attach: the one it asks for, or one that no other card has.
   * @param device validated. @returns null if it is not a network card
   * @throws an error for the user if another running VM uses the address it asks for
   */
  macFor({ name, nics }: Vm, device: DeviceConfig): string | null {
    if (deviceTable.network(device) === null) return null;
    if (typeof device.mac === 'string') {
      const mac = device.mac.toLowerCase();
      const own = nics.find(nic => nic.mac === mac);
      if (own !== undefined)
        throw new Error(`${own.device} of ${name} has the MAC address ${mac} already: choose another`);
      this.refuseSameMac(name, [device], 'does not get the card');
      return mac;
    }
    const taken = new Set([...this.#host.vms()].flatMap(other => other.nics.map(({ mac }) => mac ?? '')));
    return freeMacAddress(name, nics.length, taken);
  }

  close(): void {
    clearInterval(this.#reading);
    this.#networks.close();
  }

  #readAddresses(): void {
    const vms = [...this.#host.vms()].filter(({ nics }) => nics.length > 0);
    if (!vms.some(({ alive }) => alive)) return;
    const known = readGuestAddresses(new HostRoot());
    for (const vm of vms) vm.addressesRead(known);
  }
}
