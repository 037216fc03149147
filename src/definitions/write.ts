import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isScalar, isSeq, parseDocument, stringify, type ToStringOptions } from 'yaml';
import { plainDefinition } from './plain.ts';
import type { Definition } from './schema.ts';

/** Lists of words and numbers stay on a line; nothing is folded. */
const STYLE: ToStringOptions = { lineWidth: 0, flowCollectionPadding: false };

/** A definition as the text of a new file. @param heading comment lines for its top, without `# ` */
export function writeDefinition(definition: Definition, heading: readonly string[] = []): string {
  const comment = heading.map(line => `# ${line}\n`).join('');
  return comment + stringify(plainDefinition(definition), STYLE);
}

/**
 * The text of a file with the definition changed: comments, order and style stay the user's wherever the value did.
 * @param text a definition that could be read as `before`
 */
export function rewriteDefinition(text: string, before: Definition, after: Definition): string {
  const document = parseDocument(text, { version: '1.2', stringKeys: true });
  // Only what is different in meaning is touched: `memory: 1024` stays so when another key changes.
  merge(document, [], plainDefinition(before), plainDefinition(after));
  return document.toString(STYLE);
}

function merge(
  document: Document,
  path: readonly (string | number)[],
  before: unknown,
  after: unknown,
): void {
  if (isDeepStrictEqual(before, after)) return;
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  if (isMapping(before) && isMapping(after) && isMap(node)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      merge(document, [...path, key], before[key], after[key]);
    }
  } else if (Array.isArray(before) && Array.isArray(after) && isSeq(node)) {
    mergeList(document, path, before, after);
  } else if (after === undefined) {
    document.deleteIn(path);
  } else if (isScalar(node) && typeof after !== 'object') {
    node.value = after;
    delete node.source;
  } else {
    document.setIn(path, document.createNode(after));
  }
}

/** Items that are gone are taken out where they were, so that the comments of the others stay with them. */
function mergeList(
  document: Document,
  path: readonly (string | number)[],
  before: unknown[],
  after: unknown[],
): void {
  const left = [...before];
  for (let index = left.length - 1; index >= 0 && left.length > after.length; index--) {
    if (after.some(item => isDeepStrictEqual(item, left[index]))) continue;
    document.deleteIn([...path, index]);
    left.splice(index, 1);
  }
  while (left.length > after.length) {
    document.deleteIn([...path, left.length - 1]);
    left.pop();
  }
  after.forEach((item, index) => {
    if (index < left.length) merge(document, [...path, index], left[index], item);
    else document.addIn(path, document.createNode(item));
  });
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
