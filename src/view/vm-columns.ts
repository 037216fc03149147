import type { VmTotals } from '../engine/sampling/rates.ts';
import type { VmInfo, VmState } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import type { SortValue } from '../store/sort.ts';
import type { Column } from './table-columns.ts';

/** @param totals of its last sample; absent while it does not run */
type ValueOf = (vm: VmInfo, totals: VmTotals | undefined) => SortValue;

export type VmColumn = Column & {
  /** What the list is sorted by; absent: not by this column. */
  readonly value?: ValueOf;
};

/** What is under way comes first. */
const STATES: readonly VmState[] = ['running', 'paused', 'starting', 'stopping', 'crashed', 'off'];

const total =
  (key: keyof VmTotals): ValueOf =>
  (_, totals) =>
    totals?.[key] ?? null;

const uptime: ValueOf = vm => (isAlive(vm) && vm.startedAt !== null ? -vm.startedAt : null);

const NUMBER = { align: 'right' } as const;

/** The columns of the list of VMs. */
export const VM_COLUMNS: readonly VmColumn[] = [
  { key: 'flag', title: '', width: 1 },
  { key: 'name', title: 'NAME', width: 14, grow: 1, value: vm => vm.name },
  { key: 'state', title: 'STATE', width: 8, value: vm => STATES.indexOf(vm.state) },
  { key: 'vcpus', title: 'CPUS', width: 4, ...NUMBER, priority: 3, value: vm => vm.vcpus },
  { key: 'memory', title: 'MEM', width: 6, ...NUMBER, priority: 3, value: vm => vm.memoryBytes },
  { key: 'cpu', title: 'CPU%', width: 6, ...NUMBER, value: total('cpu') },
  { key: 'exits', title: 'EXITS/s', width: 7, ...NUMBER, value: total('exits') },
  { key: 'read', title: 'READ/s', width: 7, ...NUMBER, priority: 2, value: total('diskReadBytes') },
  { key: 'write', title: 'WRITE/s', width: 7, ...NUMBER, priority: 2, value: total('diskWriteBytes') },
  { key: 'requests', title: 'REQ/s', width: 7, ...NUMBER, priority: 1, value: total('requests') },
  { key: 'kicks', title: 'KICKS/s', width: 7, ...NUMBER, priority: 5, value: total('kicks') },
  { key: 'interrupts', title: 'IRQ/s', width: 7, ...NUMBER, priority: 5, value: total('interrupts') },
  { key: 'uptime', title: 'UP', width: 7, ...NUMBER, priority: 4, value: uptime },
  { key: 'history', title: 'CPU', width: 16, priority: 6, grow: 1 },
];

/** What VMs are sorted by; null when there is no such column. */
export function vmValue(column: string): ValueOf | null {
  return VM_COLUMNS.find(({ key }) => key === column)?.value ?? null;
}
