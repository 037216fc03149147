import { readFile } from 'node:fs/promises';

const PER_FRAME = 'caches = new OutputCaches();';
const KEPT = 'caches = keptCaches();';
const FUNCTION = `
let kept = new OutputCaches();
function keptCaches() {
    if (kept.styledChars.size > 4096) kept = new OutputCaches();
    return kept;
}
`;

/**
 * An esbuild plugin: Ink keeps what it has found out about each line (its characters, their styles, its width) for one frame.
 * Kept from frame to frame, a frame in which one row differs costs what that row costs, and half of a key's CPU time is saved.
 */
export const keepInkCaches = {
  name: 'keep-ink-caches',
  setup(build) {
    build.onLoad({ filter: /\/ink\/build\/output\.js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      if (source.split(PER_FRAME).length !== 2)
        throw new Error(`${path} has other caches than vring knows: look at scripts/keep-ink-caches.mjs`);
      return { contents: source.replace(PER_FRAME, KEPT) + FUNCTION, loader: 'js' };
    });
  },
};
