import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const lineCache = join(
  dirname(dirname(fileURLToPath(import.meta.url))),
  'src/display/ink/line-cached-output.ts',
);

/**
 * What Ink works out anew for each frame although most of it is as it was. Per file of Ink: what stands there once, and what
 * stands there instead.
 */
const CHANGES = {
  // What is known of a text (its characters, their styles, its width) is kept from frame to frame, and so is each line.
  'output.js': [
    ['caches = new OutputCaches();', 'caches = keptCaches();'],
    ['export default class Output {', 'class Output {'],
    [
      '//# sourceMappingURL=output.js.map',
      `
let kept = new OutputCaches();
function keptCaches() {
    if (kept.styledChars.size > 4096) kept = new OutputCaches();
    return kept;
}
import { cacheLines } from ${JSON.stringify(lineCache)};
export default cacheLines(Output, { styledCharsToString, intersectClips });
`,
    ],
  ],
  // A text is put together once. It is forgotten where Ink has it measured again.
  'squash-text-nodes.js': [
    [
      'export default squashTextNodes;',
      `
export default node =>
    node.nodeName === 'ink-text' ? (node.squashedText ??= squashTextNodes(node)) : squashTextNodes(node);
`,
    ],
  ],
  'dom.js': [
    [
      'const markNodeAsDirty = (node) => {',
      `
const markNodeAsDirty = (node) => {
    for (let text = node; text; text = text.yogaNode ? undefined : text.parentNode) text.squashedText = undefined;
`,
    ],
  ],
  // A text is measured once: Ink keeps that for its layout.
  'render-node-to-output.js': [
    ["import widestLine from 'widest-line';", "import measureText from './measure-text.js';"],
    ['const currentWidth = widestLine(text);', 'const currentWidth = measureText(text).width;'],
  ],
};

/** An esbuild plugin: a frame in which one row differs costs what that row costs. */
export const inkCaches = {
  name: 'ink-caches',
  setup(build) {
    build.onLoad({ filter: /\/ink\/build\/[a-z-]+\.js$/ }, async ({ path }) => {
      const changes = CHANGES[path.slice(path.lastIndexOf('/') + 1)];
      if (changes === undefined) return null;
      let contents = await readFile(path, 'utf8');
      for (const [from, to] of changes) {
        if (contents.split(from).length !== 2)
          throw new Error(`${path} is not the Ink that vring knows: look at scripts/ink-caches.mjs`);
        contents = contents.replace(from, () => to);
      }
      return { contents, loader: 'js' };
    });
  },
};
