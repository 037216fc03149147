/** The tables that describe the proximity of vCPUs and memory. */
import { concat, little } from '../../devices/acpi/aml.ts';
import { systemTable } from './table.ts';

/** A NUMA node of a guest. */
export type NumaNode = {
  /** Indices of its vCPUs. */
  readonly cpus: readonly number[];
  /** Bytes of its memory; the nodes are contiguous in guest RAM, in order. */
  readonly bytes: number;
  /** Distance to each node, in order: 10 to itself, more to others (ACPI 6.5 §5.2.17). */
  readonly distances: readonly number[];
};

/** A range of guest RAM. */
type Range = { readonly address: number; readonly size: number };

/** Affinity structure types (ACPI 6.5 §5.2.16). */
const LOCAL_APIC = 0;
const MEMORY = 1;
const ENABLED = 1;

/** System Resource Affinity Table. @param apicIds by vCPU @param ram the ranges of guest RAM, ascending */
export function srat(
  nodes: readonly NumaNode[],
  apicIds: readonly number[],
  ram: readonly Range[],
): Uint8Array {
  const processors = nodes.flatMap(({ cpus }, node) =>
    cpus.map(cpu => processorAffinity(node, apicIds[cpu]!)),
  );
  const memory = nodeRanges(nodes, ram).map(({ node, address, size }) => memoryAffinity(node, address, size));
  // A reserved word that is 1 for compatibility, and eight reserved bytes.
  return systemTable('SRAT', 3, concat(little(1, 4), new Uint8Array(8), ...processors, ...memory));
}

/** System Locality Information Table. */
export function slit(nodes: readonly NumaNode[]): Uint8Array {
  const matrix = Uint8Array.from(nodes.flatMap(({ distances }) => distances));
  return systemTable('SLIT', 1, concat(little(nodes.length, 8), matrix));
}

/** The node of each range of guest RAM: a node whose memory spans the hole below 4 GiB has two. */
export function nodeRanges(nodes: readonly NumaNode[], ram: readonly Range[]): (Range & { node: number })[] {
  const ranges: (Range & { node: number })[] = [];
  const free = ram.map(range => ({ ...range }));
  nodes.forEach(({ bytes }, node) => {
    for (let left = bytes; left > 0 && free.length > 0; ) {
      const piece = free[0]!;
      const size = Math.min(left, piece.size);
      ranges.push({ node, address: piece.address, size });
      piece.address += size;
      piece.size -= size;
      left -= size;
      if (piece.size === 0) free.shift();
    }
  });
  return ranges;
}

function processorAffinity(node: number, apicId: number): Uint8Array {
  const domain = little(node, 4);
  return concat(
    [LOCAL_APIC, 16, domain[0]!, apicId],
    little(ENABLED, 4),
    [0, ...domain.slice(1)],
    little(0, 4),
  );
}

function memoryAffinity(node: number, address: number, size: number): Uint8Array {
  return concat(
    [MEMORY, 40],
    little(node, 4),
    [0, 0],
    little(address, 8),
    little(size, 8),
    new Uint8Array(4),
    little(ENABLED, 4),
    new Uint8Array(8),
  );
}
