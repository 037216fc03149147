import { beforeEach, describe, expect, test } from 'vitest';
import type { DeviceLabel } from '../../src/vmm/machine/topology.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

const CTRL_S = '\x13';
const HERE = { bridges: ['br0', 'br1'], interfaces: ['eth0'], networks: ['default'], passt: false };

let clock: ManualClock;
let engine: FakeEngine;
let driver: TerminalDriver;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
});

const card = (name: string, link: string): DeviceLabel => ({
  ...{
    name,
    type: 'virtio-net',
    title: 'virtio network card',
    backend: 'net',
    bus: 'pci.0',
    address: '00:07.0',
  },
  facts: [
    { label: 'network', value: 'br0 (tap tap0)' },
    { label: 'MAC', value: '52:54:00:00:00:01' },
    { label: 'link', value: link },
    { label: 'queues', value: 2 },
    { label: 'limits', value: 'none' },
  ],
});

async function start(columns = 80, rows = 24): Promise<void> {
  const id = engine.add('web', complete);
  const { topology } = engine.vms()[0]!;
  const devices = [...topology!.devices, card('net0', 'up'), card('net1', 'down')];
  const places = { rootPorts: [], devices: [] };
  engine.become(id, 'running', { topology: { ...topology!, devices, places } });
  driver = new TerminalDriver(engine, clock, columns, rows, { networkChoices: () => HERE });
  await driver.waitFor('q quit');
  driver.type(`${KEY.enter}6`);
  await driver.waitFor('net1');
}

describe('network cards', () => {
  test.each([
    [60, 20],
    [80, 24],
    [120, 40],
  ])('of a VM at %i x %i', async (columns, rows) => {
    await start(columns, rows);
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
  });

  test('have links and limits that change', async () => {
    await start();
    driver.type('I');
    await driver.waitFor('web: the link of net0 is down');
    driver.type('jI');
    await driver.waitFor('web: the link of net1 is up');
    driver.type('L');
    await driver.waitFor('Limits of net1');
    driver.type('rx-bps=5M tx-pps=100 tx-pps-burst=200\r');
    await driver.waitFor('limits of net1: receive 5M/s; transmit 100 packets/s in bursts of 200');
    expect(engine.calls.at(-1)).toContain(
      '{"receive":{"bps":5242880},"transmit":{"pps":100,"pps-burst":200}}',
    );
    for (const [text, problem] of [
      ['rx=5', '"rx=5" is not a limit'],
      ['rx-bps-burst=5M', 'rx-bps-burst: a burst needs a limit'],
    ] as const) {
      driver.type('L');
      await driver.waitFor('Limits of net1');
      driver.type(`${text}\r`);
      await driver.waitFor(problem);
    }
  });

  test('are attached to networks and interfaces of this host', async () => {
    await start();
    driver.type('a');
    await driver.waitFor('Attach a network card to web');
    expect(driver.screen).toContain('network:default');
    driver.type('\x15bri');
    await driver.waitFor(/Network +bri/);
    driver.type(KEY.tab);
    await driver.waitFor(/bridge:br0 +bridge:br1/);
    driver.type(`9${CTRL_S}`);
    await driver.waitFor('there is no bridge br9: there is br0, br1');
    driver.type(`\x15user,queues=x${CTRL_S}`);
    await driver.waitFor('queues takes a whole number');
    driver.type(`\x15user,hostfwd=tcp::2222-:22${KEY.down}52:54:00:aa:bb:cc${CTRL_S}`);
    await driver.waitFor('virtio-net0 is in web');
    expect(engine.attached).toMatchObject([
      {
        type: 'virtio-net',
        mac: '52:54:00:aa:bb:cc',
        network: { type: 'user', hostfwd: [{ host: 2222, guest: 22 }] },
      },
    ]);
  });
});
