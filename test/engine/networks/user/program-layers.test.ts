import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { programLayers, programText } from '../../../../src/engine/networks/user/program-layers.ts';
import { type Layer, layerOf } from '../../../../src/vmm/confinement/layer.ts';

const STARTED: readonly Layer[] = [
  layerOf('mount-namespace', 0),
  layerOf('network', -1),
  layerOf('no-new-privs', 0),
];

describe("the confinement of a network's program", () => {
  test('consists of all layers: those of its start, and those that its report omits', () => {
    const layers = programLayers(STARTED, 'ready\n');
    expect(layers.filter(({ state }) => state === 'unavailable')).toEqual([]);
    expect(layers.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['mount-namespace', 'empty-root', 'capabilities', 'landlock', 'seccomp']),
    );
    expect(programText(layers, true)).toBe('vring-net-user, confined');
  });

  test.each([
    [`ready landlock:${constants.errno.EOPNOTSUPP}\n`, 'Landlock', /lsm=/],
    [
      `ready root:${constants.errno.EPERM} seccomp:${constants.errno.EINVAL}\n`,
      'empty root, seccomp',
      /root/,
    ],
  ])('%j: a missing layer is reported, and strict confinement rejects it', (said, lacks, reason) => {
    const layers = programLayers(STARTED, said);
    expect(programText(layers, false)).toBe(`vring-net-user, confined, without ${lacks}`);
    expect(() => programText(layers, true)).toThrow(/^strict confinement needs .* for vring-net-user/);
    expect(() => programText(layers, true)).toThrow(reason);
  });

  test('is still incomplete if a layer failed at its start', () => {
    const failed = layerOf('mount-namespace', constants.errno.EPERM);
    const layers = programLayers([failed], 'ready\n');
    expect(programText(layers, false)).toContain('without mount namespace');
  });
});
