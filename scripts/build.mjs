// Builds what vring runs from: the native library, the embedded guest and the bundles, all into dist/.
// Plain JavaScript, since it runs before anything has been built and on whatever Node npm has.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inkCaches } from './ink-caches.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

/** What each tool is needed for, and how to get it. */
const tools = {
  cargo: 'the native library (Rust 1.85 or newer): apt-get install cargo, or https://rustup.rs',
  cc: 'the native library and the embedded guest: apt-get install gcc',
  make: 'the embedded guest: apt-get install make',
};

function requireTools() {
  const missing = Object.entries(tools).filter(([tool]) => !canRun(tool));
  if (missing.length === 0) return;
  for (const [tool, purpose] of missing) console.error(`vring: ${tool} is missing; it builds ${purpose}`);
  process.exit(1);
}

function canRun(tool) {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Runs a build command, silent unless it fails. */
function run(what, command, args) {
  const started = Date.now();
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    console.error(`vring: building ${what} failed: ${command} ${args.join(' ')}`);
    console.error(String(error.stdout ?? '') + String(error.stderr ?? error.message));
    process.exit(1);
  }
  console.log(`vring: built ${what} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

function buildNative() {
  run('the native library', 'cargo', [
    'build',
    '--release',
    '--locked',
    '--manifest-path',
    'native/Cargo.toml',
  ]);
  // A running vring keeps the library mapped: a new file, never new bytes in the old one.
  rmSync(join(dist, 'libvring_native.so'), { force: true });
  copyFileSync(join(root, 'native/target/release/libvring_native.so'), join(dist, 'libvring_native.so'));
}

function buildGuest() {
  run('the embedded guest', 'make', ['-C', 'guest', `OUT=${join(dist, 'guest.elf')}`]);
}

async function bundle() {
  let esbuild;
  try {
    esbuild = await import('esbuild');
  } catch {
    if (existsSync(join(dist, 'cli.js'))) return; // installed from the registry, with the bundles in the package
    throw new Error('esbuild is missing: run npm ci with its development packages');
  }
  const started = Date.now();
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
    external: ['koffi'],
    plugins: [inkCaches],
    alias: { 'react-devtools-core': join(root, 'scripts/empty-module.mjs') },
    define: {
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
  console.log(`vring: bundled the program in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

const parts = { native: buildNative, guest: buildGuest, bundle };
const asked = process.argv.slice(2);
const unknown = asked.find(part => !(part in parts));
if (unknown !== undefined) {
  console.error(`vring: no part "${unknown}"; the parts are: ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
mkdirSync(dist, { recursive: true });
if (asked.length === 0 || asked.includes('native') || asked.includes('guest')) requireTools();
for (const [name, build] of Object.entries(parts)) {
  if (asked.length === 0 || asked.includes(name)) await build();
}
