import { printable } from './printable.ts';

/**
 * Plain data (objects, arrays, maps) with every string made safe for the terminal. Parts that are already safe are shared
 * with the argument, not copied.
 */
export function printableDeep<Value>(value: Value): Value {
  return clean(value) as Value;
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return cleanArray(value);
  return value instanceof Map ? cleanMap(value) : cleanObject(value as Record<string, unknown>);
}

function cleanArray(items: readonly unknown[]): readonly unknown[] {
  const index = items.findIndex(item => clean(item) !== item);
  return index < 0 ? items : items.map(clean);
}

function cleanMap(map: ReadonlyMap<unknown, unknown>): ReadonlyMap<unknown, unknown> {
  let result: Map<unknown, unknown> | null = null;
  for (const [key, item] of map) {
    if (result === null && clean(key) === key && clean(item) === item) continue;
    result ??= before(map, key);
    result.set(clean(key), clean(item));
  }
  return result ?? map;
}

/** The entries of a map before one of its keys. */
function before(map: ReadonlyMap<unknown, unknown>, end: unknown): Map<unknown, unknown> {
  const result = new Map();
  for (const [key, item] of map) {
    if (key === end) break;
    result.set(key, item);
  }
  return result;
}

function cleanObject(object: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let result: Record<string, unknown> | null = null;
  for (const key in object) {
    const item = object[key];
    const safe = clean(item);
    if (safe === item) continue;
    result ??= { ...object };
    result[key] = safe;
  }
  return result ?? object;
}
