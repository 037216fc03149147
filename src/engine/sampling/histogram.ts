/** Buckets of a latency histogram in the counters. */
export const HISTOGRAM_BUCKETS = 32;

/** How often each length of time was counted: bucket i is [2^i, 2^(i+1)) ns. */
export type Histogram = readonly number[];
export type Percentiles = { readonly p50Ns: number; readonly p99Ns: number };

export function sumOfHistograms(histograms: readonly Histogram[]): Histogram {
  return Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) =>
    histograms.reduce((sum, counts) => sum + (counts[bucket] ?? 0), 0),
  );
}

/** Null for a histogram that counted nothing. */
export function percentiles(counts: Histogram): Percentiles | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  return { p50Ns: quantile(counts, total * 0.5), p99Ns: quantile(counts, total * 0.99) };
}

/** The value below which `rank` of the counted ones lie, taking them as spread evenly over their bucket. */
function quantile(counts: Histogram, rank: number): number {
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) return 2 ** bucket * (1 + (rank - below) / count);
    below += count;
  }
  return 2 ** counts.length;
}
