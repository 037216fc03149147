import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { replaceFile } from './replace-file.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const PREBUILT = 'node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node';

/**
 * An esbuild plugin: the bundles load koffi's prebuilt addon from dist/, so that an installed vring needs no koffi
 * package, and no install script. Loaded by a plain path: the dynamic linker remembers it while the addon is loaded,
 * even if an upgrade replaces the file.
 */
export const koffiAddon = {
  name: 'koffi-addon',
  setup(build) {
    build.onResolve({ filter: /^koffi$/ }, () => ({ path: 'koffi', namespace: 'koffi-addon' }));
    build.onLoad({ filter: /.*/, namespace: 'koffi-addon' }, () => ({
      resolveDir: root,
      contents: `
import { builtFile } from './src/project-root.ts';
const addon = { exports: {} };
process.dlopen(addon, builtFile('koffi.node'));
export default addon.exports;
`,
    }));
    build.onEnd(() => replaceFile(join(root, PREBUILT), join(root, 'dist/koffi.node')));
  },
};
