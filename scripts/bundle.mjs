import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inkCaches } from './ink-caches.mjs';
import { koffiAddon } from './koffi-addon.mjs';
import { thirdPartyLicenses } from './licenses.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Bundles the program and its threads into dist/. */
export async function bundle() {
  const esbuild = await import('esbuild').catch(() => {
    throw new Error('esbuild is missing: run npm ci with the development packages');
  });
  const { metafile } = await esbuild.build({
    metafile: true,
    absWorkingDir: root,
    entryPoints: {
      cli: 'src/cli.ts',
      'machine-thread': 'src/vmm/machine/thread.ts',
      'host-thread': 'src/host-service/thread.ts',
    },
    outdir: 'dist',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    jsx: 'automatic',
    // Names stay as they are: stack traces name functions, and asking esbuild to put them back costs every closure a call.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    plugins: [inkCaches, koffiAddon],
    alias: { 'react-devtools-core': join(root, 'scripts/empty-module.mjs') },
    define: {
      VRING_VERSION: JSON.stringify(version),
      'process.env.NODE_ENV': '"production"',
      'process.env.DEV': '"false"',
      // Yoga would load Node's whole HTTP client to fetch its WebAssembly from a data: URL; without it, it decodes that itself.
      fetch: 'undefined',
    },
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  const written = new Set(Object.keys(metafile.outputs).map(path => basename(path)));
  for (const chunk of readdirSync(join(dist, 'chunks'))) {
    if (!written.has(chunk)) rmSync(join(dist, 'chunks', chunk));
  }
  writeFileSync(join(dist, 'third-party-licenses.txt'), thirdPartyLicenses(Object.keys(metafile.inputs)));
}
