import { printable } from './printable.ts';

/** A copy of plain data (objects, arrays, maps) with every text in it made safe for the terminal. */
export function printableDeep<Value>(value: Value): Value {
  return clean(value) as Value;
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(clean);
  if (value instanceof Map) return new Map(Array.from(value, ([key, item]) => [clean(key), clean(item)]));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, clean(item)]));
}
