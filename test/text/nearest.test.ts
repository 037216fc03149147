import { expect, test } from 'vitest';
import { likely, nearest } from '../../src/text/nearest.ts';

test('the nearest is the one with the fewest edits', () => {
  expect(nearest('cx61', ['cx8', 'cx16', 'fma'])).toEqual({ text: 'cx16', distance: 1 });
  expect(nearest('', ['ab', 'a'])).toEqual({ text: 'a', distance: 1 });
  expect(nearest('x', [])).toBeNull();
});

test('none is farther than allowed', () => {
  expect(nearest('flieX', ['format', 'file'], 2)).toEqual({ text: 'file', distance: 2 });
  expect(nearest('flieX', ['format', 'file'], 1)).toBeNull();
  expect(nearest('abcd', ['badc'], 2)).toEqual({ text: 'badc', distance: 2 });
  expect(nearest('abcd', ['badc'], 1)).toBeNull();
});

test('a slip is likely, another word is not', () => {
  const keys = ['bus', 'file', 'format', 'readonly'];
  expect(likely('bsu', keys)).toBe('bus');
  expect(likely('Readonyl', keys)).toBe('readonly');
  expect(likely('read-only', keys)).toBe('readonly');
  expect(likely('path', keys)).toBeNull();
  expect(likely('x'.repeat(10_000), keys)).toBeNull();
});

test('what differs in all that tells names apart is no slip', () => {
  const types = ['virtio-blk', 'virtio-rng'];
  expect(likely('virtio-net', types)).toBeNull();
  expect(likely('virtio-rgn', types)).toBe('virtio-rng');
  expect(likely('virtio-bk', types)).toBe('virtio-blk');
  expect(likely('vitrio-blok', types)).toBe('virtio-blk');
});
