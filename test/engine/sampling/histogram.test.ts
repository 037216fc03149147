import { expect, test } from 'vitest';
import { HISTOGRAM_BUCKETS, histogramBands, percentiles } from '../../../src/engine/sampling/histogram.ts';

function histogram(counts: Readonly<Record<number, number>>) {
  return Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => counts[bucket] ?? 0);
}

test('bands go from the shortest time that was counted to the longest, those between without a count among them', () => {
  expect(histogramBands(histogram({ 10: 3, 12: 1 }), 8)).toEqual([
    { fromNs: 1024, toNs: 2048, count: 3 },
    { fromNs: 2048, toNs: 4096, count: 0 },
    { fromNs: 4096, toNs: 8192, count: 1 },
  ]);
});

test('where there is no room for all, the shortest times are one band, and nothing is left out', () => {
  const bands = histogramBands(histogram({ 2: 5, 10: 3, 12: 1 }), 2);
  expect(bands).toEqual([
    { fromNs: 4, toNs: 4096, count: 8 },
    { fromNs: 4096, toNs: 8192, count: 1 },
  ]);
});

test('nothing counted is no band and has no percentiles', () => {
  expect(histogramBands(histogram({}), 8)).toEqual([]);
  expect(histogramBands(histogram({ 3: 1 }), 0)).toEqual([]);
  expect(percentiles(histogram({}))).toBeNull();
});
