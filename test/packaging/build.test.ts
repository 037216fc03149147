import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const BUILD = join(projectRoot(), 'scripts/build.mjs');
let folders = 0;
const folder = temporaryFolder();

/** Starts the build where the PATH has these tools and no others. @param tools what each prints for --version */
function buildWith(tools: Record<string, string>, ...parts: string[]) {
  const PATH = join(folder, String(folders++));
  mkdirSync(PATH);
  symlinkSync('/bin/sh', join(PATH, 'sh'));
  for (const [tool, version] of Object.entries(tools)) {
    writeFileSync(join(PATH, tool), `#!/bin/sh\n[ "$1" = --version ] && echo "${version}" && exit\nexit 9\n`);
    chmodSync(join(PATH, tool), 0o755);
  }
  return execa(process.execPath, [BUILD, ...parts], { env: { PATH }, extendEnv: false, reject: false });
}

test('every missing tool is named before anything is built', async () => {
  const { stderr, stdout, exitCode } = await buildWith({});
  expect(stderr.split('\n')).toEqual([
    'vring: cargo is missing; it builds the native library (Rust 1.85 or newer): https://rustup.rs',
    expect.stringMatching(/^vring: gcc is missing; it .*: apt-get install gcc/),
    expect.stringMatching(/^vring: make is missing; it .*: apt-get install make/),
    'vring: nothing was built; install these, then run npm ci again',
  ]);
  expect(stdout).toBe('');
  expect(exitCode).toBe(1);
});

test.each(['cargo 1.65.0', 'cargo 1.84.1 (66221abde 2024-11-19)', 'cargo 0.90.0'])(
  '%s is too old',
  async cargo => {
    const { stderr } = await buildWith({ cargo, gcc: 'gcc 12', make: 'GNU Make 4.3' });
    expect(stderr).toMatch(`vring: ${cargo} is too old; it builds the native library (Rust 1.85 or newer)`);
  },
);

test.each(['cargo 1.85.0', 'cargo 2.0.0-nightly'])(
  '%s is recent enough; its output is shown if it fails',
  async cargo => {
    const { stdout, stderr, exitCode } = await buildWith(
      { cargo, gcc: 'gcc 12', make: 'GNU Make 4.3' },
      'native',
    );
    expect(stdout).toMatch(/^vring: building the native library and program \(.*\) \.\.\.$/);
    expect(stderr).toMatch(/^vring: cannot build the native library(?: and program)?: cargo build /);
    expect(exitCode).toBe(1);
  },
);

test('packages that npm left out are named before anything is built', async () => {
  const checkout = join(folder, 'checkout');
  cpSync(dirname(BUILD), join(checkout, 'scripts'), { recursive: true });
  cpSync(join(projectRoot(), 'package.json'), join(checkout, 'package.json'));
  const build = join(checkout, 'scripts/build.mjs');
  const { stdout, stderr, exitCode } = await execa(process.execPath, [build], { reject: false });
  expect(stderr.split('\n')).toEqual([
    "vring: npm's development packages are missing; they are needed to build: npm ci --include=dev",
    'vring: nothing was built; install these, then run npm ci again',
  ]);
  expect(stdout).toBe('');
  expect(exitCode).toBe(1);
});

test('an unknown part is a usage error', async () => {
  const { stderr, exitCode } = await buildWith({}, 'nativ');
  expect(stderr).toBe('vring: no part "nativ"; the parts are: native, guest, bundle');
  expect(exitCode).toBe(2);
});
