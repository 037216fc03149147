import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { VmAgent } from '../../../src/engine/guest-agent/vm-agent.ts';
import type { Topology } from '../../../src/vmm/machine/topology.ts';

const topologyWith = (consoles: Topology['consoles']) => ({ consoles }) as Topology;
const ANSWERS: Readonly<Record<string, unknown>> = {
  'guest-info': { version: '7.2.11' },
  'guest-get-host-name': { 'host-name': 'web1' },
  'guest-network-get-interfaces': [
    { name: 'lo', 'ip-addresses': [{ 'ip-address': '127.0.0.1', 'ip-address-type': 'ipv4' }] },
    {
      name: 'eth0',
      'hardware-address': '52:54:00:AA:BB:01',
      'ip-addresses': [
        { 'ip-address': '192.168.122.7', 'ip-address-type': 'ipv4' },
        { 'ip-address': 'fe80::1', 'ip-address-type': 'ipv6' },
      ],
    },
  ],
};

let changes = 0;
const sent: string[] = [];
let isRunning = false;
let vm: VmAgent;

beforeEach(() => {
  vi.useFakeTimers();
  changes = 0;
  isRunning = false;
  vm = new VmAgent({
    transport: port => ({
      send: bytes => {
        const line = Buffer.from(bytes).toString('latin1').replace('\xff', '').trim();
        if (line === '' || !isRunning) return;
        const { execute, arguments: args } = JSON.parse(line);
        sent.push(execute);
        const found = execute === 'guest-sync-delimited' ? args.id : ANSWERS[execute];
        const answer =
          found === undefined ? { error: { class: 'CommandNotFound', desc: 'none' } } : { return: found };
        const mark = execute === 'guest-sync-delimited' ? '\xff' : '';
        setTimeout(() => vm.received(port, Buffer.from(`${mark}${JSON.stringify(answer)}\n`, 'latin1')), 1);
      },
      room: async () => {},
    }),
    changed: () => changes++,
  });
});

afterEach(() => vi.useRealTimers());

test('a guest is polled until its agent runs, and the replies are kept until its machine is gone', async () => {
  expect(() => vm.agent).toThrow('add `agent: true`');
  expect(vm.received(15, Buffer.from('x'))).toBe(false);
  vm.follow(
    topologyWith([
      { port: 0, name: 'com1' },
      { port: 15, name: 'vport0', agent: true },
    ]),
  );
  await vi.advanceTimersByTimeAsync(30_000);
  expect(vm.facts).toBeNull();
  isRunning = true;
  await vi.advanceTimersByTimeAsync(120_000);
  expect(sent).not.toContain('guest-set-time');
  vm.clockStoodStill();
  await vi.advanceTimersByTimeAsync(200_000);
  expect(sent.filter(command => command === 'guest-set-time')).toHaveLength(1);
  expect(vm.facts).toMatchObject({
    version: '7.2.11',
    hostname: 'web1',
    os: null,
    interfaces: [
      { name: 'lo', mac: null, addresses: [] },
      { name: 'eth0', mac: '52:54:00:aa:bb:01', addresses: ['192.168.122.7'] },
    ],
    filesystems: [],
    users: [],
  });
  expect(vm.addressesOf('52:54:00:AA:BB:01')).toEqual(['192.168.122.7']);
  expect([vm.addressesOf('52:54:00:aa:bb:02'), vm.addressesOf(null)]).toEqual([[], []]);
  // An unchanged reply is not reported again.
  expect(changes).toBe(1);
  vm.end('the VM is off');
  expect(vm.facts).toBeNull();
  expect(() => vm.agent).toThrow('no channel');
});
