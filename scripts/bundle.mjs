import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inkCaches } from './ink-caches.mjs';
import { koffiAddon } from './koffi-addon.mjs';
import { lateModules } from './late-modules.mjs';
import { divide } from './late-parts.mjs';
import { thirdPartyLicenses } from './licenses.mjs';
import { bundleMachines } from './machine-bundles.mjs';
import { writeNew } from './replace-file.mjs';
import { yogaAtOnce } from './yoga-at-once.mjs';
import { zodParts } from './zod-parts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The UI, whose late imports it loads up front, because an upgrade removes the files. */
const UI = 'src/app.tsx';

const COMMON = {
  metafile: true,
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  jsx: 'automatic',
  // Don't minify names: stack traces need them, and esbuild's keepNames costs a call per closure.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  plugins: [inkCaches, yogaAtOnce, zodParts, koffiAddon],
  logLevel: 'warning',
};
const DEFINE = {
  VRING_VERSION: JSON.stringify(version),
  'process.env.NODE_ENV': '"production"',
  'process.env.DEV': '"false"',
};
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

/** Bundles of one file each, which load faster than chunks or modules: for the starts of VMs and of the UI. */
const ONE_FILE = {
  ...COMMON,
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  plugins: [...COMMON.plugins, lateModules()],
  define: {
    ...DEFINE,
    VRING_ONE_FILE: 'true',
    'import.meta.dirname': '__dirname',
    'import.meta.url': '__filename',
  },
};

/** Bundles that src/files/compiled-program.ts loads. */
const COMPILED = ['run-here.cjs', 'ui-program.cjs', 'machine-thread-program.cjs'];

/** What the first frame of the UI does not need: schemas, device models, the native library. */
const LATE_IN_UI = [
  'src/actions/new-vm-form.ts',
  'src/definitions/device-check.ts',
  'src/definitions/fields/',
  'src/definitions/json-schema.ts',
  'src/definitions/schema.ts',
  'src/devices/device-config.ts',
  'src/devices/registry.ts',
  'src/host/recorded-facts.ts',
  'src/host/vfio/taken.ts',
  'src/vmm/native/libc.ts',
];

/** What a VM of `vring run` needs only if it has devices of the host, a snapshot, a guest agent or such. */
const LATE_IN_RUN = [
  'src/devices/net/network-facts.ts',
  'src/engine/guest-agent/',
  'src/engine/hotplug/',
  'src/engine/machines/machine-messages.ts',
  'src/engine/snapshots/',
  'src/host/live-facts.ts',
  'src/host/networks/definition.ts',
  'src/host/plan/journal-schema.ts',
  'src/host/recorded-facts.ts',
  'src/host/vfio/taken.ts',
  'src/vmm/snapshot/manifest.ts',
];

/**
 * An esbuild plugin for a bundle that is started by another one: it uses that bundle's copy of a module.
 * @param module its path in the project
 */
function startedBy(bundle, module) {
  return {
    name: 'started-before',
    setup(build) {
      build.onResolve({ filter: new RegExp(`/${basename(module)}$`) }, ({ path, resolveDir }) =>
        relative(root, join(resolveDir, path)) === module
          ? { path: `./${bundle}`, external: true }
          : undefined,
      );
    },
  };
}

/** Bundles the program and its threads into dist/. */
export async function bundle() {
  // Imported late: the build first reports what is missing.
  const esbuild = await import('esbuild');
  const [program] = await Promise.all([
    esbuild.build({
      ...COMMON,
      entryPoints: {
        cli: 'src/cli.ts',
        'host-thread': 'src/host-service/thread.ts',
        'host-process': 'src/host/plan/host-process.ts',
        // What device modules and their tests import.
        device: 'src/devices/modules/api.ts',
        'device-testing': 'test/support/device-testing.ts',
      },
      splitting: true,
      chunkNames: 'chunks/[name]-[hash]',
      define: DEFINE,
      banner: { js: REQUIRE },
    }),
    // What scripts run VMs with.
    esbuild.build({ ...ONE_FILE, entryPoints: { run: 'src/run.ts' } }),
    bundleWithoutModels(esbuild, {
      entryPoints: { 'run-here': 'src/commands/run-here-program.ts' },
      plugins: [lateModules(LATE_IN_RUN)],
    }),
    bundleWithoutModels(esbuild, { entryPoints: { serve: 'src/commands/serve-program.ts' }, plugins: [] }),
    esbuild.build({ ...ONE_FILE, entryPoints: { ui: 'src/ui.ts' } }),
    esbuild.build({
      ...ONE_FILE,
      entryPoints: { 'ui-program': 'src/commands/ui-program.ts' },
      plugins: [
        ...COMMON.plugins,
        lateModules(LATE_IN_UI),
        startedBy('ui.cjs', 'src/manager/start-manager.ts'),
      ],
    }),
    esbuild.build({
      ...ONE_FILE,
      entryPoints: { 'machine-thread': 'src/vmm/machine/machine-thread-start.ts' },
    }),
    // A manager keeps copies of the output (src/engine/machines/machine-code.ts).
    bundleMachines(ONE_FILE),
  ]);
  for (const name of COMPILED) addDigest(join(dist, name));
  declareDeviceApi();
  const { inputs, outputs } = program.metafile;
  const written = new Set(Object.keys(outputs).map(path => basename(path)));
  for (const chunk of readdirSync(join(dist, 'chunks'))) {
    if (!written.has(chunk)) rmSync(join(dist, 'chunks', chunk));
  }
  writeFileSync(join(dist, 'load-ahead.json'), JSON.stringify(importedLate(UI, outputs)));
  writeFileSync(join(dist, 'third-party-licenses.txt'), thirdPartyLicenses(Object.keys(inputs)));
}

/** Makes a bundle a function with a digest in front, by which its compiled code is found. */
function addDigest(file) {
  const content = Buffer.concat([
    Buffer.from('(function(exports,require,module,__filename,__dirname){'),
    readFileSync(file),
    Buffer.from('})\n'),
  ]);
  const place = content.findIndex(byte => byte > 0x7f);
  if (place >= 0) throw new Error(`${file} is not in ASCII at byte ${place}: vring loads it as if it were`);
  const digest = createHash('sha256').update(content).digest('hex');
  writeNew(file, Buffer.concat([Buffer.from(`//${digest}\n`), content]));
}

/** A single-file bundle for a program that runs no machine: it evaluates no device models. */
async function bundleWithoutModels(esbuild, { entryPoints, plugins }) {
  const options = { ...ONE_FILE, entryPoints, plugins: [...COMMON.plugins, ...plugins] };
  const { metafile } = await esbuild.build({ ...options, write: false });
  const { parts } = divide(metafile.inputs, Object.values(entryPoints));
  await esbuild.build({ ...options, plugins: [lateModules([...parts]), ...options.plugins] });
}

/** Declares the types that device modules import, in dist/types. */
function declareDeviceApi() {
  rmSync(join(dist, 'types'), { recursive: true, force: true });
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', join(root, 'tsconfig.types.json')], {
    stdio: 'inherit',
  });
}

/** The bundles, relative to dist/, that are only reached through a dynamic import() from `entry`, directly or not. */
function importedLate(entry, outputs) {
  const start = Object.keys(outputs).find(path => outputs[path].entryPoint === entry);
  if (start === undefined) throw new Error(`no bundle has the entry point ${entry}`);
  const imported = (path, kinds, found = new Set()) => {
    if (found.has(path)) return found;
    found.add(path);
    for (const { path: next, kind, external } of outputs[path].imports)
      if (!external && kinds.includes(kind) && !outputs[next].entryPoint?.startsWith('node_modules/'))
        imported(next, kinds, found);
    return found;
  };
  const atOnce = imported(start, ['import-statement']);
  const all = imported(start, ['import-statement', 'dynamic-import']);
  return [...all]
    .filter(path => !atOnce.has(path))
    .map(path => relative('dist', path))
    .sort();
}
