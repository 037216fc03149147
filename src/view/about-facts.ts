import { nicText } from '../engine/networks/vm-nics.ts';
import { isAlive, isUnsafe, UNSAFE, type VmInfo } from '../engine/vm-info.ts';
import { bytes } from '../text/units.ts';
import { wrap } from '../text/width.ts';
import { balloonOf, balloonText } from './balloon-facts.ts';
import { layerLines, processText, vncText } from './confinement-facts.ts';
import { guestText, pinningText, vcpusText } from './vm-facts.ts';

export type AboutFact = { readonly name: string; readonly lines: readonly string[] };

/** Width of the names of facts, in cells. */
export const ABOUT_NAME_CELLS = 11;
/** Blank cells on the left and right. */
const MARGINS = 2;

/** Facts about a VM, wrapped to the given number of columns. */
export function aboutFacts(vm: VmInfo, columns: number): AboutFact[] {
  const fact = (name: string, text: string): AboutFact => ({
    name,
    lines: wrap(text, columns - MARGINS - ABOUT_NAME_CELLS),
  });
  const balloon = isAlive(vm) ? balloonOf(vm) : null;
  const pinned = pinningText(vm.topology);
  const runsIn = processText(vm);
  const vnc = vncText(vm);
  const layers = layerLines(vm.confinement).flatMap(line => fact('', line).lines);
  return [
    fact('Name', vm.name),
    fact('State', vm.reason === null ? vm.state : `${vm.state}: ${vm.reason}`),
    ...(isUnsafe(vm) ? [fact('Isolation', UNSAFE)] : []),
    ...(vm.hostDevices ?? []).map(({ device, address }, index) =>
      fact(index === 0 ? 'PCI devices' : '', `${device}: ${address} of the host`),
    ),
    ...(vm.nics ?? []).map(nic => fact(nic.device, nicText(nic))),
    ...(vm.exitCode === null ? [] : [fact('Exit code', String(vm.exitCode))]),
    fact('vCPUs', vcpusText(vm)),
    ...(pinned === '' ? [] : [fact('Pinned', pinned)]),
    fact('Memory', bytes(vm.memoryBytes)),
    ...(balloon === null ? [] : [fact('Balloon', balloonText(balloon))]),
    ...guestFacts(vm).map((text, index) => fact(index === 0 ? 'Guest' : '', text)),
    fact('Definition', definitionText(vm)),
    ...vm.blockers.map((blocker, index) => fact(index === 0 ? 'Blocked by' : '', blocker)),
    ...(vm.autostart ? [fact('Autostart', 'on: started with vring serve')] : []),
    fact('Started', vm.startedAt === null ? 'never' : new Date(vm.startedAt).toISOString()),
    ...(runsIn === null ? [] : [fact('Process', runsIn)]),
    ...(layers.length === 0 ? [] : [{ name: 'Layers', lines: layers }]),
    ...(vnc === null ? [] : [fact('VNC', vnc)]),
    ...Object.entries(vm.broken).map(([device, reason]) => fact(device, `broken: ${reason}`)),
    ...Object.entries(vm.diskErrors ?? {}).map(([device, text]) => fact(device, text)),
  ];
}

/** The agent's facts about the guest. */
function guestFacts({ guest }: VmInfo): string[] {
  if (guest === undefined) return [];
  const { kernel, interfaces, filesystems, users } = guest;
  return [
    `${guestText(guest)}${kernel === null ? '' : ` (${kernel})`}`,
    ...interfaces
      .filter(({ addresses }) => addresses.length > 0)
      .map(({ name, addresses }) => `${name}: ${addresses.join(', ')}`),
    ...filesystems.flatMap(({ mountpoint, total, used }) =>
      total === null || used === null ? [] : [`${mountpoint}: ${bytes(used)} of ${bytes(total)} used`],
    ),
    ...(users.length === 0 ? [] : [`logged in: ${users.join(', ')}`]),
  ];
}

function definitionText({ problem, defined, blockers }: VmInfo): string {
  if (problem !== null) return `not valid: ${problem}`;
  if (!defined) return 'none: the VM is lost when it is deleted';
  return blockers.length === 0 ? 'valid' : 'valid, but the VM cannot start';
}

/** Height in lines of the facts, the detail and the device tables, each preceded by a blank line. */
export function aboutHeight(vm: VmInfo, columns: number): number {
  const table = (rows: number) => (rows === 0 ? 0 : rows + 2);
  const facts = aboutFacts(vm, columns).reduce((sum, { lines }) => sum + lines.length, 0);
  const detail = vm.detail === null ? 0 : vm.detail.split('\n').length + 1;
  return facts + detail + table(vm.topology?.queues.length ?? 0) + table(vm.topology?.regions.length ?? 0);
}
