import type { XmlElement } from '@rgrove/parse-xml';
import { sizeText } from '../../text/size.ts';
import { MOST as MOST_NODES } from '../fields/numa.ts';
import type { DefinitionInput } from '../schema.ts';
import type { DomainDocument } from './document.ts';
import { bytesIn } from './machine.ts';

/** <cpu><numa>: a single cell has no meaning for a guest. @throws LibvirtError */
export function readNuma(document: DomainDocument, domain: XmlElement): Pick<DefinitionInput, 'numa'> {
  const numa = document.child(document.child(domain, 'cpu'), 'numa');
  document.skip(numa);
  const cells = document.children(numa, 'cell');
  if (cells.length > MOST_NODES)
    throw document.error(
      cells[MOST_NODES]!,
      `expected at most ${MOST_NODES} NUMA nodes, not ${cells.length}`,
    );
  const nodes = cells.map((cell, index) => readCell(document, cell, cells.length, index));
  return cells.length < 2 ? {} : { numa: nodes };
}

function readCell(document: DomainDocument, cell: XmlElement, count: number, index: number) {
  const id = document.attribute(cell, 'id');
  if (id !== null && Number(id) !== index)
    throw document.error(cell, `expected cell ${index} here, not ${id}`);
  const bytes = bytesIn(document, cell, document.attribute(cell, 'memory'), document.attribute(cell, 'unit'));
  const siblings = document.child(cell, 'distances');
  document.skip(siblings);
  const distances: number[] = Array.from({ length: count }, (_, other) => (other === index ? 10 : 20));
  for (const sibling of document.children(siblings, 'sibling')) {
    const other = Number(document.attribute(sibling, 'id'));
    if (other in distances) distances[other] = Number(document.attribute(sibling, 'value'));
  }
  return {
    cpus: cpusIn(document, cell, document.attribute(cell, 'cpus') ?? ''),
    memory: sizeText(bytes),
    distances,
  };
}

/** `0-3,8,^2`: ranges, numbers, and excluded numbers. @throws LibvirtError */
function cpusIn(document: DomainDocument, cell: XmlElement, text: string): number[] {
  const cpus = new Set<number>();
  for (const part of text.split(',').map(each => each.trim())) {
    if (part === '') continue;
    const match = /^(\^)?(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    const [first, last] = match === null ? [1, 0] : [Number(match[2]), Number(match[3] ?? match[2])];
    if (first > last) throw document.error(cell, `expected vCPUs such as 0-3, not ${part}`);
    for (let cpu = first; cpu <= last; cpu++) {
      if (match![1] === undefined) cpus.add(cpu);
      else cpus.delete(cpu);
    }
  }
  return [...cpus].sort((a, b) => a - b);
}
