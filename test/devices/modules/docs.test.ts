import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot } from '../../../src/project-root.ts';

const read = (file: string) => readFileSync(join(projectRoot(), file), 'utf8');

test.each(['tick-counter.ts', 'tick-counter.test.ts'])('docs/devices.md has the current text of %s', file => {
  const blocks = [...read('docs/devices.md').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  expect(blocks).toContain(read(`examples/device/${file}`));
});

test('the example is short', () => {
  expect(read('examples/device/tick-counter.ts').trimEnd().split('\n').length).toBeLessThan(100);
});
