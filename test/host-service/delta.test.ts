import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { summaryOf } from '../../src/host/pci/function.ts';
import { type HostPart, hostParts, withParts } from '../../src/host-service/delta.ts';
import { readHost } from '../../src/host-service/read-host.ts';
import { HostService } from '../../src/host-service/service.ts';
import { emptyHost, type HostReading, type HostSnapshot } from '../../src/host-service/snapshot.ts';
import { scaleTree } from '../host/trees/scale.ts';
import { serverTree } from '../host/trees/server.ts';

const tree = serverTree();
let host: HostReading;
beforeAll(async () => {
  host = await readHost(tree.root());
});
afterAll(() => tree.remove());

/** A host as the UI has it once all of it was sent. */
function asSent(reading: HostReading): HostSnapshot {
  const functions = Array.from(reading.functions, ([address, fn]) => [address, summaryOf(fn)] as const);
  return { ...reading, functions: new Map(functions) };
}

/** The host with a function that is different, or gone. */
function changed(address: string, driver: string | null): HostReading {
  const functions = new Map(host.functions);
  if (driver === null) functions.delete(address);
  else functions.set(address, { ...functions.get(address)!, driver });
  return { ...host, functions };
}

test('a host that is sent in parts is the same host', () => {
  const parts = structuredClone(hostParts(emptyHost, host));
  expect(withParts(emptyHost, parts)).toEqual(asSent(host));
});

test('equal hosts have no difference, however they were read', async () => {
  expect(hostParts(host, await readHost(tree.root()))).toEqual([]);
});

describe('a difference', () => {
  test('holds only what changed, and leaves the other tables the same objects', () => {
    const after = changed('0000:b0:00.0', 'vfio-pci');
    const parts = hostParts(host, after);
    expect(parts).toEqual([
      {
        table: 'functions',
        changed: [['0000:b0:00.0', summaryOf(after.functions.get('0000:b0:00.0')!)]],
        removed: [],
      },
    ]);
    const sent = asSent(host);
    const result = withParts(sent, parts);
    expect(result).toEqual(asSent(after));
    expect(result.groups).toBe(sent.groups);
    expect(result.functions.get('0000:af:00.0')).toBe(sent.functions.get('0000:af:00.0'));
  });

  test('removes missing entries, and inserts new ones in order', () => {
    const without = changed('0000:3b:0a.1', null);
    expect(withParts(asSent(host), hostParts(host, without))).toEqual(asSent(without));
    const back = withParts(asSent(without), hostParts(without, host));
    expect([...back.functions.keys()]).toEqual([...host.functions.keys()]);
  });

  test('consists of parts that are applied quickly', () => {
    const many = new Map(
      Array.from({ length: 1000 }, (_, index) => [`0000:00:${index}`, host.functions.get('0000:b0:00.0')!]),
    );
    const parts = hostParts(emptyHost, { ...emptyHost, functions: many });
    const sizes = parts.map(part => (part as Extract<HostPart, { changed: unknown }>).changed.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(256);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(1000);
  });
});

test('a function of which only a capability has changed is sent again, so that its details are read', () => {
  const fn = host.functions.get('0000:b0:00.0')!;
  const functions = new Map(host.functions).set(fn.address, { ...fn, capabilities: [] });
  expect(hostParts(host, { ...host, functions })).toEqual([
    { table: 'functions', changed: [[fn.address, summaryOf(fn)]], removed: [] },
  ]);
});

test('the first read of many functions is sent while it is in progress, and nothing twice', async () => {
  const large = scaleTree(600);
  try {
    const service = new HostService(large.root(), '/');
    const early: HostPart[] = [];
    const progress: string[] = [];
    const late = await service.refresh((part, read, total) => {
      early.push(part);
      progress.push(`${read} of ${total}`);
    });
    expect(progress).toEqual(['256 of 600', '512 of 600']);
    const addresses = [...early, ...late].flatMap(part =>
      part.table === 'functions' ? part.changed.map(([address]) => address) : [],
    );
    expect(addresses.length - new Set(addresses).size).toBeLessThan(early.length);
    const known = withParts(emptyHost, structuredClone([...early, ...late]));
    expect(known).toEqual(asSent(await readHost(large.root())));
    expect(await service.refresh(() => expect.unreachable('all is known'))).toEqual([]);
  } finally {
    large.remove();
  }
});
