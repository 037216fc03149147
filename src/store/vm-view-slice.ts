import type { Screen } from './screens.ts';
import type { SliceCreator } from './slice.ts';

/** The tabs of a VM's screen, in the order of their number keys. */
export const VM_TABS = [
  'summary',
  'vcpus',
  'exits',
  'queues',
  'disks',
  'networks',
  'devices',
  'console',
  'events',
  'snapshots',
] as const;
export type VmTab = (typeof VM_TABS)[number];

/** The orders of a guest's accessed addresses: by time cost, by frequency, by address. */
export const ADDRESS_ORDERS = ['cost', 'rate', 'address'] as const;
export type AddressOrder = (typeof ADDRESS_ORDERS)[number];

/** The view of one VM's screen. */
export type VmView = {
  readonly tab: VmTab;
  /** Row of the cursor in each tab. The console's counts lines back from its end. */
  readonly cursors: Readonly<Record<Exclude<VmTab, 'summary' | 'events'>, number>>;
  /** Number of the log entry under the cursor of the events; null to follow the last one. */
  readonly event: number | null;
  readonly addressOrder: AddressOrder;
  /** The chosen console, by its number in the topology, or SCREEN_PORT; null if none is chosen yet. */
  readonly port: number | null;
};

/** Stands for the VM's screen among its consoles. */
export const SCREEN_PORT = -1;

/** The initial view. */
export const FIRST_VIEW: VmView = {
  tab: 'summary',
  cursors: { vcpus: 0, exits: 0, queues: 0, disks: 0, networks: 0, devices: 0, console: 0, snapshots: 0 },
  event: null,
  addressOrder: 'cost',
  port: null,
};

export type VmViewSlice = {
  /** By VM, while its screen is open; default: the initial view. */
  readonly vmViews: Readonly<Record<string, VmView>>;
  changeVmView(id: string, change: Partial<VmView>): void;
};

export const createVmViewSlice: SliceCreator<VmViewSlice> = set => ({
  vmViews: {},
  changeVmView: (id, change) =>
    set(state => ({ vmViews: { ...state.vmViews, [id]: { ...vmViewOf(state, id), ...change } } })),
});

export function vmViewOf({ vmViews }: VmViewSlice, id: string): VmView {
  return vmViews[id] ?? FIRST_VIEW;
}

/** The views of the VMs whose screens are open. */
export function openViews(views: VmViewSlice['vmViews'], screens: readonly Screen[]): VmViewSlice['vmViews'] {
  const open = new Set(screens.map(screen => (screen.kind === 'vm' ? screen.id : null)));
  return Object.fromEntries(Object.entries(views).filter(([id]) => open.has(id)));
}
