/**
 * Differences between two JSON values of one shape, without names: both ends know what is where. Used for everything
 * that is mirrored, so that a field added to a sample needs no change here.
 *
 * - A scalar replaces the old value.
 * - An array is a patch: pairs of a position and the difference there. Positions count an object's keys in their order,
 *   or an array's elements.
 * - `{ "=": value }` replaces the old value with an array or an object.
 * - `{ "-": [positions], "~": patch, "+": { key: value } }` changes an object's keys: removed ones (positions in the
 *   old object), patched ones (likewise), and new ones at the end.
 */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };
export type Delta = Scalar | Patch | { readonly '=': Json } | Reshaping;
type Scalar = string | number | boolean | null;
type Patch = readonly Delta[];
type Reshaping = {
  readonly '-'?: readonly number[];
  readonly '~'?: Patch;
  readonly '+'?: JsonObject;
};

/** The peer sent a difference that doesn't fit the value it applies to. */
export class DeltaError extends Error {
  override readonly name = 'DeltaError';
}

/** @returns undefined if they are equal */
export function deltaOf(before: Json, after: Json): Delta | undefined {
  if (before === after) return undefined;
  if (!isTree(after)) return after;
  if (isArray(after)) {
    if (!isArray(before) || before.length !== after.length) return { '=': after };
    return patchOf(before, after);
  }
  if (!isTree(before) || isArray(before)) return { '=': after };
  return deltaOfObjects(before, after);
}

function patchOf(before: readonly Json[], after: readonly Json[]): Patch | undefined {
  const patch: Delta[] = [];
  for (const [position, value] of after.entries()) {
    const delta = deltaOf(before[position]!, value);
    if (delta !== undefined) patch.push(position, delta);
  }
  return patch.length === 0 ? undefined : patch;
}

function deltaOfObjects(before: JsonObject, after: JsonObject): Patch | Reshaping | undefined {
  const gone: number[] = [];
  const patch: Delta[] = [];
  for (const [position, [key, value]] of Object.entries(before).entries()) {
    if (!Object.hasOwn(after, key)) {
      gone.push(position);
      continue;
    }
    const delta = deltaOf(value, after[key]!);
    if (delta !== undefined) patch.push(position, delta);
  }
  const added = Object.entries(after).filter(([key]) => !Object.hasOwn(before, key));
  if (gone.length === 0 && added.length === 0) return patch.length === 0 ? undefined : patch;
  return {
    ...(gone.length > 0 && { '-': gone }),
    ...(patch.length > 0 && { '~': patch }),
    ...(added.length > 0 && { '+': Object.fromEntries(added) }),
  };
}

/** Applies a delta. @returns the `after` of `deltaOf`; shares unchanged parts with `before`. @throws DeltaError */
export function applyDelta(before: Json, delta: Delta): Json {
  if (!isTree(delta)) return delta;
  if (isArray(delta)) {
    if (isArray(before)) return patched(before, delta);
    return patchedObject(before, delta);
  }
  if ('=' in delta) return delta['='] as Json;
  return reshaped(before, delta as Reshaping);
}

function patched(before: readonly Json[], patch: Patch): Json[] {
  const after = [...before];
  for (const [position, delta] of pairs(patch, before.length))
    after[position] = applyDelta(after[position]!, delta);
  return after;
}

function patchedObject(before: Json, patch: Patch): JsonObject {
  if (!isTree(before) || isArray(before))
    throw new DeltaError('a patch for an object was applied to another value');
  const after = { ...before };
  const keys = Object.keys(before);
  for (const [position, delta] of pairs(patch, keys.length)) {
    const key = keys[position]!;
    after[key] = applyDelta(before[key]!, delta);
  }
  return after;
}

function reshaped(before: Json, delta: Reshaping): JsonObject {
  const gone = new Set(delta['-'] ?? []);
  const patched = Object.entries(patchedObject(before, delta['~'] ?? []));
  const kept = patched.filter((_, position) => !gone.has(position));
  return Object.fromEntries([...kept, ...Object.entries(delta['+'] ?? {})]);
}

function* pairs(patch: Patch, length: number): Generator<[number, Delta]> {
  for (let index = 0; index < patch.length; index += 2) {
    const position = patch[index];
    const delta = patch[index + 1];
    const there = Number.isInteger(position) && (position as number) >= 0 && (position as number) < length;
    if (!there || delta === undefined) throw new DeltaError('a patch names a position that is not there');
    yield [position as number, delta];
  }
}

function isTree(value: Json | Delta): value is readonly Json[] | JsonObject {
  return typeof value === 'object' && value !== null;
}

function isArray<T>(value: T): value is Extract<T, readonly unknown[]> {
  return Array.isArray(value);
}
