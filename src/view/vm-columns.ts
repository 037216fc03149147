import { guestAddresses } from '../engine/networks/vm-nics.ts';
import type { VmTotals } from '../engine/sampling/rates.ts';
import { cannotStart, isAlive, isUnsafe, stateWord, type VmInfo, type VmState } from '../engine/vm-info.ts';
import type { AppState } from '../store/app-store.ts';
import type { SortValue } from '../store/sort.ts';
import { own } from '../text/own.ts';
import { bytes, percent, rate, type Unit, uptime } from '../text/units.ts';
import { stateToken } from '../theme/state-token.ts';
import type { Cell, ListColumn } from './list-columns.ts';
import { taskWord } from './vm-task.ts';

/** A row of the list of VMs. */
export type VmListed = {
  readonly vm: VmInfo;
  /** From its last sample; undefined while it does not run. */
  readonly totals: VmTotals | undefined;
  /** Milliseconds since 1970 of the last sample; 0 before the first. */
  readonly now: number;
};
export type VmColumn = ListColumn<VmListed>;

export function vmListed(state: AppState, id: string): VmListed {
  return { vm: state.infos[id]!, totals: own(state.totals, id), now: state.sampledAt };
}

/** All states in list order: active ones come first. */
export const VM_STATES: readonly VmState[] = [
  'running',
  'paused',
  'suspended',
  'starting',
  'stopping',
  'stuck',
  'crashed',
  'off',
];

/** A column for a total in the sample. */
function total(
  key: keyof VmTotals,
  unit: Unit,
  text: (value: number) => string,
): Pick<VmColumn, 'align' | 'cell' | 'value' | 'unit'> {
  return {
    align: 'right',
    unit,
    cell: ({ totals }) => (totals === undefined ? '' : text(totals[key])),
    value: ({ totals }) => totals?.[key] ?? null,
  };
}

/** Nothing is known of a definition that can't be read. */
const known = (value: number): SortValue => (value === 0 ? null : value);

/** Whether it cannot start, else whether it starts with the manager. */
function flagCell({ vm }: VmListed): Cell {
  if (cannotStart(vm) !== null) return { text: '!', token: 'status.error' };
  return vm.autostart ? 'a' : '';
}

/** How long a VM had been running at the last sample, in milliseconds; null if it is not running. */
export function uptimeOf({ vm, now }: Pick<VmListed, 'vm' | 'now'>): number | null {
  return vm.startedAt === null || !isAlive(vm) || now === 0 ? null : now - vm.startedAt;
}

export const VM_NAME: VmColumn = {
  key: 'name',
  names: ['vm'],
  title: 'NAME',
  min: 16,
  ideal: 24,
  grow: 2,
  cut: 'middle',
  letter: 'n',
  cell: ({ vm }) => (isUnsafe(vm) ? { text: `${vm.name} (UNSAFE)`, token: 'status.error' } : vm.name),
  value: ({ vm }) => vm.name,
};
export const VM_CPU: VmColumn = {
  key: 'cpu',
  names: ['cpu%'],
  title: 'CPU%',
  min: 6,
  letter: 'c',
  ...total('cpu', 'share', percent),
};
export const VM_EXITS: VmColumn = {
  key: 'exits',
  title: 'EXITS/s',
  min: 7,
  letter: 'e',
  ...total('exits', 'count', rate),
};
export const VM_READ: VmColumn = {
  key: 'read',
  title: 'READ/s',
  min: 7,
  priority: 3,
  letter: 'r',
  ...total('diskReadBytes', 'bytes', bytes),
};
export const VM_WRITE: VmColumn = {
  key: 'write',
  title: 'WRITE/s',
  min: 7,
  priority: 3,
  letter: 'w',
  ...total('diskWriteBytes', 'bytes', bytes),
};
export const VM_REQUESTS: VmColumn = {
  key: 'requests',
  names: ['req', 'io'],
  title: 'REQ/s',
  min: 7,
  priority: 2,
  letter: 'q',
  ...total('requests', 'count', rate),
};

/** The columns of the list of VMs. */
export const VM_COLUMNS: readonly VmColumn[] = [
  { key: 'flag', title: '', min: 1, cell: flagCell },
  VM_NAME,
  {
    key: 'state',
    names: ['status'],
    title: 'STATE',
    min: 8,
    letter: 's',
    cell: ({ vm }) =>
      vm.task === undefined
        ? { text: stateWord(vm), token: stateToken(stateWord(vm)) }
        : { text: taskWord(vm.task), token: 'status.warning' },
    value: ({ vm }) => VM_STATES.indexOf(vm.state),
  },
  {
    key: 'cpus',
    names: ['vcpus', 'vcpu'],
    title: 'CPUS',
    min: 4,
    align: 'right',
    priority: 5,
    letter: 'v',
    unit: 'count',
    cell: ({ vm }) => (vm.vcpus === 0 ? '' : String(vm.vcpus)),
    value: ({ vm }) => known(vm.vcpus),
  },
  {
    key: 'mem',
    names: ['memory'],
    title: 'MEM',
    min: 5,
    align: 'right',
    priority: 5,
    letter: 'm',
    unit: 'bytes',
    cell: ({ vm }) => (vm.memoryBytes === 0 ? '' : bytes(vm.memoryBytes)),
    value: ({ vm }) => known(vm.memoryBytes),
  },
  VM_CPU,
  VM_EXITS,
  VM_READ,
  VM_WRITE,
  VM_REQUESTS,
  {
    key: 'kicks',
    title: 'KICKS/s',
    min: 7,
    priority: 7,
    letter: 'k',
    ...total('kicks', 'count', rate),
  },
  {
    key: 'irqs',
    names: ['irq', 'interrupts'],
    title: 'IRQ/s',
    min: 7,
    priority: 7,
    letter: 'i',
    ...total('interrupts', 'count', rate),
  },
  {
    key: 'up',
    names: ['uptime', 'age'],
    title: 'UP',
    min: 7,
    align: 'right',
    priority: 6,
    letter: 'a',
    unit: 'milliseconds',
    cell: listed => {
      const ms = uptimeOf(listed);
      return ms === null ? '' : uptime(ms);
    },
    value: uptimeOf,
  },
  {
    key: 'address',
    names: ['ip', 'addr'],
    title: 'ADDRESS',
    min: 15,
    priority: 6,
    cut: 'never',
    letter: 'd',
    cell: ({ vm }) => guestAddresses(vm)[0] ?? '',
    value: ({ vm }) => guestAddresses(vm)[0] ?? null,
  },
  // Its cell is a graph, drawn with the terminal's glyphs.
  { key: 'history', title: 'CPU 0-100%', min: 24, priority: 8, grow: 1 },
];
