import { isDeepStrictEqual } from 'node:util';
import { compareAddresses } from '../host/pci/address.ts';
import { type PciFunction, type PciSummary, summaryOf } from '../host/pci/function.ts';
import type { HostGeneral, HostReading, HostSnapshot } from './snapshot.ts';

const TABLES = ['functions', 'groups', 'use', 'nextBoot', 'physicalFunctions', 'bound'] as const;
type TableName = (typeof TABLES)[number];

/** A part of the difference between two snapshots, small enough to receive without a noticeable delay. */
export type HostPart =
  | {
      readonly table: TableName;
      readonly changed: readonly (readonly [string | number, unknown])[];
      readonly removed: readonly (string | number)[];
    }
  | { readonly table: 'general'; readonly value: HostGeneral };

/** Entries in one part. */
export const PART_ENTRIES = 256;

/**
 * The parts that turn `before` into `after`; none if they are equal. A function of which only regions or capabilities
 * changed is included, so that its details are read again.
 */
export function hostParts(before: HostReading, after: HostReading): HostPart[] {
  const parts: HostPart[] = TABLES.flatMap(table => tableParts(table, before[table], after[table]));
  if (!isDeepStrictEqual(before.general, after.general)) {
    parts.push({ table: 'general', value: after.general });
  }
  return parts;
}

function tableParts(
  table: TableName,
  before: ReadonlyMap<string | number, unknown>,
  after: ReadonlyMap<string | number, unknown>,
): HostPart[] {
  const changed = [...after].filter(([key, value]) => !isDeepStrictEqual(before.get(key), value));
  const removed = [...before.keys()].filter(key => !after.has(key));
  const parts: HostPart[] = removed.length > 0 ? [{ table, changed: [], removed }] : [];
  for (let start = 0; start < changed.length; start += PART_ENTRIES) {
    const some = changed.slice(start, start + PART_ENTRIES);
    parts.push(
      table === 'functions' ? functionsPart(some as FunctionEntry[]) : { table, changed: some, removed: [] },
    );
  }
  return parts;
}

type FunctionEntry = readonly [string, PciFunction];

/** Functions only, for the first read. */
export function functionsPart(functions: readonly FunctionEntry[]): HostPart {
  const changed = functions.map(([address, fn]): [string, PciSummary] => [address, summaryOf(fn)]);
  return { table: 'functions', changed, removed: [] };
}

/** Applies parts of a difference to a snapshot. Tables without a difference remain the same objects. */
export function withParts(snapshot: HostSnapshot, parts: readonly HostPart[]): HostSnapshot {
  const result: Record<string, unknown> = { ...snapshot };
  for (const [table, some] of Map.groupBy(parts, part => part.table)) {
    result[table] = table === 'general' ? lastValue(some) : withChanges(snapshot[table], some);
  }
  return result as HostSnapshot;
}

function lastValue(parts: readonly HostPart[]): HostGeneral | undefined {
  return parts.flatMap(part => (part.table === 'general' ? [part.value] : [])).at(-1);
}

function withChanges(
  table: ReadonlyMap<string | number, unknown>,
  parts: readonly HostPart[],
): ReadonlyMap<string | number, unknown> {
  const result = new Map(table);
  const known = result.size;
  for (const part of parts) {
    if (part.table === 'general') continue;
    for (const key of part.removed) result.delete(key);
    for (const [key, value] of part.changed) result.set(key, value);
  }
  // A map keeps insertion order, but new keys belong between the others.
  return known === 0 ? result : new Map([...result].sort(([a], [b]) => compareKeys(a, b)));
}

function compareKeys(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return compareAddresses(String(a), String(b));
}
