import { afterEach, beforeEach, expect, test } from 'vitest';
import { UsageReader } from '../../src/host-service/usage.ts';
import type { TreeBuilder } from '../host/trees/builder.ts';
import { pressure } from '../host/trees/common.ts';
import { serverTree } from '../host/trees/server.ts';

let tree: TreeBuilder;
let reader: UsageReader;
beforeEach(() => {
  tree = serverTree();
  reader = new UsageReader(tree.root(), '/');
});
afterEach(() => tree.remove());

/** CPU lines of /proc/stat: user and idle ticks of each. */
function stat(...cpus: readonly (readonly [number, number])[]): string {
  const line = (name: string, user: number, idle: number) => `${name} ${user} 0 0 ${idle} 0 0 0 0 0 0\n`;
  const sum = (field: 0 | 1) => cpus.reduce((total, cpu) => total + cpu[field], 0);
  const each = cpus.map(([user, idle], index) => line(`cpu${index}`, user, idle));
  return line('cpu ', sum(0), sum(1)) + each.join('');
}

test('the first sample has nothing to compare with', () => {
  expect(reader.read(0)).toBeNull();
});

test('CPU time since the previous sample, for each CPU and on average', () => {
  tree.file('/proc/stat', stat([100, 900], [0, 1000]));
  reader.read(0);
  tree.file('/proc/stat', stat([175, 925], [25, 1075]));
  expect(reader.read(1000)).toMatchObject({ cpus: [0.75, 0.25], cpu: 0.5 });
});

test('the share of time that tasks waited', () => {
  reader.read(0);
  tree.file('/proc/pressure/io', pressure(9_500_000, 8_000_000));
  expect(reader.read(2000)!.waits).toEqual({ cpu: 0, memory: 0, io: 0.25 });
});

test('a CPU that was added since, and unchanged counters, are idle', () => {
  tree.file('/proc/stat', stat([100, 900]));
  reader.read(0);
  tree.file('/proc/stat', stat([100, 900], [5000, 0]));
  expect(reader.read(0)).toMatchObject({ cpus: [0, 0], cpu: 0, waits: { io: 0 } });
});
