import { capabilityText } from '../host/pci/capability-text.ts';
import type { Capability } from '../host/pci/capability-types.ts';
import type { PciDetails } from '../host/pci/details.ts';
import type { PciSummary } from '../host/pci/function.ts';
import type { FunctionDetails } from '../host-service/protocol.ts';
import { bytes, count } from '../text/units.ts';
import { type Fact, fact } from './facts.ts';

/** The facts about a function's present state. */
export function stateFacts(fn: PciSummary, details: PciDetails): Fact[] {
  const { link, powerState, runtimeStatus, interrupts, localCpus, serial, romSize } = details;
  const taken = interrupts.reduce((sum, each) => sum + each.count, 0);
  return [
    // Bridges are never passed to guests.
    ...(fn.bridge === null ? [resetFact(details)] : []),
    ...(link === null ? [] : [linkFact(link)]),
    ...(powerState === null
      ? []
      : [fact('Power', `${powerState}${runtimeStatus === null ? '' : `, runtime ${runtimeStatus}`}`)]),
    ...(fn.numaNode === null && localCpus === null
      ? []
      : [
          fact(
            'NUMA',
            [
              fn.numaNode === null ? 'no node' : `node ${fn.numaNode}`,
              ...(localCpus ? [`CPUs ${localCpus}`] : []),
            ].join(', '),
          ),
        ]),
    ...(interrupts.length === 0
      ? []
      : [fact('Interrupts', `${interrupts.length} ${interrupts[0]!.kind}, taken ${count(taken)} times`)]),
    ...(serial === null ? [] : [fact('Serial', serial)]),
    ...(romSize === null ? [] : [fact('ROM', bytes(romSize))]),
  ];
}

function resetFact({ resetMethods, resettable }: PciDetails): Fact {
  if (resetMethods === null) {
    return resettable ? fact('Reset', 'possible') : fact('Reset', 'none', 'status.warning');
  }
  if (resetMethods.length === 0) return fact('Reset', 'none', 'status.warning');
  const onlyBus = resetMethods.every(method => method === 'bus');
  return fact(
    'Reset',
    onlyBus ? 'bus only: everything below its bridge is reset with it' : resetMethods.join(', '),
    onlyBus ? 'status.warning' : undefined,
  );
}

function linkFact(link: NonNullable<PciDetails['link']>): Fact {
  const max = linkText(link.maxSpeed, link.maxWidth);
  if (link.speed === null && link.width === null) return fact('Link', `up to ${max}`);
  const now = linkText(link.speed, link.width);
  return link.degraded
    ? fact('Link', `${now}, below its ${max}`, 'status.warning')
    : fact('Link', `${now}, its maximum`);
}

/** `8 GT/s x8` */
function linkText(speed: number | null, width: number | null): string {
  return `${speed ?? '?'} GT/s x${width ?? '?'}`;
}

/** Facts about the hardware. @param details null until they are read */
export function hardwareFacts(fn: PciSummary, details: FunctionDetails | null): Fact[] {
  const regions = (details?.regions ?? []).map(
    ({ name, kind, start, size, bits, prefetchable }) =>
      `${name}: ${kind} ${start}, ${bytes(size)}${kind === 'io' ? '' : `, ${bits} bits`}${prefetchable ? ', prefetchable' : ''}`,
  );
  const buses = fn.bridge && `buses ${hexByte(fn.bridge.secondary)} to ${hexByte(fn.bridge.subordinate)}`;
  const { vendor, subsystem } = fn.names;
  const subsystemIds = `${fn.subsystemVendor}:${fn.subsystemDevice}`;
  return [
    fact('Vendor', vendor ?? `unknown (${fn.vendor})`),
    ...(fn.subsystemVendor === null
      ? []
      : [fact('Subsystem', `${subsystem ?? 'unknown'} [${subsystemIds}]`)]),
    ...(buses ? [fact('Bridge to', buses)] : []),
    ...(regions.length === 0 ? [] : [{ name: 'Regions', texts: regions }]),
    ...configFacts(fn, details?.capabilities ?? []),
    fact('Path', fn.path),
  ];
}

function configFacts({ configAccess }: PciSummary, capabilities: readonly Capability[]): Fact[] {
  switch (configAccess) {
    case 'dead':
      return [fact('Config', 'all ones: the function does not answer on the bus', 'status.error')];
    case 'asleep':
      return [fact('Config', 'not read: the function sleeps in D3cold, and a read would wake it')];
    case 'header':
      return [fact('Config', 'capabilities are readable as root only')];
    default:
      return capabilities.length === 0 ? [] : [{ name: 'Caps', texts: capabilities.map(nameAndText) }];
  }
}

function nameAndText(capability: Capability): string {
  return [capability.name, capabilityText(capability)].filter(Boolean).join(': ');
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0');
}
