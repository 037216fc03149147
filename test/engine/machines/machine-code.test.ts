import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { machineProgram } from '../../../src/engine/machines/machine-code.ts';

test('machines run from the sources when everything else does', () => {
  for (const program of ['machine-thread', 'machine-process'] as const) {
    const path = machineProgram(program);
    expect(path).toMatch(new RegExp(`src/vmm/machine/${program}\\.ts$`));
    expect(existsSync(path)).toBe(true);
  }
});
