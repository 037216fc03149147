import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { projectRoot, version } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { Sandbox } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder();
const sandbox = new Sandbox(folder);
const tarball = join(folder, `vring-${version()}.tgz`);
const VRING = join(folder, 'prefix/bin/vring');
/** All that such a system has: no cargo, gcc or make. */
const PATH = join(folder, 'path');
const PROGRAMS = ['sh', 'env', 'readlink', 'mkdir', 'npm', 'node'];

beforeAll(async () => {
  await execa('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: projectRoot() });
  mkdirSync(PATH);
  for (const program of PROGRAMS) {
    const { stdout } = await execa('sh', ['-c', `command -v ${program}`]);
    symlinkSync(stdout, join(PATH, program));
  }
}, 60_000);

test('the package contains what is needed to run, and nothing that needs a compiler', async () => {
  const { stdout } = await execa('tar', ['--list', '--file', tarball]);
  const folders = new Set(stdout.split('\n').map(path => path.split('/').slice(0, 2).join('/')));
  expect([...folders].sort()).toEqual(
    ['LICENSE', 'README.md', 'bin', 'dist', 'docs', 'examples', 'man', 'package.json', 'packaging'].map(
      name => `package/${name}`,
    ),
  );
  expect(stdout.split('\n')).toEqual(
    expect.arrayContaining(
      ['cli.js', 'machine-thread.cjs', 'libvring_native.so', 'vring-net-user', 'koffi.node', 'guest.elf'].map(
        file => `package/dist/${file}`,
      ),
    ),
  );
});

test('device modules and their tests find types and classes in it', async () => {
  const project = join(folder, 'project');
  mkdirSync(join(project, 'node_modules/vring'), { recursive: true });
  const into = ['--directory', join(project, 'node_modules/vring'), '--strip-components=1'];
  await execa('tar', ['--extract', '--file', tarball, ...into]);
  cpSync(join(project, 'node_modules/vring/examples/device'), project, { recursive: true });
  symlinkSync(join(projectRoot(), 'node_modules/vitest'), join(project, 'node_modules/vitest'));
  writeFileSync(join(project, 'package.json'), '{"type": "module"}');
  const compilerOptions = { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, types: [] };
  const options = { ...compilerOptions, allowImportingTsExtensions: true, skipLibCheck: true };
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, include: ['*.ts'] }),
  );
  const tool = (name: string) => join(projectRoot(), 'node_modules/.bin', name);
  await execa(tool('tsc'), ['-p', project]);
  const report = join(project, 'report.json');
  await execa(tool('vitest'), ['run', '--root', project, '--reporter', 'json', '--outputFile', report]);
  expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({ success: true, numPassedTests: 5 });
  // The check finds a wrong type.
  writeFileSync(
    join(project, 'wrong.ts'),
    "import { PciFunction } from 'vring/device';\nnew PciFunction(1);",
  );
  await expect(execa(tool('tsc'), ['-p', project])).rejects.toThrow('wrong.ts');
}, 60_000);

test("no install script has to run, neither its own nor a dependency's", () => {
  const { scripts, dependencies } = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8'));
  for (const event of ['preinstall', 'install', 'postinstall', 'prepare'])
    expect(scripts).not.toHaveProperty(event);
  const lock = JSON.parse(readFileSync(join(projectRoot(), 'package-lock.json'), 'utf8'));
  for (const name of Object.keys(dependencies))
    expect(lock.packages[`node_modules/${name}`].hasInstallScript).toBeUndefined();
});

test('it is installed without a compiler and without a warning, and runs', async () => {
  const args = ['install', '--global', '--prefix', join(folder, 'prefix'), '--prefer-offline', tarball];
  const { all } = await execa('npm', args, {
    // A proxy between here and the registry may have a certificate of its own.
    env: { PATH, HOME: homedir(), NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS },
    extendEnv: false,
    cwd: folder,
    all: true,
  });
  expect(all).not.toMatch(/warn|error/i);
  const { stdout } = await execa(VRING, ['version', '--json'], {
    env: { ...sandbox.env, PATH },
    extendEnv: false,
  });
  expect(JSON.parse(stdout)).toMatchObject({ vring: version(), node: expect.stringMatching(/^v24\./) });
}, 180_000);

describe(onKvm('the demo'), () => {
  test.skipIf(noKvm !== null)('runs from it', async () => {
    const { stdout } = await execa(VRING, ['demo', '--json'], {
      env: { ...sandbox.env, PATH },
      extendEnv: false,
    });
    expect(JSON.parse(stdout).vm).toMatchObject({ name: 'demo', state: 'running' });
  });
});
