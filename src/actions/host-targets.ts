import { classTraits } from '../host/pci/class.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { shownList } from '../store/ui-slice.ts';
import type { ActionContext } from './action.ts';

/** Screens on which commands can apply to functions. */
export const FUNCTION_SCREENS = ['pci', 'iommu', 'sriov', 'vfio', 'function'] as const;

export const NO_FUNCTION = 'there is no function here';

/** The functions that a command applies to; null until the host has been read. */
export function targetsOf({
  ui,
  state,
}: ActionContext): { host: HostSnapshot; addresses: readonly string[] } | null {
  const { host } = state;
  const addresses = ui.hostSelect.targets(state).filter(address => host?.functions.has(address));
  return host === null || addresses.length === 0 ? null : { host, addresses };
}

/** Why functions must stay with the host, because of the first bridge among them; null if there is none. */
export function bridgeAmong({ host, addresses }: NonNullable<ReturnType<typeof targetsOf>>): string | null {
  const bridge = addresses.find(address => classTraits(host.functions.get(address)!.class).pciBridge);
  return bridge === undefined ? null : `${bridge} is a bridge, which stays with the host`;
}

/** On the list of groups, a command applies to the whole group. */
export function wholeGroup({ state }: ActionContext): boolean {
  return shownList(state) === 'iommu';
}
