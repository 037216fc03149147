import { expect, test } from 'vitest';
import { commandLine } from '../../src/commands/command-line.ts';
import { opensUi } from '../../src/commands/opens-ui.ts';
import { registerUi } from '../../src/commands/ui.ts';

test.each([
  [[]],
  [['--read-only']],
  [['--ascii', '--theme', 'mono']],
  [['--host-root', '/recorded', '--no-color']],
  [['--host-root=/recorded']],
])('%j opens the UI', words => {
  expect(opensUi(words)).toBe(true);
});

test.each([
  [['vm', 'list']],
  [['--read-only', 'vm', 'list']],
  [['--help']],
  [['-V']],
  [['--in-process']],
  [['--theme']],
  [['--host-root', '/recorded', 'host']],
  [['--read-only=yes']],
  [['--no-such-option']],
])('%j is a global option', words => {
  expect(opensUi(words)).toBe(false);
});

test('every option of the UI is accepted, except the one for running without a manager', () => {
  const { options } = commandLine([registerUi]);
  const unknown = options.filter(({ long, required }) => !opensUi(required ? [long!, 'x'] : [long!]));
  expect(unknown.map(({ long }) => long)).toEqual(['--version', '--in-process']);
});
