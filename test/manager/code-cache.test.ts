import { existsSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { codeCache, pruneCodeCache } from '../../src/manager/code-cache.ts';
import { projectRoot } from '../../src/project-root.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder();

/** A cache with files of 100 bytes. @param files by folder, with their access and modification times in seconds */
function cacheOf(name: string, files: Record<string, readonly [number, number]>): string {
  const cache = join(folder, name);
  for (const [file, [used, written]] of Object.entries(files)) {
    const path = join(cache, file);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, Buffer.alloc(100));
    utimesSync(path, used, written);
  }
  return cache;
}

describe("Node's compile cache", () => {
  test('is kept while it is within the limit', async () => {
    const cache = cacheOf('small', { 'v24.1.0-x64-0/a': [1, 1], 'v24.1.0-x64-0/b': [2, 2] });
    expect(await pruneCodeCache(cache, 200, 100)).toBe(0);
    expect(readdirSync(join(cache, 'v24.1.0-x64-0'))).toEqual(['a', 'b']);
  });

  test('is removed, least recently used first, until it is small', async () => {
    const cache = cacheOf('large', {
      'v24.1.0-x64-0/old': [10, 10],
      'v24.1.0-x64-0/older': [9, 9],
      'v24.2.0-x64-0/written-first-used-last': [30, 1],
      'v24.2.0-x64-0/not-tracked': [1, 25],
      'v24.2.0-x64-0/new': [20, 20],
    });
    expect(await pruneCodeCache(cache, 400, 200)).toBe(3);
    expect(readdirSync(cache)).toEqual(['v24.2.0-x64-0']);
    expect(readdirSync(join(cache, 'v24.2.0-x64-0')).sort()).toEqual([
      'not-tracked',
      'written-first-used-last',
    ]);
  });

  test('is the only thing removed', async () => {
    const cache = cacheOf('others', { 'v24.1.0-x64-0/a': [1, 1], 'notes/b': [1, 1] });
    const outside = cacheOf('outside', { 'v1/precious': [1, 1] });
    symlinkSync(join(outside, 'v1/precious'), join(cache, 'v24.1.0-x64-0/link'));
    symlinkSync(join(outside, 'v1'), join(cache, 'v2-link'));
    expect(await pruneCodeCache(cache, 0, 0)).toBe(1);
    expect(existsSync(join(outside, 'v1/precious')) && existsSync(join(cache, 'notes/b'))).toBe(true);
  });

  test('may be missing', async () => {
    expect(await pruneCodeCache(join(folder, 'missing'), 0, 0)).toBe(0);
  });

  test.each([
    ['in the folder of caches', { XDG_CACHE_HOME: '/c' }, '/c/vring'],
    ['at home', { HOME: '/h' }, '/h/.cache/vring'],
    ['at home, with an empty name for caches', { HOME: '/h', XDG_CACHE_HOME: '' }, '/h/.cache/vring'],
  ])('is %s, as in bin/vring', (_, env, path) => {
    expect(codeCache({ ...env, NODE_COMPILE_CACHE: path })).toBe(path);
    expect(codeCache({ ...env, NODE_COMPILE_CACHE: '/of/the/user' })).toBe(null);
    expect(codeCache(env)).toBe(null);
  });

  test('is found where Node stores it', async () => {
    const caches = join(folder, 'caches');
    const vring = join(projectRoot(), 'bin/vring');
    await execa(vring, ['--version'], { env: { XDG_CACHE_HOME: caches, NODE_COMPILE_CACHE: '' } });
    const cache = join(caches, 'vring');
    expect(codeCache({ XDG_CACHE_HOME: caches, NODE_COMPILE_CACHE: cache })).toBe(cache);
    expect(await pruneCodeCache(cache, 0, 0)).toBeGreaterThan(0);
    expect(readdirSync(cache)).toEqual([]);
  });
});
