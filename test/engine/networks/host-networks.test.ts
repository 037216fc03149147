import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readGuestAddresses } from '../../../src/engine/networks/guest-addresses.ts';
import { HostNetworks } from '../../../src/engine/networks/host-networks.ts';
import { macvtapName, removeMacvtap } from '../../../src/engine/networks/macvtap.ts';
import { openWire } from '../../../src/engine/networks/open-wire.ts';
import { replaceFile } from '../../../src/files/replace-file.ts';
import {
  checkNetwork,
  definitionPath,
  definitionText,
  networkNamed,
} from '../../../src/host/networks/definition.ts';
import { listNetworks } from '../../../src/host/networks/read.ts';
import { applyPlan } from '../../../src/host/plan/apply.ts';
import { planNetworkDelete } from '../../../src/host/plan/networks/create.ts';
import { systemWriter } from '../../../src/host/plan/process-writer.ts';
import { HostRoot } from '../../../src/host/root.ts';
import { isRunning } from '../../support/manager-process.ts';
import { enterOwnHost } from '../../support/own-host.ts';
import { ip } from '../../support/own-network.ts';
import { dhcp } from '../../support/raw-dhcp.ts';
import { RawGuest } from '../../support/raw-guest.ts';
import { RawWire } from '../../support/raw-wire.ts';
import { until } from '../../support/until.ts';

const USER = {
  vm: 'web',
  device: 'net0',
  mac: '52:54:00:12:34:56',
  queuePairs: 1,
  header: false,
  vhost: false,
  strictly: false,
};
const root = new HostRoot('/');
const notes: string[] = [];
let networks: HostNetworks;

function define(name: string, autostart: boolean): void {
  const definition = checkNetwork({
    ...{ name, bridge: `vr-${name}`, subnet: `10.9.${autostart ? 1 : 0}.0/24`, autostart },
    dhcp: { start: `10.9.${autostart ? 1 : 0}.10`, end: `10.9.${autostart ? 1 : 0}.20` },
  });
  replaceFile(definitionPath(name), definitionText(definition), { mode: 0o644 });
}

beforeAll(() => {
  enterOwnHost();
  networks = new HostNetworks({
    lock: change => change(),
    root,
    note: (level, text) => notes.push(`${level}: ${text}`),
  });
});

afterAll(async () => {
  networks.close();
  const writer = systemWriter(root);
  for (const { name } of (await listNetworks(root)).networks)
    await applyPlan(writer, await planNetworkDelete(root, networkNamed(root, name)));
  writer.close();
});

async function stateOf(name: string) {
  return (await listNetworks(root)).networks.find(network => network.name === name)?.state;
}

describe("vring's networks", () => {
  test('come up with their first network card, and know the address of its guest', async () => {
    define('lab', false);
    expect(await stateOf('lab')).toBe('down');
    const wire = await openWire({ type: 'network', name: 'lab' }, USER, networks);
    expect(await stateOf('lab')).toBe('up');
    expect(notes).toEqual(['info: network lab is up']);
    expect(wire).toMatchObject({ header: 'none', mtu: 1500, label: `lab (tap ${wire.interface})` });
    const guest = new RawGuest(new RawWire(wire.fds[0]!), '0.0.0.0');
    const { address } = await dhcp(guest, 1);
    await dhcp(guest, 3, address);
    await expect.poll(() => readGuestAddresses(root).get(USER.mac)).toEqual([address]);
    guest.wire.close();
    const again = await openWire({ type: 'network', name: 'lab' }, USER, networks);
    expect(notes).toHaveLength(1);
    new RawWire(again.fds[0]!).close();
  });

  test('with autostart come up with the manager', async () => {
    define('auto', true);
    await networks.bringAllUp();
    expect(await stateOf('auto')).toBe('up');
  });

  test('restart dnsmasq when it has ended', async () => {
    networks.watch();
    const { networks: list } = await listNetworks(root);
    const { dnsmasq } = list.find(({ name }) => name === 'auto')!;
    process.kill(dnsmasq!, 'SIGKILL');
    await expect
      .poll(() => notes, { timeout: 20_000 })
      .toContain('warning: dnsmasq of network auto had exited, and was restarted');
    expect(await stateOf('auto')).toBe('up');
  }, 30_000);

  test('restart dnsmasq once what was in its way is gone', async () => {
    notes.length = 0;
    const { dnsmasq } = (await listNetworks(root)).networks.find(({ name }) => name === 'auto')!;
    process.kill(dnsmasq!, 'SIGKILL');
    await until(() => !isRunning(dnsmasq!));
    const other = createSocket('udp4').bind(53, '10.9.1.1');
    await once(other, 'listening');
    await expect
      .poll(() => notes, { timeout: 20_000 })
      .toEqual([
        expect.stringMatching(/^error: network auto has no DHCP and DNS: .*; vring will try again$/),
      ]);
    other.close();
    await expect
      .poll(() => notes, { timeout: 20_000 })
      .toContain('warning: dnsmasq of network auto had exited, and was restarted');
    expect(await stateOf('auto')).toBe('up');
  }, 60_000);

  test('that cannot come up are named', async () => {
    const open = (name: string, known: HostNetworks | null) =>
      openWire({ type: 'network', name }, USER, known);
    await expect(open('web', networks)).rejects.toThrow('there is no network web: there are auto, lab');
    await expect(open('lab', null)).rejects.toThrow('the VM has no manager');
    ip('link', 'add', 'eth7', 'type', 'veth', 'peer', 'name', 'eth8');
    ip('address', 'add', '10.9.2.1/24', 'dev', 'eth7');
    ip('link', 'set', 'eth7', 'up');
    replaceFile(definitionPath('twice'), 'bridge: vr-twice\nsubnet: 10.9.2.0/24\ndhcp: false\ndns: false\n', {
      mode: 0o644,
    });
    await expect(open('twice', networks)).rejects.toThrow(
      /^network twice cannot be brought up: 10\.9\.2\.0\/24: it overlaps 10\.9\.2\.0\/24, .* eth7/,
    );
    ip('link', 'delete', 'eth7');
  });
});

describe('host interfaces', () => {
  test('a bridge gets a port for a new card', async () => {
    ip('link', 'add', 'br7', 'type', 'bridge');
    const wire = await openWire({ type: 'bridge', bridge: 'br7' }, USER);
    expect(ip('-oneline', 'link', 'show', 'master', 'br7')).toContain(`${wire.interface}:`);
    new RawWire(wire.fds[0]!).close();
    await expect(openWire({ type: 'bridge', bridge: 'br8' }, USER)).rejects.toThrow('br8');
    ip('link', 'delete', 'br7');
  });

  test('are shared by macvtap, whose interface is removed', async () => {
    ip('link', 'add', 'eth7', 'type', 'veth', 'peer', 'name', 'eth8');
    ip('link', 'set', 'eth7', 'up');
    ip('link', 'set', 'eth8', 'up');
    ip('address', 'add', '10.30.0.1/24', 'dev', 'eth8');
    const options = { type: 'macvtap', interface: 'eth7', mode: 'bridge' } as const;
    const wire = await openWire(options, USER);
    const name = macvtapName('web', 'net0');
    expect(wire).toMatchObject({ interface: name, label: `eth7 (macvtap ${name})` });
    const guest = new RawGuest(new RawWire(wire.fds[0]!), '10.30.0.9');
    expect((await guest.arp('10.30.0.1')).length).toBe(6);
    await expect.poll(() => readGuestAddresses(root).get(USER.mac) ?? []).toContain('10.30.0.9');
    guest.wire.close();
    // Left over from a VM that ended unnoticed.
    const again = await openWire(options, USER);
    new RawWire(again.fds[0]!).close();
    await Promise.all([removeMacvtap(name), removeMacvtap(name)]);
    expect(ip('link', 'show')).not.toContain(name);
    await expect(openWire({ ...options, interface: 'eth9' }, USER)).rejects.toThrow(
      'interface eth9 does not exist',
    );
    ip('link', 'delete', 'eth7');
  });
});
