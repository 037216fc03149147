import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const yoga = join(dirname(dirname(fileURLToPath(import.meta.url))), 'node_modules/yoga-layout/dist');
const GLUE = join(yoga, 'binaries/yoga-wasm-base64-esm.js');
const DATA_URL = /data:application\/octet-stream;base64,([A-Za-z0-9+/=]+)/;

/**
 * An esbuild plugin: Yoga, Ink's layout engine, is ready once it has been imported, without a top-level await, which
 * CommonJS lacks, and without the HTTP client that Node loads to fetch its WebAssembly from a data: URL.
 */
export const yogaAtOnce = {
  name: 'yoga-at-once',
  setup(build) {
    build.onResolve({ filter: /^yoga-layout$/ }, () => ({ path: 'yoga', namespace: 'yoga-at-once' }));
    build.onLoad({ filter: /.*/, namespace: 'yoga-at-once' }, async () => ({
      resolveDir: yoga,
      contents: `
import load from './binaries/yoga-wasm-base64-esm.js';
import wrapAssembly from './src/wrapAssembly.js';
export * from './src/generated/YGEnums.js';
const library = {
  instantiateWasm(imports, instantiated) {
    const code = new WebAssembly.Module(Buffer.from('${await webAssembly()}', 'base64'));
    const instance = new WebAssembly.Instance(code, imports);
    instantiated(instance);
    return instance.exports;
  },
};
void load(library);
export default wrapAssembly(library);
`,
    }));
    build.onLoad({ filter: /\/yoga-wasm-base64-esm\.js$/ }, async () => ({
      contents: (await readFile(GLUE, 'utf8')).replace(DATA_URL, ''),
    }));
  },
};

/** The library, in base64. */
async function webAssembly() {
  const found = DATA_URL.exec(await readFile(GLUE, 'utf8'))?.[1];
  if (found === undefined) throw new Error(`${GLUE} has no WebAssembly: update scripts/yoga-at-once.mjs`);
  return found;
}
