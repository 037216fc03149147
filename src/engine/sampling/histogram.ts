/** The number of buckets in a latency histogram in the counters. */
export const HISTOGRAM_BUCKETS = 32;

/** Counts by duration: bucket i is [2^i, 2^(i+1)) ns. */
export type Histogram = readonly number[];
export type Percentiles = { readonly p50Ns: number; readonly p99Ns: number };

export function sumOfHistograms(histograms: readonly Histogram[]): Histogram {
  return Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) =>
    histograms.reduce((sum, counts) => sum + (counts[bucket] ?? 0), 0),
  );
}

/** Null for an empty histogram. */
export function percentiles(counts: Histogram): Percentiles | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  return { p50Ns: quantile(counts, total * 0.5), p99Ns: quantile(counts, total * 0.99) };
}

export type HistogramBand = { readonly fromNs: number; readonly toNs: number; readonly count: number };

/**
 * The durations from the shortest counted to the longest, in at most `most` bands; if there are more, the shortest are
 * merged. Empty for an empty histogram.
 */
export function histogramBands(counts: Histogram, most: number): HistogramBand[] {
  const first = counts.findIndex(count => count > 0);
  if (first < 0 || most <= 0) return [];
  const last = counts.findLastIndex(count => count > 0);
  const split = Math.max(first, last - most + 1);
  return Array.from({ length: last - split + 1 }, (_, index) => {
    const bucket = split + index;
    const from = index === 0 ? first : bucket;
    const count = counts.slice(from, bucket + 1).reduce((sum, one) => sum + one, 0);
    return { fromNs: 2 ** from, toNs: 2 ** (bucket + 1), count };
  });
}

/** The duration below which a share `rank` of the counts lies, assuming an even spread within each bucket. */
function quantile(counts: Histogram, rank: number): number {
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) return 2 ** bucket * (1 + (rank - below) / count);
    below += count;
  }
  return 2 ** counts.length;
}
