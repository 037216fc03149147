import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Packages that take milliseconds to load and that starts of VMs and of the UI do not need. */
const PACKAGES = [
  '@xterm/headless',
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
  'node:worker_threads',
  'node:zlib',
];

/**
 * An esbuild plugin for bundles in CommonJS format: these modules are loaded on first use.
 * @param files further late modules of this bundle: paths of files and folders in the project. Modules that import them
 * must not use them while being loaded
 */
export const lateModules = (files = []) => ({
  name: 'late-modules',
  setup(bundle) {
    const isLate = path => files.some(file => path === file || (file.endsWith('/') && path.startsWith(file)));
    bundle.onResolve({ filter: new RegExp(`^(${PACKAGES.join('|')})$`) }, ({ path, namespace }) =>
      namespace === 'late' ? undefined : { path, namespace: 'late' },
    );
    bundle.onResolve({ filter: /^\.{1,2}\// }, ({ path, namespace, resolveDir }) => {
      const file = relative(root, join(resolveDir, path));
      return namespace !== 'late' && isLate(file) ? { path: `./${file}`, namespace: 'late' } : undefined;
    });
    bundle.onLoad({ filter: /.*/, namespace: 'late' }, async ({ path }) => {
      const load = isBuiltin(path) ? `process.getBuiltinModule('${path}')` : `require('${path}')`;
      const names = path.startsWith('./')
        ? await exportsOf(bundle.esbuild, path)
        : namesIn(await import(path));
      const getters = names
        .filter(name => /^\w+$/.test(name) && name !== 'default')
        .map(name => `get ${name}() { return load().${name}; }`);
      return {
        resolveDir: root,
        contents: `
let loaded;
const load = () => (loaded ??= ${load});
module.exports = { ${getters.join(', ')} };`,
      };
    });
  },
});

/** The names that a package exports, those of a CommonJS module included. */
function namesIn(module) {
  return [...new Set([...Object.keys(module), ...Object.keys(module.default ?? {})])];
}

/** The names that a module of the project exports. */
async function exportsOf(esbuild, path) {
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [path],
    format: 'esm',
    write: false,
    metafile: true,
    outdir: 'dist',
    logLevel: 'warning',
  });
  return Object.values(metafile.outputs)[0].exports;
}
