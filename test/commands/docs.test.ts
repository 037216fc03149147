import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { manPage } from '../../scripts/cli-docs/man-page.ts';
import { cliMarkdown } from '../../scripts/cli-docs/markdown.ts';
import { escaped, filled, item, verbatim } from '../../scripts/cli-docs/roff.ts';
import { buildProgram } from '../../src/commands/program.ts';

const program = buildProgram();

test('docs/cli.md is up to date (run npm run docs)', async () => {
  await expect(cliMarkdown(program)).toMatchFileSnapshot('../../docs/cli.md');
});

test('man/vring.1 is up to date (run npm run docs)', async () => {
  await expect(manPage(program)).toMatchFileSnapshot('../../man/vring.1');
});

test('escapes roff control characters', () => {
  expect(escaped("a\\b --x ~/.c 'q'")).toBe('a\\eb \\-\\-x \\(ti/.c \\(aqq\\(aq');
  expect(verbatim(['.SH it'])).toContain('\n\\&.SH it\n');
  expect(filled(`${'word '.repeat(15)}.SH it`)).toBe(`${'word '.repeat(15)}.SH\nit`);
  expect(filled(`${'word '.repeat(16)}.SH it`)).toBe(`${'word '.repeat(16).trim()}\n\\&.SH it`);
  expect(item('-x', 'see `vring vm`')).toBe('.TP\n\\fB\\-x\\fR\nsee \\fBvring vm\\fR');
});

test('groff reads the man page without warnings', ({ skip }) => {
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

test('mandoc -T lint accepts the man page', ({ skip }) => {
  const page = join(import.meta.dirname, '../../man/vring.1');
  const { error, stdout, stderr } = spawnSync('mandoc', ['-T', 'lint', page], { encoding: 'utf8' });
  skip(error !== undefined, 'mandoc is not installed');
  expect(stdout + stderr).toBe('');
});
