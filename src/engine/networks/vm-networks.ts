import type { NetworkDefinition } from '../../host/networks/definition.ts';
import type { ChangeLock } from '../../host/plan/change-lock.ts';
import { HostRoot } from '../../host/root.ts';
import type { Vm } from '../vm.ts';
import { isAlive, type LogEntry, type VmInfo } from '../vm-info.ts';
import { readGuestAddresses } from './guest-addresses.ts';
import { HostNetworks } from './host-networks.ts';
import { macvtapName, removeMacvtap } from './macvtap.ts';

export type VmNetworksHost = {
  vms(): Iterable<Vm>;
  note(level: LogEntry['level'], text: string, vm: string | null): void;
};

/** How often the addresses of guests are read. */
const ADDRESSES_MS = 2000;

/** The networks of an engine's VMs: those of vring on this host, what guests' addresses are, and what goes with a network card. */
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

  /** Brings a network up, unless it is. @throws NetworkError */
  bringUp(name: string): Promise<NetworkDefinition> {
    return this.#networks.bringUp(name);
  }

  async bringAllUp(): Promise<void> {
    await this.#networks.bringAllUp();
  }

  /** A VM is as `info` says now: what it had of the host's, and has no more, is removed. */
  follow(before: VmInfo | null, info: VmInfo): void {
    if (before === null || !isAlive(before)) return;
    const has = new Set(isAlive(info) ? (info.nics ?? []).map(({ device }) => device) : []);
    for (const { device, network } of before.nics ?? []) {
      if (network.type !== 'macvtap' || has.has(device)) continue;
      removeMacvtap(macvtapName(info.name, device)).catch((error: Error) =>
        this.#host.note('warning', `${device}: ${error.message}`, info.name),
      );
    }
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
