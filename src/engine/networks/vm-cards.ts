import { isDeepStrictEqual } from 'node:util';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { VmAgent } from '../guest-agent/vm-agent.ts';
import type { GuestAddresses } from './guest-addresses.ts';
import { type VmNic, vmNics } from './vm-nics.ts';

/** What is known about the network cards of one VM. */
export class VmCards {
  /** Cached by configuration: each change makes a new object. */
  #last: { readonly config: MachineConfig; readonly nics: readonly VmNic[] } | null = null;
  /** The guest addresses known to the host, by card. */
  #addresses: ReadonlyMap<string, readonly string[]> = new Map();

  /** The cards of a machine. */
  of(config: MachineConfig): readonly VmNic[] {
    if (this.#last?.config !== config) this.#last = { config, nics: vmNics(config.devices) };
    return this.#last.nics;
  }

  /** Takes the addresses found on the host. @param nics of a running VM. @returns whether any changed */
  read(nics: readonly VmNic[], known: GuestAddresses): boolean {
    const own = new Map(
      nics.flatMap(({ device, mac }) => {
        const addresses = mac === null ? undefined : known.get(mac);
        return addresses === undefined ? [] : [[device, addresses] as const];
      }),
    );
    if (isDeepStrictEqual(own, this.#addresses)) return false;
    this.#addresses = own;
    return true;
  }

  /** The cards with their addresses: from the guest's agent, else from the host. */
  withAddresses(nics: readonly VmNic[], agent: Pick<VmAgent, 'addressesOf'>): readonly VmNic[] {
    return nics.map(nic => {
      const reported = agent.addressesOf(nic.mac);
      const addresses = reported.length > 0 ? reported : this.#addresses.get(nic.device);
      return addresses === undefined ? nic : { ...nic, addresses };
    });
  }
}
