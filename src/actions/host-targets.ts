import { classTraits } from '../host/pci/class.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { shownList } from '../store/ui-slice.ts';
import type { ActionContext } from './action.ts';

/** Screens on which a function can be what a command is for. */
export const FUNCTION_SCREENS = ['pci', 'iommu', 'sriov', 'vfio', 'function'] as const;

export const NO_FUNCTION = 'there is no function here';

/** What of the host a command is for, once it has been read. */
export function targetsOf({
  ui,
  state,
}: ActionContext): { host: HostSnapshot; addresses: readonly string[] } | null {
  const { host } = state;
  const addresses = ui.hostSelect.targets(state).filter(address => host?.functions.has(address));
  return host === null || addresses.length === 0 ? null : { host, addresses };
}

/** Why functions stay with the host, about the first bridge among them; null: there is none. */
export function bridgeAmong({ host, addresses }: NonNullable<ReturnType<typeof targetsOf>>): string | null {
  const bridge = addresses.find(address => classTraits(host.functions.get(address)!.class).pciBridge);
  return bridge === undefined ? null : `${bridge} is a bridge, which stays with the host`;
}

/** A group goes as a whole where groups are what is looked at. */
export function wholeGroup({ state }: ActionContext): boolean {
  return shownList(state) === 'iommu';
}
