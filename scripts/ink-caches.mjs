import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const lineCache = join(
  dirname(dirname(fileURLToPath(import.meta.url))),
  'src/display/ink/line-cached-output.ts',
);

/**
 * Caches what Ink recomputes for each frame although most of it doesn't change. Per file of Ink: a text that occurs once,
 * and its replacement.
 */
const CHANGES = {
  // Keep a text's characters, styles and width from frame to frame, and each line.
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
  // Squash a text once. The cache is cleared where Ink measures it again.
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
  // Measure a text once: Ink keeps that for its layout.
  'render-node-to-output.js': [
    ["import widestLine from 'widest-line';", "import measureText from './measure-text.js';"],
    ['const currentWidth = widestLine(text);', 'const currentWidth = measureText(text).width;'],
  ],
};

/** An esbuild plugin: a frame in which one row changes only costs that row. */
export const inkCaches = {
  name: 'ink-caches',
  setup(build) {
    build.onLoad({ filter: /\/ink\/build\/[a-z-]+\.js$/ }, async ({ path }) => {
      const changes = CHANGES[path.slice(path.lastIndexOf('/') + 1)];
      if (changes === undefined) return null;
      let contents = await readFile(path, 'utf8');
      for (const [from, to] of changes) {
        if (contents.split(from).length !== 2)
          throw new Error(`${path} does not match the patches for Ink: update scripts/ink-caches.mjs`);
        contents = contents.replace(from, () => to);
      }
      return { contents, loader: 'js' };
    });
  },
};
