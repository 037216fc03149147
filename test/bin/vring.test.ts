import { copyFileSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { projectRoot, version } from '../../src/project-root.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = projectRoot();
const folder = temporaryFolder();

beforeAll(() => {
  symlinkSync(join(root, 'bin/vring'), join(folder, 'linked'));
  symlinkSync('linked', join(folder, 'linked-twice'));
  symlinkSync(join(root, 'bin'), join(folder, 'linked-folder'));
});

test.each([
  ['by its whole path', '/', join(root, 'bin/vring')],
  ['from the project', root, 'bin/vring'],
  ['from its own folder', join(root, 'bin'), './vring'],
  ['by a shell, without a path', join(root, 'bin'), 'sh vring'],
  ['from beside its folder', join(root, 'src'), '../bin/vring'],
  ['where cd goes elsewhere', root, 'CDPATH=/usr:/tmp bin/vring'],
  ['by a link', '/', join(folder, 'linked')],
  ['by a link to a link', folder, './linked-twice'],
  ['through a folder that is a link', '/', join(folder, 'linked-folder/vring')],
  ['by its name', '/', `PATH=${root}/bin:$PATH vring`],
])('vring is started %s', async (_, cwd, command) => {
  const { stdout } = await execa('sh', ['-c', `${command} --version`], { cwd });
  expect(stdout).toBe(version());
});

describe('without a bundled Node', () => {
  const installed = join(folder, 'installed');
  const path = join(folder, 'path-');

  /** @param node what is called `node` on the PATH: a file, or what a Node of that version prints */
  function withNode(node: { file: string } | { version: string } | null) {
    const PATH = mkdtempSync(path);
    for (const tool of ['mkdir', 'readlink']) symlinkSync(`/usr/bin/${tool}`, join(PATH, tool));
    if (node !== null && 'file' in node) symlinkSync(node.file, join(PATH, 'node'));
    if (node !== null && 'version' in node)
      writeFileSync(join(PATH, 'node'), `#!/bin/sh\necho ${node.version}\n`, { mode: 0o755 });
    return execa(join(installed, 'bin/vring'), ['--version'], {
      env: { PATH },
      extendEnv: false,
      reject: false,
    });
  }

  beforeAll(() => {
    mkdirSync(join(installed, 'bin'), { recursive: true });
    copyFileSync(join(root, 'bin/vring'), join(installed, 'bin/vring'));
    symlinkSync(join(root, 'dist'), join(installed, 'dist'));
  });

  test('vring uses the one on the PATH', async () => {
    const { stdout, stderr } = await withNode({ file: process.execPath });
    expect(stdout).toBe(version());
    expect(stderr).toBe('');
  });

  test.each([
    ['none', null],
    ['v20.20.2', { version: 'v20.20.2' }],
    ['v8.0.0', { version: 'v8.0.0' }],
    ['garbage', { version: 'garbage' }],
  ])('reports the next step in one sentence if that is %s', async (found, node) => {
    const { stdout, stderr, exitCode } = await withNode(node);
    expect(stderr).toBe(
      `vring: needs Node 24 or newer; its own is missing from ${installed}, and the PATH has ${found}: reinstall vring, or install Node 24`,
    );
    expect(stdout).toBe('');
    expect(exitCode).toBe(1);
  });
});

test.each([
  ['a checkout', 'run: npm ci', ['src/cli.ts']],
  ['a package', 'reinstall vring', []],
])('reports the next step in one sentence if %s was not built', async (_, repair, files) => {
  const incomplete = mkdtempSync(join(folder, 'incomplete-'));
  for (const file of ['bin/vring', ...files]) {
    mkdirSync(dirname(join(incomplete, file)), { recursive: true });
    copyFileSync(join(root, file), join(incomplete, file));
  }
  const { stderr, exitCode } = await execa(join(incomplete, 'bin/vring'), ['demo'], { reject: false });
  expect(stderr).toBe(`vring: ${incomplete}/dist/cli.js is missing; ${repair}`);
  expect(exitCode).toBe(1);
});
