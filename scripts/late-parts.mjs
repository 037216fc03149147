import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * The table of devices. What its imports import in turn is a device's model, which only machines with such a device
 * load.
 */
const REGISTRY = 'src/devices/registry.ts';
const TABLE = 'src/devices/device-table.ts';
/** Models of most machines, which are always loaded. */
const USUAL = [
  'src/devices/legacy/i8042.ts',
  'src/devices/legacy/rtc.ts',
  'src/devices/legacy/serial.ts',
  'src/devices/virtio/transport-pci.ts',
];
/** Helpers that make rows are rows, too. */
const ROWS = /^src\/devices\/.*\brows?\.ts$/;

/** Other files and folders that few machines need, or only on request. */
const LATE = [
  'src/devices/firmware/',
  'src/vmm/backends/host-scsi.ts',
  'src/vmm/backends/net/',
  'src/vmm/backends/open-disk.ts',
  'src/vmm/backends/tpm/',
  'src/vmm/boot/firmware-items.ts',
  'src/vmm/boot/firmware-kernel.ts',
  'src/vmm/boot/firmware-flash.ts',
  'src/vmm/chipset/q35.ts',
  'src/vmm/machine/device-modules.ts',
  'src/vmm/machine/hand-over/given-machine.ts',
  'src/vmm/machine/hand-over/giver.ts',
  'src/vmm/machine/hand-over/private-ram.ts',
  'src/vmm/machine/hand-over/take-over.ts',
  'src/vmm/machine/migration/arrival.ts',
  'src/vmm/machine/migration/facts.ts',
  'src/vmm/machine/migration/outgoing.ts',
  'src/vmm/vfio/machine-host-devices.ts',
];

/** Bytes of source text. Anything smaller, with all that it alone needs, is cheaper to load immediately. */
const WORTHWHILE = 6000;

/**
 * Divides the modules of a bundle into those that are evaluated immediately and those that are loaded late.
 * @param inputs of esbuild's metafile
 * @param entries the bundle's entry points
 * @returns `core`: the modules to evaluate immediately; `parts`: the modules through which the others are loaded
 */
export function divide(inputs, entries) {
  const imports = path =>
    (inputs[path]?.imports ?? []).filter(({ external }) => !external).map(each => each.path);
  const rows = new Set(imports(REGISTRY).filter(path => path !== TABLE));
  const isRow = path => (rows.has(path) || ROWS.test(path)) && !USUAL.includes(path);
  const isLate = (from, to) =>
    (isRow(from) && !isRow(to) && to.startsWith('src/')) ||
    LATE.some(place => to.startsWith(place) && !from.startsWith(place));
  const core = new Set();
  let parts = new Set();
  const reach = (from, found, follow) => {
    const waiting = [...from];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (found.has(path)) continue;
      found.add(path);
      waiting.push(...imports(path).filter(to => follow(path, to)));
    }
  };
  const take = from => {
    reach(from, core, (path, to) => {
      const late = isLate(path, to);
      if (late) parts.add(to);
      return !late;
    });
    parts = new Set([...parts].filter(path => !core.has(path)));
  };
  take([...entries, ...USUAL]);
  for (;;) {
    const small = [...parts].filter(part => {
      const own = new Set(core);
      reach([part], own, () => true);
      const bytes = [...own]
        .filter(path => !core.has(path))
        .reduce((sum, path) => sum + inputs[path].bytes, 0);
      return bytes < WORTHWHILE;
    });
    if (small.length === 0) return { core, parts };
    take(small);
  }
}

/** The path of a module in this project that another one imports by a relative path; null for others. */
function pathOf({ path, resolveDir }) {
  return path.startsWith('.') ? relative(root, join(resolveDir, path)) : null;
}

/** An esbuild plugin for a bundle of late parts, which imports the modules of `core` instead of containing them. */
export const withoutCore = core => ({
  name: 'without-core',
  setup(build) {
    build.onResolve({ filter: /.*/ }, async args => {
      if (args.pluginData === 'resolved' || args.kind === 'entry-point' || isBuiltin(args.path))
        return undefined;
      let path = pathOf(args);
      if (path === null) {
        const { importer, resolveDir, kind } = args;
        const found = await build.resolve(args.path, { importer, resolveDir, kind, pluginData: 'resolved' });
        path = relative(root, found.path);
      }
      return core.has(path) ? { path: `${CORE}${path}`, external: true } : undefined;
    });
  },
});

/** The prefix of names of `core` modules, where late parts import them. */
export const CORE = 'core:';

/**
 * An esbuild plugin for a bundle in CommonJS format: replaces each late part by an object that loads it on first use.
 * @param parts the names that each exports
 */
export const withoutParts = (core, parts) => ({
  name: 'without-parts',
  setup(build) {
    build.onResolve({ filter: /^\./ }, args => {
      const path = pathOf(args);
      return path !== null && parts.has(path) && core.has(relative(root, args.importer))
        ? { path, namespace: 'late-part' }
        : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: 'late-part' }, ({ path }) => {
      const getters = parts.get(path).map(name => `get ${name}() { return load().${name}; }`);
      return {
        contents: `let part;\nconst load = () => (part ??= ${LOAD}(${JSON.stringify(path)}));\nmodule.exports = { ${getters.join(', ')} };`,
      };
    });
  },
});

/** A variable of the bundle, with the function that loads a late part. */
export const LOAD = '__latePart';
