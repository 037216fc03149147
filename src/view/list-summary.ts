import type { HostSnapshot } from '../host-service/snapshot.ts';
import type { AppState } from '../store/app-store.ts';
import { filterOf } from '../store/list-slice.ts';
import type { HostList } from '../store/screens.ts';
import { doctorCounts } from './host-doctor-rows.ts';
import type { HostSelectors } from './host-selectors.ts';

/** The contents of a host list, in a few words; with a filter, how much of it is shown. */
export function hostSummary(state: AppState, select: HostSelectors, list: HostList): string {
  const { host, hostReading } = state;
  if (host === null) return '';
  if (hostReading !== null) return `reading: ${hostReading.read} of ${hostReading.total} functions`;
  const marked = state.marked.size === 0 ? '' : `${state.marked.size} marked, `;
  const filter = filterOf(state, list);
  if (filter === '') return marked + contents(host, list);
  const rows = select.lists[list](state);
  const count = list === 'pci' ? select.matches(state) : rows.length;
  return `${marked}${count} match`;
}

function contents(host: HostSnapshot, list: HostList): string {
  switch (list) {
    case 'pci':
      return counted(host.functions.size, 'function');
    case 'iommu':
      return counted(host.groups.size, 'group');
    case 'sriov': {
      const vfs = [...host.physicalFunctions.values()].reduce((sum, pf) => sum + pf.vfs.length, 0);
      return `${counted(host.physicalFunctions.size, 'PF')}, ${counted(vfs, 'VF')}`;
    }
    case 'vfio':
      return `${host.bound.size} bound`;
    case 'doctor': {
      const { fail, warn } = doctorCounts(host);
      return `${fail} fail, ${warn} warn`;
    }
  }
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
