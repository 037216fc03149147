import { capabilityText } from '../../host/pci/capability-text.ts';
import { type PciDetails, readDetails } from '../../host/pci/details.ts';
import { deviceName, type PciRegion } from '../../host/pci/function.ts';
import type { HostRoot } from '../../host/root.ts';
import { useSummary } from '../../host/use/use.ts';
import { bytes } from '../../text/units.ts';
import type { DeviceOwners } from '../../view/device-owners.ts';
import { addressArgument } from './host-options.ts';
import { paragraph } from './paragraph.ts';
import { type ListedFunction, listFunctions } from './pci-list.ts';
import { type ListedOwner, NO_OWNERS } from './vm-owners.ts';

export type ShownFunction = ListedFunction & { readonly details: PciDetails };

/** @param text an address as typed */
export async function showPci(
  root: HostRoot,
  text: string,
  owners: DeviceOwners = NO_OWNERS,
): Promise<ShownFunction> {
  const functions = listFunctions(root, owners);
  const address = await addressArgument(
    text,
    functions.map(fn => fn.address),
  );
  const fn = functions.find(each => each.address === address)!;
  return { ...fn, details: readDetails(root, fn) };
}

type Field = readonly [name: string, values: readonly string[]];

/** One function in detail: a heading, then named fields of one or more lines each. */
export function functionLines(fn: ShownFunction, cells: number): string[] {
  const fields: Field[] = [
    ['class', [`${fn.names.class ?? 'unknown'} [${fn.class}], revision ${fn.revision}`]],
    ['ids', [idText(fn)]],
    ['driver', [driverText(fn)]],
    ['vm', fn.vms.map(vmText)],
    ['use', fn.use ? useSummary(fn.use).split('; ') : []],
    ['next boot', nextBootText(fn)],
    ['group', fn.iommuGroup === null ? [] : [String(fn.iommuGroup)]],
    ['numa node', numaText(fn)],
    ['sr-iov', sriovText(fn)],
    ['link', linkText(fn.details)],
    ['power', powerText(fn.details)],
    ['reset', [resetText(fn.details)]],
    ['regions', fn.regions.map(regionText)],
    ['interrupts', fn.details.interrupts.map(irq => `${irq.irq} ${irq.kind} ${irq.name}: ${irq.count}`)],
    [
      'capabilities',
      fn.configAccess === 'full'
        ? fn.capabilities.map(each => `${each.name}: ${capabilityText(each)}`.replace(/: $/, ''))
        : [accessText(fn)],
    ],
  ];
  const shown = fields.filter(([, values]) => values.length > 0);
  const indent = Math.max(...shown.map(([name]) => name.length)) + 4;
  return [
    ...paragraph(`${fn.address} ${deviceName(fn)}`, cells, '  '),
    ...shown.flatMap(([name, values]) =>
      values
        .flatMap(value => paragraph(value, cells - indent))
        .map((line, index) => (index === 0 ? `  ${name}` : '').padEnd(indent) + line),
    ),
  ];
}

function idText(fn: ShownFunction): string {
  const own = `${fn.vendor}:${fn.device}`;
  if (fn.subsystemVendor === null) return own;
  const name = fn.names.subsystem ? ` (${fn.names.subsystem})` : '';
  return `${own}, subsystem ${fn.subsystemVendor}:${fn.subsystemDevice}${name}`;
}

function driverText(fn: ShownFunction): string {
  const parts = [fn.driver ?? 'none'];
  if (fn.driverOverride !== null) parts.push(`only ${fn.driverOverride} may bind`);
  if (fn.modules.length > 0) parts.push(`modules: ${fn.modules.join(', ')}`);
  if (fn.vfioModules.length > 0) parts.push(`VFIO: ${fn.vfioModules.join(', ')}`);
  return parts.join('; ');
}

function vmText({ name, running, device, keep, before, noIommu }: ListedOwner): string {
  const then = keep
    ? 'stays with vfio-pci'
    : before === null
      ? 'returns to the host'
      : `returns to ${before}`;
  const unsafe = noIommu ? '; UNSAFE: no IOMMU protects the memory of the host from its guest' : '';
  return running
    ? `${name} has it as ${device}; it ${then} when the VM ends${unsafe}`
    : `${name} takes it as ${device} at its next start${unsafe}`;
}

function nextBootText({ nextBoot }: ShownFunction): string[] {
  if (nextBoot === null) return [];
  const as = nextBoot.sources.length > 0 ? ` (${nextBoot.sources.join(', ')})` : '';
  return [
    `${nextBoot.drift ?? unchangedText(nextBoot)}${as}`,
    ...nextBoot.problems.map(problem => `! ${problem}`),
  ];
}

/** The part of the configuration that is in effect already. */
function unchangedText({ driver, vfs }: NonNullable<ShownFunction['nextBoot']>): string {
  const parts = [driver, vfs === null ? null : `${vfs} VFs`].filter(part => part !== null);
  return parts.length === 0 ? 'as it is now' : `${parts.join(', ')}, as now`;
}

function numaText(fn: ShownFunction): string[] {
  if (fn.numaNode === null) return [];
  return [`${fn.numaNode}${fn.details.localCpus ? `, CPUs ${fn.details.localCpus}` : ''}`];
}

function sriovText(fn: ShownFunction): string[] {
  if (fn.physicalFunction !== null) return [`virtual function of ${fn.physicalFunction}`];
  return fn.virtualFunctions.length > 0 ? [`VFs: ${fn.virtualFunctions.join(', ')}`] : [];
}

function linkText({ link }: PciDetails): string[] {
  if (link === null) return [];
  const text = (speed: number | null, width: number | null): string =>
    `${speed ?? '?'} GT/s x${width ?? '?'}`;
  const now = link.speed === null && link.width === null ? 'down' : text(link.speed, link.width);
  return [`${now}, at most ${text(link.maxSpeed, link.maxWidth)}${link.degraded ? ' (degraded)' : ''}`];
}

function powerText({ powerState, runtimeStatus }: PciDetails): string[] {
  const parts = [powerState, runtimeStatus && `runtime ${runtimeStatus}`].filter(Boolean) as string[];
  return parts.length > 0 ? [parts.join(', ')] : [];
}

function resetText({ resetMethods, resettable }: PciDetails): string {
  if (resetMethods === null) return resettable ? 'yes' : 'no method';
  return resetMethods.length > 0 ? resetMethods.join(', ') : 'no method';
}

function regionText(region: PciRegion): string {
  const prefetchable = region.prefetchable ? ' prefetchable' : '';
  return `${region.name}: ${region.kind} ${region.bits} bits${prefetchable}, ${bytes(region.size)} at ${region.start}`;
}

function accessText({ configAccess }: ShownFunction): string {
  switch (configAccess) {
    case 'header':
      return 'readable by root only';
    case 'asleep':
      return 'not read: the function is in D3cold, and a read would wake it';
    case 'dead':
      return 'the function does not answer';
    default:
      return 'not readable';
  }
}
