import { describe, expect, test } from 'vitest';
import { withVcpus } from '../../../src/definitions/change/cpus.ts';
import { readDefinition } from '../../../src/definitions/read.ts';

const HEAD = 'name: web # the server\nmachine: {kernel: /bin/sh}\n';

function changed(cpus: string, count: number): string {
  const text = `${HEAD}${cpus}`;
  const definition = readDefinition(text, { file: 'web.yaml', name: 'web' });
  const result = withVcpus(text, 'web.yaml', definition, count);
  expect(readDefinition(result, { file: 'web.yaml', name: 'web' }).cpus.count).toBe(count);
  expect(result.startsWith('name: web # the server\n')).toBe(true);
  return result.slice(result.indexOf('cpus'));
}

describe('the number of vCPUs in a definition', () => {
  test.each([
    ['cpus: 2 # two\n', 4, 'cpus: 4 # two\n'],
    ['', 3, 'cpus: 3\n'],
    ['cpus: {count: 1, maxcpus: 4}\n', 3, 'cpus: {count: 3, maxcpus: 4}\n'],
    ['cpus: {count: 1, maxcpus: 4}\n', 4, 'cpus: {count: 4}\n'],
    [
      'cpus:\n  count: 2 # now\n  model: Haswell\n',
      1,
      'cpus:\n  count: 1 # now\n  model: Haswell\n  maxcpus: 2\n',
    ],
    [
      'cpus: {count: 3, maxcpus: 4, pinning: [5, 6, 7]}\n',
      2,
      'cpus: {count: 2, maxcpus: 4, pinning: [5, 6]}\n',
    ],
    [
      'cpus: {count: 3, maxcpus: 4, pinning: [4, 5, 6, 7]}\n',
      2,
      'cpus: {count: 2, maxcpus: 4, pinning: [4, 5, 6, 7]}\n',
    ],
    [
      'cpus: {topology: {sockets: 2, cores: 2}}\n',
      3,
      'cpus: {topology: {sockets: 2, cores: 2}, count: 3, maxcpus: 4}\n',
    ],
  ])('of %j becomes %i', (before, count, after) => {
    expect(changed(before, count)).toBe(after);
  });

  test('keeps the room for more, which a short form does not have', () => {
    expect(changed('cpus: 4\n', 2)).toMatch(/^cpus:\s*(\{ ?)?count: 2,?\s*maxcpus: 4/);
  });

  test.each([
    ['cpus: {count: 1, maxcpus: 4}\n', 'web.yaml has room for 4 vCPUs: raise cpus.maxcpus first'],
    ['cpus: {topology: {cores: 2}}\n', 'web.yaml has room for 2 vCPUs: raise cpus.topology first'],
  ])('of %j does not become 5', (before, message) => {
    expect(() => changed(before, 5)).toThrow(message);
  });
});
