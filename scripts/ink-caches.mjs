import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lineCache = join(root, 'src/display/ink/line-cached-output.ts');
const graphemes = join(root, 'src/text/graphemes.ts');

/** Ink's own files, and those of the packages with which it splits texts. */
const FILES =
  /\/(?:ink\/build\/[a-z-]+|(?:string-width|wrap-ansi)\/index|slice-ansi\/tokenize-ansi|ansi-tokenize\/build\/tokenize)\.js$/;
const SEGMENTER = /^const (\w+) = new Intl\.Segmenter\([^;]*\);$/m;

/**
 * Characters of one cell each, which are not combined with others: printable ASCII, box drawing, blocks, and the signs
 * of src/theme/glyphs.ts. Texts of these alone are measured by their length.
 */
const ONE_CELL = String.raw`/^[ -~\u00b7\u2026\u2500-\u259f\u25b2\u25b8\u25bc\u25be]*$/`;

/**
 * Caches what Ink recomputes for each frame although most of it doesn't change. Per file of Ink: a text that occurs
 * once, and its replacement.
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
  // Squash a text once. The cache is cleared where it changes.
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
    // Lay out only texts whose size has changed: the text of a table row keeps its length.
    [
      `const yogaNode = findClosestYogaNode(node);
    yogaNode?.markDirty();`,
      `
    let text = node;
    while (text?.parentNode && !text.yogaNode) text = text.parentNode;
    if (text?.parentNode) changedTexts.add(text);
`,
    ],
    ['const dimensions = measureText(text);', 'const dimensions = (node.naturalSize = measureText(text));'],
    [
      '//# sourceMappingURL=dom.js.map',
      `
const changedTexts = new Set();
export const layOutChangedTexts = () => {
    for (const text of changedTexts) {
        if (text.yogaNode && !takesSameRoom(text)) text.yogaNode.markDirty();
    }
    changedTexts.clear();
};
// Truncated to whatever width, lines of the same length are as long as each other; wrapped ones need not be.
const takesSameRoom = (node) => {
    if (node.naturalSize?.height !== 1 || !node.style.textWrap?.startsWith('truncate')) return false;
    const { width, height } = measureText(squashTextNodes(node));
    return width === node.naturalSize.width && height === 1;
};
`,
    ],
  ],
  // Nothing has to be removed from most texts.
  'sanitize-ansi.js': [
    [
      'const sanitizeAnsi = (text) => {',
      `const sanitizeAnsi = (text) => {
    if (/^[ -~]*(?:\\x1b\\[[\\d;]*m[ -~]*)*$/.test(text)) return text;`,
    ],
  ],
  'line-update.js': [['/^[ -~]*$/u', ONE_CELL]],
  'ink.js': [
    ['yogaNode.setWidth(terminalWidth);', 'dom.layOutChangedTexts(); yogaNode.setWidth(terminalWidth);'],
  ],
  'render-to-string.js': [
    ["import { createNode } from './dom.js';", "import { createNode, layOutChangedTexts } from './dom.js';"],
    ['rootNode.yogaNode.setWidth(columns);', 'layOutChangedTexts(); rootNode.yogaNode.setWidth(columns);'],
  ],
  // A bundle never connects to React's developer tools, and CommonJS has no await at the top level.
  'reconciler.js': [
    ["await import('./devtools.js');", ''],
    ['const loaded = await loadPackageJson();', 'const loaded = {};'],
    // There is no <Static>, which Ink looks for in the whole tree.
    ['const staticNode = findStaticNode(rootNode);', 'const staticNode = undefined;'],
  ],
  // Measure a text once: Ink keeps the result for its layout.
  'render-node-to-output.js': [
    ["import widestLine from 'widest-line';", "import measureText from './measure-text.js';"],
    ['const currentWidth = widestLine(text);', 'const currentWidth = measureText(text).width;'],
  ],
};

const STRING_WIDTH = [
  ['/^[\\u0020-\\u007E]*$/', ONE_CELL],
  // Created for the first text that may contain an emoji: V8 takes milliseconds to build the table of sequences.
  [
    String.raw`const rgiEmojiRegex = /^\p{RGI_Emoji}$/v;`,
    String.raw`let emoji; const rgiEmojiRegex = { test: text => (emoji ??= /^\p{RGI_Emoji}$/v).test(text) };`,
  ],
];

/** An esbuild plugin: a frame in which one row changes only costs that row. */
export const inkCaches = {
  name: 'ink-caches',
  setup(build) {
    build.onLoad({ filter: FILES }, async ({ path }) => {
      const changes = path.endsWith('/string-width/index.js')
        ? STRING_WIDTH
        : (CHANGES[path.slice(path.lastIndexOf('/') + 1)] ?? []);
      const original = await readFile(path, 'utf8');
      let contents = original.replace(
        SEGMENTER,
        (_, name) => `import { graphemes as ${name} } from ${JSON.stringify(graphemes)};`,
      );
      for (const [from, to] of changes) {
        if (contents.split(from).length !== 2)
          throw new Error(`${path} does not match the patches for Ink: update scripts/ink-caches.mjs`);
        contents = contents.replace(from, () => to);
      }
      return contents === original ? null : { contents, loader: 'js' };
    });
  },
};
