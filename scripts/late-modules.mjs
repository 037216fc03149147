import { isBuiltin } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What no VM needs to start, and takes milliseconds to load. */
const LATE = [
  'execa',
  'yaml',
  'node:child_process',
  'node:crypto',
  'node:fs/promises',
  'node:net',
  'node:readline',
  'node:stream/promises',
  'node:string_decoder',
  'node:timers/promises',
  'node:tls',
  'node:tty',
  'node:zlib',
];

/** An esbuild plugin for bundles in CommonJS format: these modules are loaded when something of them is used first. */
export const lateModules = {
  name: 'late-modules',
  setup(build) {
    build.onResolve({ filter: new RegExp(`^(${LATE.join('|')})$`) }, ({ path, namespace }) =>
      namespace === 'late' ? undefined : { path, namespace: 'late' },
    );
    build.onLoad({ filter: /.*/, namespace: 'late' }, async ({ path }) => {
      const load = isBuiltin(path) ? `process.getBuiltinModule('${path}')` : `require('${path}')`;
      const names = Object.keys(await import(path)).filter(name => /^\w+$/.test(name) && name !== 'default');
      const getters = names.map(name => `get ${name}() { return load().${name}; }`);
      return {
        resolveDir: root,
        contents: `const load = () => ${load};\nmodule.exports = { ${getters.join(', ')} };`,
      };
    });
  },
};
