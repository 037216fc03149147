import { expect, test } from 'vitest';
import { likely, nearest } from '../../src/text/nearest.ts';

test('finds the name with the fewest edits', () => {
  expect(nearest('cx61', ['cx8', 'cx16', 'fma'])).toEqual({ text: 'cx16', distance: 1 });
  expect(nearest('', ['ab', 'a'])).toEqual({ text: 'a', distance: 1 });
  expect(nearest('x', [])).toBeNull();
});

test('finds none beyond the maximum distance', () => {
  expect(nearest('flieX', ['format', 'file'], 2)).toEqual({ text: 'file', distance: 2 });
  expect(nearest('flieX', ['format', 'file'], 1)).toBeNull();
  expect(nearest('abcd', ['badc'], 2)).toEqual({ text: 'badc', distance: 2 });
  expect(nearest('abcd', ['badc'], 1)).toBeNull();
});

test('treats a typo as likely, another word not', () => {
  const keys = ['bus', 'file', 'format', 'readonly'];
  expect(likely('bsu', keys)).toBe('bus');
  expect(likely('Readonyl', keys)).toBe('readonly');
  expect(likely('read-only', keys)).toBe('readonly');
  expect(likely('path', keys)).toBeNull();
  expect(likely('x'.repeat(10_000), keys)).toBeNull();
});

test('does not treat names that differ in their distinguishing part as typos', () => {
  const types = ['virtio-blk', 'virtio-rng'];
  expect(likely('virtio-net', types)).toBeNull();
  expect(likely('virtio-rgn', types)).toBe('virtio-rng');
  expect(likely('virtio-bk', types)).toBe('virtio-blk');
  expect(likely('vitrio-blok', types)).toBe('virtio-blk');
});
