import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { manPage } from '../../scripts/cli-docs/man-page.ts';
import { cliMarkdown } from '../../scripts/cli-docs/markdown.ts';
import { escaped, item } from '../../scripts/cli-docs/roff.ts';
import { buildProgram } from '../../src/commands/program.ts';

const program = buildProgram();

test('docs/cli.md is what the commands say (npm run docs writes it)', async () => {
  await expect(cliMarkdown(program)).toMatchFileSnapshot('../../docs/cli.md');
});

test('man/vring.1 is what the commands say (npm run docs writes it)', async () => {
  await expect(manPage(program)).toMatchFileSnapshot('../../man/vring.1');
});

test('what roff would take for its own is escaped', () => {
  expect(escaped("a\\b --x ~/.c 'q'\n.SH it")).toBe('a\\eb \\-\\-x \\(ti/.c \\(aqq\\(aq\n\\&.SH it');
  expect(item('-x', 'see `vring vm`')).toBe('.TP\n\\fB\\-x\\fR\nsee \\fBvring vm\\fR');
});

test('groff reads the man page without a warning', ({ skip }) => {
  const page = join(import.meta.dirname, '../../man/vring.1');
  try {
    execFileSync('groff', ['--version'], { stdio: 'ignore' });
  } catch {
    skip('groff is not installed');
  }
  const warnings = execFileSync('sh', ['-c', `groff -man -Tutf8 -ww "${page}" 2>&1 >/dev/null`], {
    encoding: 'utf8',
  });
  expect(warnings).toBe('');
});
