/** The middle value; for an even number of values, the lower of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new Error('there are no values to take the median of');
  return middle;
}

/**
 * Measures every contestant once per round, in turn, so that changes in machine load affect all of them.
 * @returns the median of each.
 */
export async function alternate<Name extends string>(
  rounds: number,
  contestants: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Record<Name, number>> {
  const entries = Object.entries(contestants) as [Name, () => Promise<number>][];
  const values = Object.fromEntries(entries.map(([name]) => [name, [] as number[]])) as Record<
    Name,
    number[]
  >;
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of entries) values[name].push(await measure());
  }
  return medians(values);
}

/** The median of each contestant's values. */
export function medians<Name extends string>(
  values: Readonly<Record<Name, readonly number[]>>,
): Record<Name, number> {
  const entries = Object.entries<readonly number[]>(values);
  return Object.fromEntries(entries.map(([name, each]) => [name, median(each)])) as Record<Name, number>;
}

/** The 95th percentile. */
export function percentile95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.ceil(sorted.length * 0.95) - 1];
  if (value === undefined) throw new Error('there are no values to take a percentile of');
  return value;
}
