import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isScalar, stringify, type ToStringOptions } from 'yaml';
import { YamlText } from '../yaml-text.ts';
import { withEntry, withoutEntry, withoutList } from './list-text.ts';

/** Nothing is folded, and short lists keep their style. */
const STYLE: ToStringOptions = { lineWidth: 0, flowCollectionPadding: false };

/** A key of a definition, with its new value; undefined removes it. */
export type KeyChange = { readonly path: readonly (string | number)[]; readonly value: unknown };

/**
 * The text of a definition with some keys changed. Comments and the order of keys are kept; a single top-level value,
 * or entry of a list, is changed in place, without touching any other text.
 * @throws DefinitionError if it is not YAML
 */
export function changeKeys(text: string, file: string, changes: readonly KeyChange[]): string {
  const { document } = new YamlText(text, file);
  const [only, ...more] = changes;
  const inPlace = only !== undefined && more.length === 0 ? changedInPlace(text, document, only) : null;
  for (const { path, value } of changes) {
    if (value === undefined) document.deleteIn(path);
    else document.setIn(path, value);
  }
  if (inPlace !== null && means(inPlace, file, document.toJS())) return inPlace;
  const written = document.toString(STYLE);
  return text.includes('\r\n') ? written.replaceAll(/\r?\n/g, '\r\n') : written;
}

/** Null if the change is more than one word. */
function changedInPlace(text: string, document: Document.Parsed, { path, value }: KeyChange): string | null {
  const { contents } = document;
  const [key, ...below] = path;
  if (!isMap(contents) || contents.flow || typeof key !== 'string') return null;
  const [index, ...deeper] = below;
  if (typeof index === 'number' && deeper.length === 0)
    return value === undefined
      ? withoutEntry(text, document, key, index)
      : withEntry(text, document, key, value, STYLE);
  if (below.length > 0) return null;
  if (value === undefined) return withoutList(text, document, key);
  const pair = contents.items.find(item => isScalar(item.key) && item.key.value === key);
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  if (Array.isArray(value) && pair === undefined) {
    const list = stringify({ [key]: value }, STYLE).replaceAll('\n', newline);
    return `${text}${text === '' || text.endsWith('\n') ? '' : newline}${list}`;
  }
  if (!['string', 'boolean', 'number'].includes(typeof value)) return null;
  const written = stringify(value, STYLE).trimEnd();
  if (pair === undefined)
    return `${text}${text === '' || text.endsWith('\n') ? '' : newline}${key}: ${written}${newline}`;
  if (!isScalar(pair.value) || !pair.value.range) return null;
  const [start, end] = pair.value.range;
  return text.slice(0, start) + written + text.slice(end);
}

function means(text: string, file: string, value: unknown): boolean {
  try {
    return isDeepStrictEqual(new YamlText(text, file).value, value);
  } catch {
    return false;
  }
}
