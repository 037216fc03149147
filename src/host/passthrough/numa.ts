import type { PciFunction } from '../pci/function.ts';
import type { HostSurvey } from '../plan/survey.ts';
import type { HostRoot } from '../root.ts';
import { sentenceList } from '../text.ts';
import type { PassthroughVm, Reason } from './assessment.ts';
import { ok, warn } from './reason.ts';

const NODES = '/sys/devices/system/node';

export type NumaNode = {
  readonly id: number;
  /** As the kernel writes them: `0-15,32-47`. */
  readonly cpuList: string;
  /** Distance to every node, in the order of `readNumaNodes`; 10 is the node itself. */
  readonly distances: readonly number[];
};

export function readNumaNodes(root: HostRoot): NumaNode[] {
  const ids = (root.list(NODES) ?? []).flatMap(name => {
    const match = /^node(\d+)$/.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
  ids.sort((a, b) => a - b);
  return ids.map(id => ({
    id,
    cpuList: root.attribute(`${NODES}/node${id}/cpulist`) ?? '',
    distances: (root.attribute(`${NODES}/node${id}/distance`) ?? '').split(/\s+/).filter(Boolean).map(Number),
  }));
}

/** How far the device is from the CPUs and the memory of the VM. */
export function numaReasons(survey: HostSurvey, fn: PciFunction, vm: PassthroughVm | undefined): Reason[] {
  const nodes = readNumaNodes(survey.root);
  const own = nodes.find(({ id }) => id === fn.numaNode);
  if (nodes.length < 2 || own === undefined) return [];
  const advice = `cpus.pinning: CPUs ${own.cpuList}`;
  if (vm === undefined) return [ok('numa', fn.address, `on NUMA node ${own.id} (CPUs ${own.cpuList})`)];
  if (vm.hostCpus === null) {
    const reason = `it is on NUMA node ${own.id}, and the vCPUs of ${vm.name} may run on any node`;
    return [warn('numa', fn.address, reason, advice)];
  }
  const away = nodes.filter(
    node => node.id !== own.id && cpusOf(node).some(cpu => vm.hostCpus!.includes(cpu)),
  );
  if (away.length === 0) {
    return [ok('numa', fn.address, `on NUMA node ${own.id}, as are the vCPUs of ${vm.name}`)];
  }
  const far = away.map(node => `${node.id}${distanceText(own, nodes.indexOf(node))}`);
  const reason = `it is on NUMA node ${own.id}, and vCPUs of ${vm.name} run on ${far.length === 1 ? 'node' : 'nodes'} ${sentenceList(far)}: its accesses cross sockets`;
  return [warn('numa', fn.address, reason, advice)];
}

function distanceText(from: NumaNode, to: number): string {
  const distance = from.distances[to];
  return distance === undefined ? '' : ` (distance ${distance})`;
}

function cpusOf({ cpuList }: NumaNode): number[] {
  return cpuList.split(',').flatMap(part => {
    const [first, last = first] = part.split('-').map(Number);
    if (first === undefined || last === undefined || Number.isNaN(first) || Number.isNaN(last)) return [];
    return Array.from({ length: Math.min(last - first + 1, 8192) }, (_, index) => first + index);
  });
}
