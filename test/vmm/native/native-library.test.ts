import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { builtFile, projectRoot, version } from '../../../src/project-root.ts';
import { ABI_VERSION } from '../../../src/vmm/native/abi.ts';
import { bindNative, nativeCalls } from '../../../src/vmm/native/native-library.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const folder = temporaryFolder();

/** A library with these C functions. */
async function library(name: string, source: string): Promise<string> {
  const path = join(folder, `${name}.so`);
  writeFileSync(`${path}.c`, source);
  await execa('gcc', ['-shared', '-fPIC', '-o', path, `${path}.c`]);
  return path;
}

const abi = (number: number) => `unsigned vring_abi_version(void) { return ${number}; }\n`;
const built = (text: string) => `const char *vring_version(void) { return "${text}"; }\n`;

test('the built library has this version', () => {
  expect(nativeCalls().vring_layout()).toContain('abiVersion');
});

test('the crate and the package have the same version', async () => {
  const args = ['pkgid', '--manifest-path', join(projectRoot(), 'native/Cargo.toml')];
  const { stdout } = await execa('cargo', args);
  expect(stdout).toMatch(new RegExp(`[#@]${version()}$`));
});

test.each([
  ['another version', abi(ABI_VERSION) + built('0.0.9'), `vring 0.0.9 (ABI ${ABI_VERSION})`],
  ['another ABI', abi(999) + built(version()), `vring ${version()} (ABI 999)`],
  ['no version', abi(ABI_VERSION), 'an unknown version'],
  ['nothing', 'int unrelated;', 'an unknown version'],
])('a library of %s is rejected', async (name, source, found) => {
  const path = await library(name.replaceAll(' ', '-'), source);
  expect(() => bindNative(path)).toThrow(
    `${path} belongs to ${found}, but this is vring ${version()} (ABI ${ABI_VERSION}): run npm ci or npm run build`,
  );
});

test('reports a library that cannot be loaded, with the reason', () => {
  const missing = join(folder, 'missing.so');
  expect(() => bindNative(missing)).toThrow(
    `cannot load ${missing}: cannot open shared object file: No such file or directory; run npm ci or npm run build`,
  );
  expect(() => bindNative(builtFile('guest.elf'))).toThrow(/^cannot load \S+guest\.elf: .*; run npm ci/);
});

test('reports which newer glibc a library needs', async () => {
  // A future C library, which only exists while linking this.
  const libc = join(folder, 'libc.so.6');
  writeFileSync(join(folder, 'future.c'), 'int future(void) { return 0; }');
  writeFileSync(join(folder, 'future.map'), 'GLIBC_9.87 { future; };');
  const link = [
    '-shared',
    '-nostdlib',
    '-Wl,-soname,libc.so.6',
    '-Wl,--version-script',
    join(folder, 'future.map'),
  ];
  await execa('gcc', [...link, '-o', libc, join(folder, 'future.c')]);
  const path = join(folder, 'new.so');
  writeFileSync(join(folder, 'new.c'), 'int future(void); int use(void) { return future(); }');
  await execa('gcc', ['-shared', '-fPIC', '-nostdlib', '-o', path, join(folder, 'new.c'), libc]);
  expect(() => bindNative(path)).toThrow(
    /^cannot load \S+new\.so: .*; use a system with glibc 9\.87 or newer$/,
  );
});
