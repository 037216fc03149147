import { nicText } from '../../engine/networks/vm-nics.ts';
import type { VmInfo } from '../../engine/vm-info.ts';
import { isAlive, otherVersion, stateWord } from '../../engine/vm-info.ts';
import { version } from '../../project-root.ts';
import { printError } from '../../text/output.ts';
import { printable, printableLines } from '../../text/printable.ts';
import { bytes } from '../../text/units.ts';
import { balloonOf, balloonText } from '../../view/balloon-facts.ts';
import { layerLines, processText, vncText } from '../../view/confinement-facts.ts';
import { isAsDefined } from '../../view/device-rows.ts';
import { guestText, pinningText, vcpusText } from '../../view/vm-facts.ts';
import type { Topology } from '../../vmm/machine/topology.ts';
import { outputWidth, print } from '../host/host-options.ts';
import { paragraph } from '../host/paragraph.ts';
import { tableLines } from '../host/table.ts';
import { findVm } from './find.ts';
import { vmFacts } from './vm-json.ts';
import type { VmList } from './vm-list.ts';

const LABEL_CELLS = 12;

/** @returns the exit status: 1 if a name is unknown; the others are shown */
export function showVms(
  vmList: Pick<VmList, 'vms'>,
  names: readonly string[],
  options: { readonly json?: boolean },
): number {
  const vms = names.flatMap(name => {
    try {
      return [findVm(vmList.vms(), name)];
    } catch (error) {
      printError(`vring: ${(error as Error).message}`);
      return [];
    }
  });
  if (vms.length > 0 || options.json) {
    const json = (vm: VmInfo) => ({
      ...vmFacts(vm),
      devices: devices(vm.topology),
      definedDevices: definedDevices(vm),
    });
    print(options, { vms: vms.map(json) }, () =>
      vms.flatMap((vm, index) => [...(index > 0 ? [''] : []), ...vmLines(vm, outputWidth())]),
    );
  }
  return vms.length === names.length ? 0 : 1;
}

/** The machine's devices as of its last start; null before the first one. */
function devices(topology: Topology | null): object | null {
  if (topology === null) return null;
  const { queues, regions } = topology;
  return {
    all: placed(topology).map(({ name, type, bus, addr, address, facts }) => ({
      ...{ name, type, bus, addr, address },
      facts: factsByLabel(facts),
    })),
    queues: queues.map(({ device, type, queue, size }) => ({ device, type, queue, size })),
    regions: regions.map(({ device, space, start, size }) => ({ device, space, start, size })),
  };
}

/** The devices that it gets at its next start. */
function definedDevices({ definedDevices = [] }: VmInfo): object[] {
  return definedDevices.map(({ name, type, bus, facts }) => ({
    ...{ name, type, bus },
    facts: factsByLabel(facts),
  }));
}

function factsByLabel(facts: Topology['devices'][number]['facts']): object {
  return Object.fromEntries(facts.map(({ label, value }) => [label, value]));
}

export function vmLines(vm: VmInfo, cells: number): string[] {
  const fact = (label: string, text: string) =>
    paragraph(printable(text), cells, ' '.repeat(LABEL_CELLS), label.padEnd(LABEL_CELLS));
  const balloon = isAlive(vm) ? balloonOf(vm) : null;
  const pinned = pinningText(vm.topology);
  const runsIn = processText(vm);
  const vnc = vncText(vm);
  const other = otherVersion(vm, version());
  const started = vm.startedAt === null ? 'never' : new Date(vm.startedAt).toISOString();
  return [
    ...fact('Name', vm.name),
    ...fact('State', vm.reason === null ? stateWord(vm) : `${vm.state}: ${vm.reason}`),
    ...(vm.exitCode === null ? [] : fact('Exit code', String(vm.exitCode))),
    ...fact('vCPUs', vcpusText(vm)),
    ...(pinned === '' ? [] : fact('Pinned', pinned)),
    ...fact('Memory', vm.memoryBytes > 0 ? bytes(vm.memoryBytes) : '-'),
    ...(balloon === null ? [] : fact('Balloon', balloonText(balloon))),
    ...(vm.guest === undefined ? [] : fact('Guest', guestText(vm.guest))),
    ...fact('Started', started),
    ...(runsIn === null ? [] : fact('Process', runsIn)),
    ...(other === null
      ? []
      : fact('Runs', `vring ${other}: vring vm upgrade ${vm.name} hands it to ${version()}`)),
    ...layerLines(vm.confinement).flatMap((line, index) => fact(index === 0 ? 'Layers' : '', line)),
    ...(vnc === null ? [] : fact('VNC', vnc)),
    ...layerLines(vm.servedVnc?.confinement ?? null).flatMap(line => fact('', line)),
    ...fact('Definition', definitionText(vm)),
    ...vm.blockers.flatMap((blocker, index) => fact(index === 0 ? 'Blocked by' : '', blocker)),
    ...fact('Autostart', vm.autostart ? 'yes' : 'no'),
    ...(vm.nics ?? []).flatMap(nic => fact(nic.device, nicText(nic))),
    ...(vm.keyboardHolder === null ? [] : fact('Keyboard', vm.keyboardHolder)),
    ...Object.entries(vm.broken).flatMap(([device, reason]) => fact(device, `broken: ${reason}`)),
    ...Object.entries(vm.diskErrors ?? {}).flatMap(([device, text]) => fact(device, text)),
    ...(vm.detail === null ? [] : ['', ...printableLines(vm.detail)]),
    ...(vm.topology === null || isAsDefined(vm) ? definedTable(vm, cells) : deviceTables(vm.topology, cells)),
  ];
}

function factsText({ facts }: Pick<Topology['devices'][number], 'facts'>): string {
  const text = ({ value, unit }: (typeof facts)[number]) =>
    unit === 'bytes' ? bytes(Number(value)) : String(value);
  return facts.map(fact => `${fact.label} ${text(fact)}`).join(', ');
}

function definitionText({ defined, problem, blockers }: VmInfo): string {
  if (problem !== null) return `not valid: ${problem}`;
  if (!defined) return 'none: the VM is lost when it is deleted';
  return blockers.length === 0 ? 'valid' : 'valid, but the VM cannot start';
}

/** Devices, with their places on buses as in a definition; null if it has none. */
function placed({ devices, places }: Topology) {
  const addrs = new Map(places?.devices.map(({ name, addr }) => [name, addr]));
  return devices.map(device => ({ ...device, addr: addrs.get(device.name) ?? null }));
}

/** The devices of a VM that is off, as in its definition. */
function definedTable({ definedDevices = [] }: VmInfo, cells: number): string[] {
  if (definedDevices.length === 0) return [];
  return [
    '',
    ...tableLines(
      definedDevices,
      [
        { title: 'DEVICE', text: device => device.name },
        { title: 'TYPE', text: device => device.type },
        { title: 'BUS', text: device => device.bus },
        { title: 'FACTS', text: factsText, rank: 1, least: 20 },
      ],
      cells,
    ),
  ];
}

function deviceTables(topology: Topology, cells: number): string[] {
  const { queues, regions } = topology;
  const hex = (value: number) => value.toString(16);
  return [
    '',
    ...tableLines(
      placed(topology),
      [
        { title: 'DEVICE', text: device => device.name },
        { title: 'TYPE', text: device => device.type },
        { title: 'BUS', text: device => device.bus },
        { title: 'ADDR', text: device => device.addr ?? '' },
        { title: 'SEEN AS', text: device => device.address ?? '' },
        { title: 'FACTS', text: factsText, rank: 1, least: 20 },
      ],
      cells,
    ),
    ...(queues.length === 0 ? [] : ['']),
    ...(queues.length === 0
      ? []
      : tableLines(
          queues,
          [
            { title: 'DEVICE', text: queue => queue.device },
            { title: 'TYPE', text: queue => queue.type },
            { title: 'QUEUE', text: queue => queue.queue },
            { title: 'SIZE', text: queue => String(queue.size), align: 'right' },
          ],
          cells,
        )),
    '',
    ...tableLines(
      regions,
      [
        { title: 'DEVICE', text: region => region.device },
        {
          title: 'RANGE',
          text: ({ space, start, size }) => `${space} ${hex(start)}-${hex(start + size - 1)}`,
        },
      ],
      cells,
    ),
  ];
}
