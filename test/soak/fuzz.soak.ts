import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';

/** Of each target; VRING_FUZZ_SECONDS is for a night. */
const SECONDS = Number(process.env.VRING_FUZZ_SECONDS ?? 120);
const TARGETS = 7;
const BUILD_SECONDS = 1800;

test('fuzzing the data plane, guided by coverage, finds nothing', {
  timeout: (BUILD_SECONDS + TARGETS * 2 * SECONDS) * 1000,
}, async () => {
  const { exitCode, all } = await execa(join(projectRoot(), 'scripts/fuzz.sh'), [String(SECONDS)], {
    all: true,
    reject: false,
  });
  expect(exitCode, all).toBe(0);
  expect(all!.match(/stat::number_of_executed_units/g)).toHaveLength(TARGETS);
});
