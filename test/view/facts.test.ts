import { expect, test } from 'vitest';
import { fact, factLines } from '../../src/view/facts.ts';

const names = (columns: number, ...given: string[]) =>
  factLines(
    given.map(name => fact(name, 'yes')),
    columns,
  ).map(({ name }) => name);

test('names of facts are complete if they fit, and separate from the texts', () => {
  expect(names(66, 'Type', 'Segmentation offload')).toEqual(['Type'.padEnd(21), 'Segmentation offload ']);
  expect(names(60, 'Type', 'Bus')).toEqual(['Type'.padEnd(11), 'Bus'.padEnd(11)]);
  expect(names(60, 'Elevenchars')).toEqual(['Elevenchars ']);
  expect(names(30, 'Segmentation offload')).toEqual(['Segmentat… ']);
});
