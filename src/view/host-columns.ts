import type { NextBoot } from '../host/boot/next-boot.ts';
import type { Finding } from '../host/doctor/finding.ts';
import type { IommuGroup } from '../host/iommu/groups.ts';
import type { PciSummary } from '../host/pci/function.ts';
import { holderText } from '../host/use/holders.ts';
import type { FunctionUse } from '../host/use/use.ts';
import { isParkingDriver, type VfioDevice } from '../host/vfio/read.ts';
import type { SortValue } from '../store/sort.ts';
import type { Token } from '../theme/tokens.ts';
import { type DeviceOwner, type HostView, ownersText } from './device-owners.ts';
import { classWord } from './host-class-words.ts';
import type { DoctorRow, GroupRow, HostRow, Listed } from './host-rows.ts';
import { changesHands, isInUse, wordsOfUse } from './host-use.ts';
import type { Cell, Field, ListColumn } from './list-columns.ts';

type Column = ListColumn<Listed<HostRow>>;

const NUMBER = { align: 'right' } as const;
const MARK: Column = { key: 'mark', title: '', min: 1 };

/** A column's text for functions; empty in other rows. */
function ofFunction(show: (fn: PciSummary, host: HostView) => Cell): (listed: Listed<HostRow>) => Cell {
  return ({ host, row }) => {
    const fn = host.functions.get(row.address ?? '');
    return fn === undefined ? '' : show(fn, host);
  };
}

function valueOfFunction(
  value: (fn: PciSummary, host: HostView) => SortValue,
): (listed: Listed<HostRow>) => SortValue {
  return ({ host, row }) => {
    const fn = host.functions.get(row.address ?? '');
    return fn === undefined ? null : value(fn, host);
  };
}

/** In full, so that a filter finds it with and without the domain. */
export const ADDRESS: Column = {
  key: 'address',
  names: ['bdf', 'addr', 'function'],
  title: 'ADDRESS',
  min: 12,
  cut: 'never',
  letter: 'a',
  cell: ({ row }) => row.address ?? '',
  value: ({ row }) => row.address,
};

const KIND: Column = {
  key: 'kind',
  names: ['class'],
  title: 'KIND',
  min: 7,
  priority: 2,
  letter: 'k',
  cell: ofFunction(fn => classWord(fn.class)),
  value: valueOfFunction(fn => classWord(fn.class)),
};

const DEVICE: Column = {
  key: 'device',
  names: ['name'],
  title: 'DEVICE',
  min: 14,
  ideal: 28,
  grow: 3,
  cut: 'middle',
  letter: 'n',
  cell: ofFunction(deviceName),
  value: valueOfFunction(deviceName),
};

export const DRIVER: Column = {
  key: 'driver',
  title: 'DRIVER',
  min: 10,
  ideal: 12,
  cut: 'middle',
  letter: 'd',
  cell: ofFunction(fn => driverCell(fn.driver)),
  value: valueOfFunction(fn => fn.driver),
};

export const GROUP: Column = {
  key: 'group',
  names: ['grp'],
  title: 'GRP',
  min: 4,
  ...NUMBER,
  priority: 3,
  letter: 'g',
  unit: 'count',
  cell: ofFunction(fn => (fn.iommuGroup === null ? '-' : String(fn.iommuGroup))),
  value: valueOfFunction(fn => fn.iommuGroup),
};

export const USE: Column = {
  key: 'use',
  names: ['host'],
  title: 'HOST USE',
  min: 14,
  ideal: 20,
  grow: 2,
  priority: 1,
  letter: 'u',
  cell: ofFunction((fn, host) => hostUseCell(host.use.get(fn.address), fn.virtualFunctions.length)),
  value: valueOfFunction((fn, host) => wordsOfUse(host.use.get(fn.address)) || null),
};

/** The VM that has a function, or takes it at its next start. Shown only if there is one. */
export const OWNER: Column = {
  key: 'vm',
  names: ['owner', 'guest'],
  title: 'VM',
  min: 7,
  ideal: 14,
  cut: 'middle',
  letter: 'w',
  cell: ({ host, row }) => ownerCell(host.owners.get(row.address ?? '')),
  value: ({ host, row }) => host.owners.get(row.address ?? '')?.[0]?.vm ?? null,
};

function ownerCell(owners: readonly DeviceOwner[] = []): Cell {
  if (owners.length === 0) return '';
  const text = ownersText(owners);
  if (owners.some(({ noIommu }) => noIommu)) return { text, token: 'status.error' };
  return { text, token: owners.some(({ has }) => has) ? 'text.accent' : 'text.secondary' };
}

/** Fields for filters beyond the columns. */
export const FUNCTION_FIELDS: readonly Field<Listed<HostRow>>[] = [
  { key: 'id', cell: ofFunction(fn => `${fn.vendor}:${fn.device}`) },
  { key: 'vendor', cell: ofFunction(fn => fn.names.vendor ?? '') },
  { key: 'subsystem', cell: ofFunction(fn => fn.names.subsystem ?? '') },
  { key: 'type', cell: ofFunction(fn => fn.names.class ?? '') },
  { key: 'iommu', cell: ofFunction(fn => (fn.iommuGroup === null ? '' : `group ${fn.iommuGroup}`)) },
];

export const PCI_COLUMNS: readonly Column[] = [MARK, ADDRESS, KIND, DEVICE, DRIVER, OWNER, GROUP, USE];

export const IOMMU_COLUMNS: readonly ListColumn<Listed<GroupRow>>[] = [
  MARK,
  {
    ...GROUP,
    min: 6,
    priority: 0,
    cell: ({ row }) => String(row.group),
    value: ({ row }) => row.group,
  },
  // A member may be on another bus: it then has a name instead of an address.
  { ...ADDRESS, cell: ({ row }) => row.name, value: ({ row }) => row.name },
  KIND,
  DEVICE,
  DRIVER,
  OWNER as ListColumn<Listed<GroupRow>>,
  {
    key: 'isolation',
    title: 'ISOLATION',
    min: 9,
    priority: 1,
    letter: 'i',
    cell: ({ host, row }) => isolationCell(host.groups.get(row.group)),
    value: ({ host, row }) => sizeOf(host.groups.get(row.group)),
    unit: 'count',
  },
  { ...USE, min: 12, priority: 3 },
];

export const VFIO_COLUMNS: readonly Column[] = [
  MARK,
  ADDRESS,
  DEVICE,
  { ...DRIVER, key: 'now', names: ['driver'], title: 'NOW' },
  OWNER,
  {
    key: 'boot',
    names: ['next'],
    title: 'NEXT BOOT',
    min: 9,
    ideal: 10,
    cut: 'middle',
    letter: 'b',
    cell: ofFunction((fn, host) => nextBootCell(fn, host.nextBoot.get(fn.address))),
    value: valueOfFunction((fn, host) => host.nextBoot.get(fn.address)?.driver ?? null),
  },
  GROUP,
  {
    key: 'node',
    title: 'NODE',
    min: 12,
    ideal: 13,
    priority: 2,
    cut: 'middle',
    cell: ofFunction((fn, host) => nodeCell(host.bound.get(fn.address))),
    value: valueOfFunction((fn, host) => host.bound.get(fn.address)?.groupNode?.path ?? null),
  },
  {
    ...USE,
    names: ['host', 'holder', 'held'],
    title: 'HELD BY / USE',
    priority: 1,
    cell: ofFunction((fn, host) => {
      // The VM's process is shown as the VM.
      const owned = host.owners.get(fn.address)?.some(({ has }) => has) ?? false;
      const holders = owned ? [] : (host.bound.get(fn.address)?.holders ?? []);
      return holders.length === 0
        ? hostUseCell(host.use.get(fn.address))
        : { text: holders.map(holderText).join(', '), token: 'status.warning' };
    }),
  },
];

/** The reason and the fix can be searched, too. */
export const DOCTOR_FIELDS: readonly Field<Listed<DoctorRow>>[] = [
  { key: 'id', cell: ({ row }) => row.finding.id },
  { key: 'why', cell: ({ row }) => row.finding.why },
];

const FINDING_TOKENS: Readonly<Record<Finding['state'], Token>> = {
  ok: 'status.ok',
  warn: 'status.warning',
  fail: 'status.error',
  info: 'text.secondary',
};

export function findingCell({ state }: Finding): Exclude<Cell, string> {
  return { text: state, token: FINDING_TOKENS[state] };
}

/** Findings that need action come first. */
export const FINDING_ORDER: readonly Finding['state'][] = ['fail', 'warn', 'ok', 'info'];

export const DOCTOR_COLUMNS: readonly ListColumn<Listed<DoctorRow>>[] = [
  {
    key: 'state',
    title: 'STATE',
    min: 5,
    letter: 's',
    cell: ({ row }) => findingCell(row.finding),
    value: ({ row }) => FINDING_ORDER.indexOf(row.finding.state),
  },
  {
    key: 'area',
    title: 'AREA',
    min: 9,
    letter: 'a',
    cell: ({ row }) => row.finding.area,
    value: ({ row }) => row.finding.area,
  },
  {
    key: 'title',
    names: ['finding'],
    title: 'FINDING',
    min: 20,
    grow: 1,
    letter: 'f',
    cell: ({ row }) => row.finding.title,
    value: ({ row }) => row.finding.title,
  },
];

export function deviceName(fn: PciSummary): string {
  return fn.names.device ?? `${fn.vendor}:${fn.device}`;
}

export function driverCell(driver: string | null): Cell {
  if (driver === null) return { text: '-', token: 'text.secondary' };
  return isParkingDriver(driver) ? { text: driver, token: 'text.accent' } : driver;
}

/** How the host uses a function, and how many VFs it has; a warning if the host depends on it. */
export function hostUseCell(use: FunctionUse | undefined, vfs = 0): Cell {
  const text = [wordsOfUse(use), vfs === 0 ? '' : `${vfs} VF${vfs === 1 ? '' : 's'}`]
    .filter(Boolean)
    .join(', ');
  return isInUse(use) ? { text, token: 'status.warning' } : text;
}

function sizeOf(group: IommuGroup | undefined): number {
  return group === undefined ? 0 : group.members.length + group.others.length;
}

function isolationCell(group: IommuGroup | undefined): Cell {
  if (group === undefined) return '';
  if (group.override !== null) return { text: 'not real', token: 'status.error' };
  const count = sizeOf(group);
  return count === 1 ? 'alone' : { text: `${count} share`, token: 'status.warning' };
}

function nextBootCell(fn: PciSummary, next: NextBoot | undefined): Cell {
  // A change in the number of VFs is shown with the PF's.
  if (next === undefined || !changesHands(fn, next)) return '';
  const text = next.driver ?? (fn.physicalFunction === null ? 'host' : 'gone');
  if (next.problems.length > 0) return { text: `${text} ?`, token: 'status.error' };
  return next.drift === null ? text : { text: `${text} !`, token: 'status.warning' };
}

function nodeCell(bound: VfioDevice | undefined): Cell {
  if (bound === undefined) return '';
  const node = bound.groupNode ?? bound.deviceNode;
  if (node === null) return { text: 'no node', token: 'status.error' };
  return node.usable ? node.path : { text: `${node.path} !`, token: 'status.warning' };
}
