import { beforeEach, describe, expect, test } from 'vitest';
import type { HostNetworks } from '../../src/host/networks/host-networks.ts';
import type { InterfaceTraffic } from '../../src/host/networks/read.ts';
import type { Plan } from '../../src/host/plan/plan.ts';
import type { PlanRequest } from '../../src/host-service/requests.ts';
import type { HostSource } from '../../src/host-service/source.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

const MAC = '52:54:00:00:00:01';
const CTRL_S = '\x13';

const traffic = (bytes: number): InterfaceTraffic => ({
  ...{ receivedBytes: bytes, receivedPackets: bytes / 100, sentBytes: 2 * bytes, sentPackets: bytes / 50 },
});

function found(bytes: number): HostNetworks {
  const common = { dns: true, reservations: [], autostart: true, dnsmasq: 7, problems: [] };
  return {
    networks: [
      {
        ...{ ...common, name: 'default', form: 'nat', bridge: 'vr-default', subnet: '192.168.150.0/24' },
        ...{
          dhcp: { start: '192.168.150.2', end: '192.168.150.254' },
          state: 'up',
          address: '192.168.150.1',
        },
        ports: ['vnet0'],
        leases: [{ mac: MAC, address: '192.168.150.7', name: 'guest', expiresAt: null }],
        traffic: traffic(bytes),
      },
      {
        ...{ ...common, name: 'lab', form: 'isolated', bridge: 'vr-lab', subnet: '10.9.0.0/24', dhcp: false },
        ...{ state: 'broken', address: '10.9.0.1', ports: [], leases: [], traffic: null },
        problems: ['the bridge vr-lab does not exist'],
      },
    ],
    interfaces: [
      {
        ...{ name: 'br0', kind: 'bridge', up: true, master: null, ports: ['eth0'], traffic: traffic(0) },
        addresses: ['192.0.2.1/24'],
      },
      {
        ...{ name: 'vnet0', kind: 'tap', up: true, master: 'vr-default', ports: [], addresses: [] },
        traffic: null,
      },
    ],
    problems: [],
  };
}

const plan = (request: PlanRequest): Plan => ({
  ...{ version: 1, kind: 'network', title: `Plan of ${request.kind}`, devices: [], checks: [], assumes: [] },
  ...{ steps: [], notes: [] },
});

let clock: ManualClock;
let engine: FakeEngine;
let driver: TerminalDriver;
let bytes: number;
let asked: PlanRequest[];

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  bytes = 1000;
  asked = [];
});

const host: HostSource = {
  unchangeable: null,
  recording: null,
  connect: () => ({
    client: {
      watch: () => {},
      usage: () => {},
      idle: async () => {},
      call: async (call: string, argument: unknown) => {
        if (call === 'networks') return found(bytes);
        asked.push(argument as PlanRequest);
        return plan(argument as PlanRequest);
      },
    } as never,
    onLost: () => {},
    close: async () => {},
  }),
};

async function start(columns = 80, rows = 24): Promise<void> {
  const nic = (type: string, name: string) => ({
    ...{ device: 'net0', type: 'virtio-net', mac: MAC },
    network: { type, name },
  });
  engine.add('web', complete, { nics: [nic('network', 'default')] });
  engine.add('db', complete, { nics: [{ ...nic('bridge', 'br0'), mac: null }] });
  engine.become('db', 'off', {});
  driver = new TerminalDriver(engine, clock, columns, rows, { host });
  await driver.waitFor('q quit');
  driver.type('9');
  await driver.waitFor('192.168.150.0/24');
}

describe('networks', () => {
  test.each([
    [60, 20],
    [80, 24],
    [120, 40],
    [170, 40],
  ])('at %i x %i', async (columns, rows) => {
    await start(columns, rows);
    bytes = 1000 + 4096;
    clock.advance(2000);
    if (columns >= 80) await driver.waitFor(/ 2K /);
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
  });

  test('show VMs, and their leases', async () => {
    await start();
    expect(driver.screen).toContain(`192.168.150.7 ${MAC} web`);
    driver.type(KEY.enter);
    await driver.waitFor('192.168.150.2 to 192.168.150.254');
    driver.escape();
    await driver.waitFor('n new');
    driver.type('j');
    await driver.waitFor('the bridge vr-lab does not exist');
    driver.type('j');
    await driver.waitFor(/VMs +db \(off\)/);
    driver.type('S');
    await driver.waitFor('cannot start the network: br0 is not managed by vring');
    driver.type('/isolated\r');
    await driver.waitFor('1/4 match');
  });

  test('are not created with an invalid address', async () => {
    await start();
    driver.type('n');
    await driver.waitFor('New network');
    driver.type(`lan${KEY.down}${KEY.down}\x1510.300.0.0/24${CTRL_S}`);
    await driver.waitFor('expected a network such as 192.168.150.0/24, or free');
    expect(asked).toEqual([]);
  });

  test('are started, stopped and deleted by plans', async () => {
    await start();
    for (const [key, kind] of [
      ['S', 'network-start'],
      ['O', 'network-stop'],
      ['X', 'network-delete'],
    ] as const) {
      driver.type(key);
      await driver.waitFor(`Plan of ${kind}`);
      driver.escape();
      await driver.waitFor('n new');
      expect(asked.at(-1)).toEqual({ kind, name: 'default' });
    }
  });

  test('are created by a form, which shows the plan', async () => {
    await start();
    driver.type('n');
    await driver.waitFor('New network');
    driver.type(CTRL_S);
    await driver.waitFor('as VMs have it');
    driver.type('default');
    await driver.waitFor('there is a network default already');
    driver.type(`\x15lan${KEY.down} ${KEY.down}10.8.0.0/16${KEY.down} `);
    await driver.waitFor('[routed]');
    driver.type(CTRL_S);
    await driver.waitFor('Plan of network-create');
    expect(asked).toEqual([
      {
        ...{ kind: 'network-create', name: 'lan', form: 'routed', subnet: '10.8.0.0/16', dhcp: false },
        ...{ dns: true, autostart: false },
      },
    ]);
  });
});
