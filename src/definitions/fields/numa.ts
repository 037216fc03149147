import * as z from 'zod';
import { size } from './memory.ts';

/** The most NUMA nodes of a VM. */
export const MOST = 16;
const NEAR = 10;
const FAR = 20;

const node = z.strictObject({
  cpus: z
    .array(z.int().min(0, 'the number of a vCPU, from 0'))
    .default([])
    .meta({ description: "The node's vCPUs, numbered from 0.", examples: [[0, 1]] }),
  memory: size.meta({ description: "The node's share of guest RAM.", examples: ['1G'] }),
  distances: z
    .array(z.int().min(NEAR, 'a distance from 10 to 255').max(255, 'a distance from 10 to 255'))
    .optional()
    .meta({
      description: 'Distances to all nodes, in their order. Default: 10 to itself and 20 to others.',
      examples: [[10, 21]],
    }),
});

/** The guest's NUMA nodes. Their totals are checked with the whole definition. */
export const numa = z
  .array(node)
  .max(MOST, `at most ${MOST} nodes`)
  .transform(nodes =>
    nodes.map((each, index) => ({
      ...each,
      distances: each.distances ?? nodes.map((_, other) => (other === index ? NEAR : FAR)),
    })),
  )
  .default([]);

export type Numa = z.output<typeof numa>;

/** What is wrong with a VM's nodes: the path of the problem, and a sentence. */
export function numaProblem(
  nodes: Numa,
  { memory, cpus }: { memory: number; cpus: number },
): { path: (string | number)[]; message: string } | null {
  if (nodes.length === 0) return null;
  const seen = new Set<number>();
  for (const [index, { cpus: own, distances }] of nodes.entries()) {
    for (const cpu of own) {
      if (cpu >= cpus)
        return {
          path: [index, 'cpus'],
          message: `there is no vCPU ${cpu}: expected numbers from 0 to ${cpus - 1}`,
        };
      if (seen.has(cpu))
        return { path: [index, 'cpus'], message: `vCPU ${cpu} is in two nodes: remove it from one` };
      seen.add(cpu);
    }
    if (distances.length !== nodes.length)
      return { path: [index, 'distances'], message: `expected ${nodes.length} distances, one for each node` };
    if (distances[index] !== NEAR)
      return { path: [index, 'distances'], message: `expected ${NEAR} as the distance to itself` };
  }
  if (seen.size !== cpus) {
    const missing = Array.from({ length: cpus }, (_, cpu) => cpu).find(cpu => !seen.has(cpu));
    return { path: [], message: `vCPU ${missing} is in no node: add it to one` };
  }
  const sum = nodes.reduce((total, { memory: bytes }) => total + bytes, 0);
  if (sum !== memory)
    return {
      path: [],
      message: `the nodes have ${sum / 2 ** 20}M in total, but the VM has ${memory / 2 ** 20}M: make them equal`,
    };
  return null;
}
