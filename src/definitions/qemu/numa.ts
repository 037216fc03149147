import { bytesOf, sizeText } from '../../text/size.ts';
import { shown } from '../words.ts';
import type { CpuSettings } from './cpus.ts';
import type { Draft, NumaNode, Place } from './draft.ts';
import { OptionError } from './error.ts';
import { memoryOf } from './memory.ts';

const MiB = 2 ** 20;
const NEAR = 10;
const FAR = 20;

/** -numa. @throws OptionError */
export function readNuma(draft: Draft, text: string, place: Place): void {
  const settings = draft.settings(place, text, 'type');
  const type = settings.require('type');
  const number = (key: string): number => numberOf(settings.require(key), key);
  if (type === 'dist') {
    draft.numaDistances.push({ ...place, from: number('src'), to: number('dst'), distance: number('val') });
  } else if (type === 'node') {
    const id = settings.take('nodeid');
    const cpus = settings.takeAll('cpus').flatMap(cpuRange);
    const memory = settings.take('mem');
    const node = {
      ...place,
      id: id === undefined ? draft.numaNodes.length : numberOf(id, 'nodeid'),
      cpus,
      // A bare number is in MiB here, as with -m.
      bytes: memory === undefined ? undefined : (bytesOf(memory) ?? undefined),
    };
    if (memory !== undefined && node.bytes === undefined)
      throw new OptionError(`expected a size such as 512M or 2G, not ${shown(memory)}`);
    draft.numaNodes.push(node);
    const backend = settings.take('memdev');
    if (backend !== undefined) {
      const placed = (bytes: number) => {
        node.bytes = bytes;
      };
      draft.memoryPlaces.push({ ...place, backend, placed });
    }
    settings.leaveOut({ initiator: 'a guest gets no description of memory speeds' });
  } else if (type === 'cpu') {
    throw new OptionError('use -numa node,cpus= with the numbers of the vCPUs instead');
  } else {
    throw new OptionError(`vring has no -numa ${shown(type)}: expected node or dist`);
  }
  settings.end();
}

/** `0-3`, or one number. @throws OptionError */
function cpuRange(text: string): number[] {
  const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(text);
  const [first, last] = match === null ? [1, 0] : [Number(match[1]), Number(match[2] ?? match[1])];
  if (first > last) throw new OptionError(`cpus=${text}: expected vCPUs such as 0-3`);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function numberOf(text: string, key: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new OptionError(`${key} takes a whole number, not ${shown(text)}`);
}

/** The nodes of -numa. A single one has no meaning for a guest. @param problem called for each wrong option */
export function placeNodes(draft: Draft, problem: (place: Place, error: OptionError) => void): void {
  const nodes = draft.numaNodes.toSorted((a, b) => a.id - b.id);
  if (nodes.length < 2) return;
  const wrong = nodes.find(({ id }, index) => id !== index);
  if (wrong !== undefined) {
    problem(wrong, new OptionError('expected consecutive values of nodeid, from 0'));
    return;
  }
  const known = (node: number) => node >= 0 && node < nodes.length;
  const stray = draft.numaDistances.find(({ from, to }) => !known(from) || !known(to));
  if (stray !== undefined) {
    problem(stray, new OptionError(`expected nodes from 0 to ${nodes.length - 1}`));
    return;
  }
  const cpus = cpusOf(nodes, (draft.fields.cpus ?? {}) as CpuSettings);
  const memories = memoriesOf(nodes, bytesOf(String(memoryOf(draft)?.size ?? '')) ?? 0);
  draft.fields.numa = nodes.map((_, index) => ({
    cpus: cpus[index]!,
    memory: sizeText(memories[index]!),
    distances: nodes.map((_, other) => distanceOf(draft, index, other)),
  }));
}

/** A vCPU that no node names is in node 0; if none is named, sockets are spread over the nodes in turn, as in QEMU. */
function cpusOf(
  nodes: readonly NumaNode[],
  { count = 1, maxcpus = count, topology }: CpuSettings,
): number[][] {
  const lists = nodes.map(({ cpus }) => [...cpus]);
  const named = new Set(lists.flat());
  const ofSocket = topology === undefined ? maxcpus : (topology.cores ?? 1) * (topology.threads ?? 1);
  for (let cpu = 0; cpu < maxcpus; cpu++) {
    const socket = Math.floor(cpu / ofSocket);
    if (!named.has(cpu)) lists[named.size === 0 ? socket % nodes.length : 0]!.push(cpu);
  }
  return lists;
}

/** Nodes without a size share the rest of the memory, in whole MiB. */
function memoriesOf(nodes: readonly NumaNode[], size: number): number[] {
  const open = nodes.filter(({ bytes }) => bytes === undefined).length;
  let left = size - nodes.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  const share = Math.floor(Math.max(0, left) / Math.max(1, open) / MiB) * MiB;
  let still = open;
  return nodes.map(({ bytes }) => {
    if (bytes !== undefined) return bytes;
    const own = --still === 0 ? Math.max(0, left) : share;
    left -= own;
    return own;
  });
}

/** A distance given for one direction applies to both. */
function distanceOf({ numaDistances }: Draft, from: number, to: number): number {
  const given = (a: number, b: number) =>
    numaDistances.findLast(each => each.from === a && each.to === b)?.distance;
  return given(from, to) ?? given(to, from) ?? (from === to ? NEAR : FAR);
}
