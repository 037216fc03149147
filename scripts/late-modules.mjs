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
 * An esbuild plugin for bundles in CommonJS format: these modules are loaded on first use. The text of a package is a
 * string until then: V8 keeps track of every function of a program, called or not.
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
      const isOwn = path.startsWith('./');
      const names = isOwn ? await exportsOf(bundle.esbuild, path) : namesIn(await import(path));
      const getters = names
        .filter(name => /^\w+$/.test(name) && name !== 'default')
        .map(name => `get ${name}() { return load().${name}; }`);
      const load = isBuiltin(path)
        ? `process.getBuiltinModule('${path}')`
        : isOwn
          ? `require('${path}')`
          : evaluating(path, await textOf(bundle, path));
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

/** A package in one file in CommonJS format. */
async function textOf({ esbuild, initialOptions }, path) {
  const { platform, target, minifyWhitespace, minifySyntax, legalComments, define } = initialOptions;
  const { outputFiles } = await esbuild.build({
    ...{ platform, target, minifyWhitespace, minifySyntax, legalComments, define },
    absWorkingDir: root,
    stdin: { contents: `module.exports = require('${path}');`, resolveDir: root },
    bundle: true,
    format: 'cjs',
    write: false,
    logLevel: 'warning',
  });
  return outputFiles[0].text;
}

/** An expression that evaluates the text of a module. */
function evaluating(path, text) {
  const wrapped = JSON.stringify(`(function(require,module,exports,__filename){${text}})`);
  return `(module => {
  const { Script } = process.getBuiltinModule('node:vm');
  new Script(${wrapped}, { filename: '${path}' }).runInThisContext()(
    process.getBuiltinModule('node:module').createRequire(__filename), module, module.exports, __filename);
  return module.exports;
})({ exports: {} })`;
}

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
