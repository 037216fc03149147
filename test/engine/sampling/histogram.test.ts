import { expect, test } from 'vitest';
import { HISTOGRAM_BUCKETS, histogramBands, percentiles } from '../../../src/engine/sampling/histogram.ts';

function histogram(counts: Readonly<Record<number, number>>) {
  return Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => counts[bucket] ?? 0);
}

test('bands range from the shortest to the longest time counted, including empty ones in between', () => {
  expect(histogramBands(histogram({ 10: 3, 12: 1 }), 8)).toEqual([
    { fromNs: 1024, toNs: 2048, count: 3 },
    { fromNs: 2048, toNs: 4096, count: 0 },
    { fromNs: 4096, toNs: 8192, count: 1 },
  ]);
});

test('the shortest times share one band if there is no room for all, and nothing is omitted', () => {
  const bands = histogramBands(histogram({ 2: 5, 10: 3, 12: 1 }), 2);
  expect(bands).toEqual([
    { fromNs: 4, toNs: 4096, count: 8 },
    { fromNs: 4096, toNs: 8192, count: 1 },
  ]);
});

test('an empty histogram has no bands and no percentiles', () => {
  expect(histogramBands(histogram({}), 8)).toEqual([]);
  expect(histogramBands(histogram({ 3: 1 }), 0)).toEqual([]);
  expect(percentiles(histogram({}))).toBeNull();
});
