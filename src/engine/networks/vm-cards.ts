import { isDeepStrictEqual } from 'node:util';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { VmAgent } from '../guest-agent/vm-agent.ts';
import type { GuestAddresses } from './guest-addresses.ts';
import { type VmNic, vmNics } from './vm-nics.ts';

/** What is known of the network cards of one VM. */
export class VmCards {
  /** Of a configuration, which is another one after each change. */
  #last: { readonly config: MachineConfig; readonly nics: readonly VmNic[] } | null = null;
  /** What the host knows of the guest's addresses, by card. */
  #addresses: ReadonlyMap<string, readonly string[]> = new Map();

  /** The cards of a machine. */
  of(config: MachineConfig): readonly VmNic[] {
    if (this.#last?.config !== config) this.#last = { config, nics: vmNics(config.devices) };
    return this.#last.nics;
  }

  /** The host has looked for addresses. @param nics those of a VM that runs. @returns whether others are known now */
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

  /** The cards with their addresses: what the guest's agent says, else what the host knows. */
  withAddresses(nics: readonly VmNic[], agent: Pick<VmAgent, 'addressesOf'>): readonly VmNic[] {
    return nics.map(nic => {
      const told = agent.addressesOf(nic.mac);
      const addresses = told.length > 0 ? told : this.#addresses.get(nic.device);
      return addresses === undefined ? nic : { ...nic, addresses };
    });
  }
}
