import type { IommuGroup } from '../host/iommu/groups.ts';
import type { PciSummary } from '../host/pci/function.ts';
import type { VfAttributes } from '../host/sriov/ip-link.ts';
import { holderText } from '../host/use/holders.ts';
import type { FunctionUse } from '../host/use/use.ts';
import { isParkingDriver } from '../host/vfio/read.ts';
import type { FunctionDetails } from '../host-service/protocol.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { bytes } from '../text/units.ts';
import { type DeviceOwner, type HostView, ownerSentences } from './device-owners.ts';
import { type Fact, fact } from './facts.ts';
import { hardwareFacts, stateFacts } from './host-hardware-facts.ts';
import { isInUse } from './host-use.ts';

/**
 * Facts about a PCI function, the most important first.
 * @param details null until they are read
 */
export function functionFacts(host: HostView, address: string, details: FunctionDetails | null): Fact[] {
  const fn = host.functions.get(address);
  if (fn === undefined) return [{ name: '', texts: [`${address} no longer exists`] }];
  return [
    ...nameFacts(fn),
    ...ownerFacts(host.owners.get(address)),
    ...hostUseFacts(host.use.get(address)),
    ...driverFacts(host, fn),
    ...iommuFacts(host, fn),
    ...sriovFacts(host, fn),
    ...(details === null ? [] : stateFacts(fn, details)),
    ...hardwareFacts(fn, details),
  ];
}

/** Facts about a root bus: `0000:3a`. */
export function busFacts(host: HostSnapshot, bus: string): Fact[] {
  const functions = [...host.functions.values()].filter(({ rootBus }) => rootBus === bus);
  const nodes = [...new Set(functions.flatMap(({ numaNode }) => numaNode ?? []))];
  const away = functions.filter(({ driver }) => isParkingDriver(driver)).length;
  return [
    fact('Functions', `${functions.length}, ${away} of them away from the host`),
    ...(nodes.length === 0 ? [] : [fact('NUMA', `node ${nodes.join(', ')}`)]),
  ];
}

function nameFacts(fn: PciSummary): Fact[] {
  const ids = `[${fn.vendor}:${fn.device}]`;
  return [fact('Device', `${fn.names.device ?? 'unknown device'} ${ids} rev ${fn.revision}`)];
}

/** The VMs that have it, or take it. */
function ownerFacts(owners: readonly DeviceOwner[] = []): Fact[] {
  if (owners.length === 0) return [];
  const unsafe = owners.some(({ noIommu }) => noIommu);
  return [{ name: 'VM', texts: ownerSentences(owners), token: unsafe ? 'status.error' : 'text.accent' }];
}

function hostUseFacts(use: FunctionUse | undefined): Fact[] {
  if (use === undefined) return [fact('Host use', 'none')];
  const texts = [
    ...use.interfaces.map(({ name, state, roles }) => roleText(name, roles, state)),
    ...(use.hiddenInterface ? ['a network interface in another network namespace'] : []),
    ...use.disks.map(({ name, bytes: size, roles }) => roleText(name, roles, `${bytes(size)}, not in use`)),
    ...displayTexts(use),
  ];
  return [{ name: 'Host use', texts, ...(isInUse(use) && { token: 'status.warning' as const }) }];
}

/** What depends on an interface or a disk; `otherwise` if nothing does. */
function roleText(name: string, roles: readonly { readonly text: string }[], otherwise: string): string {
  return `${name}: ${roles.length === 0 ? otherwise : roles.map(({ text }) => text).join(', ')}`;
}

function displayTexts({ display }: FunctionUse): string[] {
  if (display === null) return [];
  return [
    ...(display.console ? ['carries the text console'] : []),
    ...display.serialConsoles.map(name => `the kernel's console is on ${name}`),
    ...display.cards.map(({ name, connected }) =>
      connected.length === 0 ? `${name}: no monitor` : `${name}: ${connected.join(', ')} connected`,
    ),
  ];
}

function driverFacts(host: HostSnapshot, fn: PciSummary): Fact[] {
  const { driver, driverOverride, modules, vfioModules } = fn;
  const parts = [
    driver ?? 'none',
    ...(driverOverride === null ? [] : [`override ${driverOverride}`]),
    ...(modules.length === 0 ? [] : [`modules ${modules.join(', ')}`]),
    ...(vfioModules.length === 0 ? [] : [`its own VFIO drivers: ${vfioModules.join(', ')}`]),
  ];
  const bound = host.bound.get(fn.address);
  const nodes = [bound?.groupNode, bound?.deviceNode].flatMap(node => node?.path ?? []);
  return [
    fact('Driver', parts.join('; '), isParkingDriver(driver) ? 'text.accent' : undefined),
    ...(nodes.length === 0 ? [] : [fact('Nodes', nodes.join(', '))]),
    ...(bound && bound.holders.length > 0
      ? [fact('Held by', bound.holders.map(holderText).join(', '), 'status.warning')]
      : []),
    ...nextBootFacts(host, fn),
  ];
}

function nextBootFacts(host: HostSnapshot, fn: PciSummary): Fact[] {
  const next = host.nextBoot.get(fn.address);
  if (next === undefined) return [];
  const sources = next.sources.length === 0 ? '' : ` (${next.sources.join(', ')})`;
  const state = next.drift ?? 'as now';
  return [
    fact('Next boot', state + sources, next.drift === null ? undefined : 'status.warning'),
    ...(next.problems.length === 0
      ? []
      : [{ name: '', texts: next.problems, token: 'status.warning' as const }]),
  ];
}

function iommuFacts(host: HostSnapshot, fn: PciSummary): Fact[] {
  const group = fn.iommuGroup === null ? undefined : host.groups.get(fn.iommuGroup);
  if (group === undefined) return [fact('IOMMU', 'no group: no IOMMU isolates its DMA', 'status.warning')];
  const others = [...group.members, ...group.others].filter(name => name !== fn.address);
  const together = others.length === 0 ? 'alone in it' : `with ${others.join(', ')}`;
  return [fact('IOMMU', `group ${group.id}, ${together}`), ...sharingFacts(group)];
}

/** Why functions share a group, or why they should. */
function sharingFacts({ reasons, override }: IommuGroup): Fact[] {
  return [
    ...(reasons.length === 0 ? [] : [{ name: 'Shared', texts: reasons.map(({ text }) => text) }]),
    ...(override === null ? [] : [fact('Override', override.text, 'status.error')]),
  ];
}

/** Facts about an IOMMU group, and about its member under the cursor. */
export function groupFacts(host: HostView, id: number, member: string | null): Fact[] {
  const group = host.groups.get(id);
  if (group === undefined) return [fact('', `group ${id} no longer exists`)];
  const size = group.members.length + group.others.length;
  const domain = group.type === null ? '' : `; domain ${group.type}`;
  const reserved = group.reserved.map(({ start, end, type }) => `${start}-${end} ${type}`).join(', ');
  const fn = host.functions.get(member ?? '');
  return [
    fact('Group', `${size === 1 ? 'one function' : `${size} functions`}${domain}`),
    ...sharingFacts(group),
    ...(reserved === '' ? [] : [fact('Reserved', reserved)]),
    ...(fn === undefined
      ? []
      : [
          fact('Member', fn.address),
          ...nameFacts(fn),
          ...ownerFacts(host.owners.get(fn.address)),
          ...hostUseFacts(host.use.get(fn.address)),
          ...driverFacts(host, fn),
        ]),
  ];
}

function sriovFacts(host: HostSnapshot, fn: PciSummary): Fact[] {
  const own = host.physicalFunctions.get(fn.address);
  if (own !== undefined) {
    const layout = own.offset === null ? '' : `, offset ${own.offset}, stride ${own.stride}`;
    const device = own.vfDevice === null ? '' : `, VF device ${own.vfDevice}`;
    const autoprobe = own.autoprobe === false ? ', host drivers leave new VFs alone' : '';
    return [fact('SR-IOV', `${own.current} of ${own.total} VFs${layout}${device}${autoprobe}`)];
  }
  if (fn.physicalFunction === null) return [];
  const vf = host.physicalFunctions
    .get(fn.physicalFunction)
    ?.vfs.find(({ address }) => address === fn.address);
  const place = vf === undefined ? 'a VF' : `VF ${vf.index}`;
  return [
    fact('SR-IOV', `${place} of ${fn.physicalFunction}`),
    ...(vf?.attributes ? [fact('VF', vfText(vf.attributes))] : []),
  ];
}

/** The settings of a VF, on one line. */
export function vfText(vf: VfAttributes): string {
  const onOff = (on: boolean) => (on ? 'on' : 'off');
  return [
    ...(vf.mac === null ? [] : [`MAC ${vf.mac}`]),
    vf.vlan === 0 ? 'untagged' : `VLAN ${vf.vlan}${vf.qos === 0 ? '' : ` priority ${vf.qos}`}`,
    ...(vf.trust === null ? [] : [`trust ${onOff(vf.trust)}`]),
    ...(vf.spoofCheck === null ? [] : [`spoof check ${onOff(vf.spoofCheck)}`]),
    ...(vf.linkState === null ? [] : [`link ${vf.linkState}`]),
    ...(vf.maxTxRate === 0 ? [] : [`at most ${vf.maxTxRate} Mbit/s`]),
    ...(vf.minTxRate === 0 ? [] : [`at least ${vf.minTxRate} Mbit/s`]),
  ].join(', ');
}
