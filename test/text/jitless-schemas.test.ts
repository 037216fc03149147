import '../../src/text/jitless-schemas.ts';

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import * as z from 'zod';
import { projectRoot } from '../../src/project-root.ts';

test('schemas made later check values without compiling a function', () => {
  const compile = vi.spyOn(globalThis, 'Function');
  expect(z.strictObject({ name: z.string() }).parse({ name: 'web' })).toEqual({ name: 'web' });
  expect(compile).not.toHaveBeenCalled();
});

test('a VM of vring run in a pipe makes no schemas before', () => {
  const text = readFileSync(join(projectRoot(), 'src/commands/run-here-program.ts'), 'utf8');
  const [first] = text.split('\n').filter(line => line.startsWith('import '));
  expect(first).toContain('jitless-schemas.ts');
});
