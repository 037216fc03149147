import type { Json, JsonObject } from './delta.ts';

/** As many as screens show. */
const DIGITS = 4;

/** A value in its wire format: fractions, which only rates are, with four significant digits; counts unchanged. */
export function rounded(value: unknown): Json {
  if (typeof value === 'number') return roundedNumber(value);
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return (value ?? null) as Json;
  const object: Record<string, Json> = {};
  for (const [key, field] of Object.entries(value)) if (field !== undefined) object[key] = rounded(field);
  return object satisfies JsonObject;
}

function roundedNumber(value: number): number | null {
  if (Number.isInteger(value)) return value;
  return Number.isFinite(value) ? Number(value.toPrecision(DIGITS)) : null;
}
