import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
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
