import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NATIVE_FILES, OLDEST_GLIBC, requireGlibc, symbolsNewerThan } from '../../scripts/check-glibc.ts';
import { builtFile, projectRoot } from '../../src/project-root.ts';

const dist = join(projectRoot(), 'dist');

test.each(NATIVE_FILES)('%s runs with the glibc of Debian 12 and RHEL 9', name => {
  expect(symbolsNewerThan(builtFile(name), OLDEST_GLIBC)).toEqual([]);
  expect(() => requireGlibc(dist)).not.toThrow();
});

test('a symbol of a newer glibc is found, and keeps the package from being built', () => {
  const newer = symbolsNewerThan(builtFile('libvring_native.so'), '2.17');
  expect(newer).toContain('pthread_create GLIBC_2.34');
  expect(newer.join('\n')).not.toMatch(/GLIBC_2\.(17|2\.5)$/m);
  expect(() => requireGlibc(dist, '2.17')).toThrow(
    /^\S+\/dist\/libvring_native\.so needs \S+ GLIBC_2\.\d+, but packages must run on glibc 2\.17: build them on /,
  );
});
