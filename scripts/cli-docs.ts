// Generates the documentation of the commands: npm run docs.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildProgram } from '../src/commands/program.ts';
import { manPage } from './cli-docs/man-page.ts';
import { cliMarkdown } from './cli-docs/markdown.ts';
import { metricsMarkdown } from './cli-docs/metrics-page.ts';

const root = dirname(import.meta.dirname);
const program = buildProgram();

for (const [file, text] of [
  ['docs/cli.md', cliMarkdown(program)],
  ['docs/metrics.md', metricsMarkdown()],
  ['man/vring.1', manPage(program)],
] as const) {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
  console.log(`wrote ${file}`);
}
