import { createHash } from 'node:crypto';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CORE, divide, LOAD, withoutCore, withoutParts } from './late-parts.mjs';
import { writeNew } from './replace-file.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const PARTS_FILE = 'machine-parts.js';

const ENTRIES = {
  'machine-thread-program': 'src/vmm/machine/machine-thread.ts',
  'machine-process': 'src/vmm/machine/machine-process.ts',
};

/**
 * Bundles the code that runs a machine: one file with what every machine needs, and machine-parts.js with device models
 * and others that few need, which src/vmm/machine/late-parts.ts loads.
 * @param options of esbuild, for bundles in CommonJS format
 */
export async function bundleMachines(options) {
  const esbuild = await import('esbuild');
  const { metafile } = await esbuild.build({ ...options, entryPoints: ENTRIES, write: false });
  const { core, parts } = divide(metafile.inputs, Object.values(ENTRIES));
  const late = await bundleParts(esbuild, options, core, [...parts]);
  await Promise.all(
    Object.entries(ENTRIES).map(([name, path]) =>
      esbuild.build({
        ...options,
        entryPoints: { [name]: `machine:${path}` },
        banner: { js: `"use strict";var ${LOAD};` },
        plugins: [...options.plugins, withoutParts(core, late.exports), machineEntry(late)],
      }),
    ),
  );
}

/** @returns the names that each part exports, its place in the file, and the modules of `core` that the parts import */
async function bundleParts(esbuild, options, core, parts) {
  const { outputFiles, metafile } = await esbuild.build({
    ...options,
    entryPoints: parts,
    write: false,
    format: 'esm',
    outExtension: { '.js': '.js' },
    splitting: true,
    entryNames: '[name]-[hash]',
    chunkNames: 'shared-[hash]',
    plugins: [withoutCore(core), ...options.plugins],
  });
  const nameOf = output => metafile.outputs[output].entryPoint ?? basename(output);
  const names = new Map(
    Object.keys(metafile.outputs).map(output => [`./${basename(output)}`, nameOf(output)]),
  );
  const exports = new Map();
  const imported = new Set();
  const index = {};
  const texts = [];
  let offset = 0;
  for (const { path, text } of outputFiles) {
    const output = relative(root, path);
    const { entryPoint, exports: exported, imports } = metafile.outputs[output];
    for (const { path: from } of imports) if (from.startsWith(CORE)) imported.add(from.slice(CORE.length));
    if (entryPoint !== undefined) exports.set(entryPoint, exported);
    const { code } = await esbuild.transform(text, {
      format: 'cjs',
      platform: options.platform,
      target: options.target,
      minifyWhitespace: true,
      minifySyntax: true,
    });
    const named = code.replace(/\brequire\("(\.\/[\w.-]+)"\)/g, (_, name) => `require("${names.get(name)}")`);
    const wrapped = Buffer.from(`(function(exports,require,module,__filename,__dirname){${named}})\n`);
    index[nameOf(output)] = [offset, wrapped.length];
    offset += wrapped.length;
    texts.push(wrapped);
  }
  const bytes = Buffer.concat(texts);
  const digest = createHash('sha256').update(bytes).digest('hex');
  const firstLine = `//${digest}\n`;
  for (const place of Object.values(index)) place[0] += firstLine.length;
  writeNew(join(root, 'dist', PARTS_FILE), Buffer.concat([Buffer.from(firstLine), bytes]));
  return { exports, index, imported, digest };
}

/** An esbuild plugin: the entry points `machine:PATH`, which open the file of parts first. */
const machineEntry = ({ index, imported, digest }) => ({
  name: 'machine-entry',
  setup(build) {
    const paths = [...imported];
    const modules = {
      'machine:parts': `
import { join } from 'node:path';
import { LateParts } from './src/vmm/machine/late-parts.ts';
const file = join(import.meta.dirname, '${PARTS_FILE}');
export const core = {};
const parts = new LateParts(file, '${digest}', ${JSON.stringify(index)}, core, require);
${LOAD} = name => parts.load(name);
process.once('exit', () => parts.close());`,
      'machine:core': `
import { core } from 'machine:parts';
${paths.map((path, at) => `import * as module${at} from './${path}';`).join('\n')}
Object.assign(core, { ${paths.map((path, at) => `'${CORE}${path}': module${at}`).join(', ')} });`,
    };
    build.onResolve({ filter: /^machine:/ }, ({ path }) => ({ path, namespace: 'machine-entry' }));
    build.onLoad({ filter: /.*/, namespace: 'machine-entry' }, ({ path }) => ({
      resolveDir: root,
      contents:
        modules[path] ??
        `import 'machine:parts'; import 'machine:core'; import './${path.slice('machine:'.length)}';`,
    }));
  },
});
