import type { HostSnapshot } from '../host-service/snapshot.ts';
import { nameFilter } from './filter.ts';
import { wordsOfUse } from './host-use.ts';

/** What every line of a list of the host has. */
export type HostRow = { readonly key: string; readonly address: string | null };

/** What a filter is matched with: address, names, ids, driver, group and use of a function. */
export function searchText(host: HostSnapshot, address: string): string {
  const fn = host.functions.get(address);
  if (fn === undefined) return address;
  return [
    address,
    fn.names.class,
    fn.names.vendor,
    fn.names.device,
    fn.names.subsystem,
    `${fn.vendor}:${fn.device}`,
    fn.driver,
    fn.iommuGroup === null ? null : `group ${fn.iommuGroup}`,
    wordsOfUse(host.use.get(address)),
  ]
    .filter(Boolean)
    .join(' ');
}

/** Which functions a filter lets through. */
export function functionFilter(host: HostSnapshot, filter: string): (address: string) => boolean {
  if (filter === '') return () => true;
  const lets = nameFilter(filter);
  return address => lets(searchText(host, address));
}
