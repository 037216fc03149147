import type { VmInfo } from '../../engine/vm-info.ts';
import {
  cannotStart,
  deviceTroubles,
  isAlive,
  isUnsafe,
  otherVersion,
  stateWord,
  UNSAFE,
} from '../../engine/vm-info.ts';
import { version } from '../../project-root.ts';
import { printable } from '../../text/printable.ts';
import { bytes, uptime } from '../../text/units.ts';
import { describeTask } from '../../view/vm-task.ts';
import { outputWidth, print } from '../host/host-options.ts';
import { type Column, tableLines } from '../host/table.ts';
import { vmFacts } from './vm-json.ts';
import type { VmList } from './vm-list.ts';

export function listVms(vmList: Pick<VmList, 'vms'>, options: { readonly json?: boolean }): void {
  const vms = [...vmList.vms()].sort((a, b) => (a.name < b.name ? -1 : 1));
  print(options, { vms: vms.map(vmFacts) }, () => vmTable(vms, outputWidth(), Date.now()));
}

function vmTable(vms: readonly VmInfo[], cells: number, now: number): string[] {
  if (vms.length === 0) return ['no VMs yet; create one with vring vm create'];
  const columns: Column<VmInfo>[] = [
    { title: 'NAME', text: vm => vm.name, least: 8 },
    { title: 'STATE', text: stateWord },
    { title: 'VCPUS', text: vm => (vm.vcpus > 0 ? String(vm.vcpus) : '-'), align: 'right' },
    { title: 'MEMORY', text: vm => (vm.memoryBytes > 0 ? bytes(vm.memoryBytes) : '-'), align: 'right' },
    {
      title: 'UP',
      text: vm => (isAlive(vm) && vm.startedAt !== null ? uptime(now - vm.startedAt) : ''),
      align: 'right',
      rank: 1,
    },
    { title: 'ADDRESS', text: addresses, least: 15, rank: 2 },
    { title: 'AUTOSTART', text: vm => (vm.autostart ? 'yes' : ''), rank: 3 },
    { title: 'NOTE', text: note, least: 12, rank: 2 },
  ];
  return tableLines(vms, columns, cells);
}

/** The guest's known addresses, one for each network card. */
function addresses({ nics = [] }: VmInfo): string {
  return nics.flatMap(({ addresses: [first] = [] }) => first ?? []).join(' ');
}

const TASKS: Readonly<Record<NonNullable<VmInfo['task']>['kind'], string>> = {
  snapshot: 'snapshot',
  save: 'save',
  restore: 'restore',
  migrate: 'migration to another host',
  receive: 'migration to this host',
};

/** The most important thing to know about a VM. */
function note(vm: VmInfo): string {
  if (isUnsafe(vm)) return UNSAFE;
  if (vm.task !== undefined) return printable(`${TASKS[vm.task.kind]}: ${describeTask(vm.task)}`);
  const obstacle = cannotStart(vm);
  if (obstacle !== null) return printable(`cannot start: ${obstacle}`);
  const [trouble] = deviceTroubles(vm);
  if (trouble !== undefined) return printable(trouble);
  if (vm.reason !== null) return printable(vm.reason);
  const other = otherVersion(vm, version());
  if (other !== null) return printable(`runs vring ${other}: vring vm upgrade ${vm.name}`);
  return vm.defined ? '' : 'no definition';
}
