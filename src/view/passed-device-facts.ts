import type { HostDeviceBar, HostDeviceFacts } from '../devices/vfio/host-device-facts.ts';
import type { HostInterruptRate, HostInterrupts } from '../engine/sampling/host-interrupts.ts';
import type { VmHostDevice } from '../engine/vm-info.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { bytes, count, rate } from '../text/units.ts';
import { type Fact, fact } from './facts.ts';

/** What is known about a passed-through device beside its machine's report. */
export type PassedContext = {
  /** The manager's record of it; undefined if there is none. */
  readonly taken: VmHostDevice | undefined;
  /** Null if the host has not been read. */
  readonly host: HostSnapshot | null;
  /** Of its vectors alone; null if they have not been sampled. */
  readonly counted: HostInterrupts | null;
};

/** A host device in a guest: its facts in the guest and on the host, and how the two are connected. */
export function passedDeviceFacts(device: HostDeviceFacts, { taken, host, counted }: PassedContext): Fact[] {
  const { address, api, reset, bars, interrupts, mappings } = device;
  const numa = host?.functions.get(address)?.numaNode ?? null;
  return [
    ...(taken?.noIommu
      ? [fact('UNSAFE', 'no IOMMU: its guest can read and write all host memory', 'status.error')]
      : []),
    fact('On host', [address, hostName(address, host)].filter(Boolean).join(' ')),
    fact('Opened by', api === 'group' ? 'its VFIO group' : 'iommufd'),
    ...(bars.length === 0 ? [] : [{ name: 'BARs', texts: bars.map(barText) }]),
    { name: 'Interrupts', texts: interruptTexts(interrupts, counted) },
    fact('IOMMU', mappingText(mappings)),
    fact('Reset', reset === 'none' ? 'none' : reset, reset === 'none' ? 'status.warning' : undefined),
    ...(numa === null ? [] : [fact('NUMA', `node ${numa}`)]),
    ...(taken === undefined ? [] : [fact('On stop', onStopText(taken))]),
    // There may be many: single-line facts come first.
    ...vectorFacts(counted?.vectors ?? []),
  ];
}

/** `82576 Virtual Function`; empty while unknown. */
export function hostName(address: string, host: HostSnapshot | null): string {
  const fn = host?.functions.get(address);
  return fn === undefined ? '' : (fn.names.device ?? `${fn.vendor}:${fn.device}`);
}

/** `0: memory, 16K at 0xfe000000, 12K of it mapped`. */
function barText({ index, kind, size, address, mapped, prefetchable }: HostDeviceBar): string {
  const parts = [
    `${kind === 'rom' ? 'ROM' : `${index}: ${kind}`}, ${bytes(size)} ${address === null ? 'not decoded' : `at ${address}`}`,
    // Ports are never mapped.
    ...(kind === 'io' || address === null ? [] : [mappedText(mapped, size)]),
    ...(prefetchable ? ['prefetchable'] : []),
  ];
  return parts.join(', ');
}

function mappedText(mapped: number, size: number): string {
  if (mapped === 0) return 'not mapped: accesses exit';
  return mapped >= size ? 'mapped' : `${bytes(mapped)} of it mapped`;
}

const KINDS = { none: 'off', intx: 'INTx', msi: 'MSI', msix: 'MSI-X' } as const;

function interruptTexts(
  { kind, vectors, enabled }: HostDeviceFacts['interrupts'],
  counted: HostInterrupts | null,
): string[] {
  if (kind === 'none') return ['its driver has enabled none'];
  const text = kind === 'intx' ? 'INTx' : `${KINDS[kind]}, ${enabled} of ${vectors} vectors connected`;
  if (counted === null || counted.vectors.length === 0) return [text];
  const sum = (value: (vector: HostInterruptRate) => number) =>
    counted.vectors.reduce((total, vector) => total + value(vector), 0);
  const totals = `${count(sum(({ total }) => total))} in all, ${rate(sum(({ perSecond }) => perSecond))}/s`;
  return [
    `${text}: ${totals}`,
    ...(counted.posted ? ['counts may stand still: posted interrupts bypass the host'] : []),
  ];
}

/** Three to a line fit the narrowest screen that shows details. */
const VECTORS_PER_LINE = 3;
const VECTOR_CELLS = 22;

/** Each vector with the host's count; empty for a single vector, which is shown elsewhere. */
function vectorFacts(vectors: readonly HostInterruptRate[]): Fact[] {
  if (vectors.length < 2) return [];
  const cells = vectors.map(
    ({ vector, total, perSecond }) => `${vector}: ${count(total)}, ${rate(perSecond)}/s`,
  );
  const lines = Array.from({ length: Math.ceil(cells.length / VECTORS_PER_LINE) }, (_, line) =>
    cells
      .slice(line * VECTORS_PER_LINE, (line + 1) * VECTORS_PER_LINE)
      .map(cell => cell.padEnd(VECTOR_CELLS))
      .join('')
      .trimEnd(),
  );
  return [{ name: 'Vectors', texts: lines }];
}

function mappingText({ bytes: mapped, count }: HostDeviceFacts['mappings']): string {
  return count === 0
    ? 'nothing is mapped'
    : `${bytes(mapped)} of guest memory in ${count} mapping${count === 1 ? '' : 's'}`;
}

function onStopText({ keep, before }: VmHostDevice): string {
  if (keep) return 'it stays with vfio-pci';
  return before === null ? 'it goes back to the host' : `it goes back to ${before}`;
}
