import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HostPart, hostParts, withParts } from '../../src/host-service/delta.ts';
import { readHost } from '../../src/host-service/read-host.ts';
import { emptyHost, type HostSnapshot } from '../../src/host-service/snapshot.ts';
import { serverTree } from '../host/trees/server.ts';

const tree = serverTree();
let host: HostSnapshot;
beforeAll(async () => {
  host = await readHost(tree.root());
});
afterAll(() => tree.remove());

/** The host with a function that is different, or gone. */
function changed(address: string, driver: string | null): HostSnapshot {
  const functions = new Map(host.functions);
  if (driver === null) functions.delete(address);
  else functions.set(address, { ...functions.get(address)!, driver });
  return { ...host, functions };
}

test('all of a host, in parts, is the same host', () => {
  const parts = structuredClone(hostParts(emptyHost, host));
  expect(withParts(emptyHost, parts)).toEqual(host);
});

test('between equal hosts there is no difference, however they were read', async () => {
  expect(hostParts(host, await readHost(tree.root()))).toEqual([]);
});

describe('a difference', () => {
  test('holds only what changed, and leaves the other tables the same objects', () => {
    const after = changed('0000:b0:00.0', 'vfio-pci');
    const parts = hostParts(host, after);
    expect(parts).toEqual([
      { table: 'functions', changed: [['0000:b0:00.0', after.functions.get('0000:b0:00.0')]], removed: [] },
    ]);
    const result = withParts(host, parts);
    expect(result).toEqual(after);
    expect(result.groups).toBe(host.groups);
    expect(result.functions.get('0000:af:00.0')).toBe(host.functions.get('0000:af:00.0'));
  });

  test('takes away what is gone, and puts what comes where it belongs', () => {
    const without = changed('0000:3b:0a.1', null);
    expect(withParts(host, hostParts(host, without))).toEqual(without);
    const back = withParts(without, hostParts(without, host));
    expect([...back.functions.keys()]).toEqual([...host.functions.keys()]);
  });

  test('comes in parts that are soon taken in', () => {
    const many = new Map(
      Array.from({ length: 1000 }, (_, index) => [`0000:00:${index}`, host.functions.get('0000:b0:00.0')!]),
    );
    const parts = hostParts(emptyHost, { ...emptyHost, functions: many });
    const sizes = parts.map(part => (part as Extract<HostPart, { changed: unknown }>).changed.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(1000);
  });
});
