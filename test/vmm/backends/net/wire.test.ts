import { expect, test } from 'vitest';
import { type Wire, wireFacts, wireFdCount, wireFds, wireOf } from '../../../../src/vmm/backends/net/wire.ts';

const WIRES: Record<string, Wire> = {
  'of no network': { fds: [], header: 'none', label: 'none' },
  'that shares memory': {
    ...{ fds: [5], header: 'none', mtu: 1500, label: 'user' },
    shared: { memory: 6, room: 7 },
  },
  'with all kinds of files': {
    ...{ fds: [3, 4], header: 'virtio', label: 'tap0', interface: 'tap0' },
    vhost: { devices: [10, 11], counters: [12] },
    hub: { number: 1, ports: [{ label: 'net0', fd: 20 }] },
    shared: { memory: 30, room: 31 },
  },
};

test.each(Object.entries(WIRES))('a wire %s survives a message unchanged', (_, wire) => {
  const facts = JSON.parse(JSON.stringify(wireFacts(wire)));
  const fds = wireFds(wire);
  expect(wireFdCount(facts)).toBe(fds.length);
  expect(new Set(fds).size).toBe(fds.length);
  expect(wireOf(facts, fds)).toEqual(wire);
});
