import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type NetworkDefinition, networkNamed } from '../../../../src/host/networks/definition.ts';
import { listNetworks, type NetworkInfo } from '../../../../src/host/networks/read.ts';
import { Journal, latestEntry } from '../../../../src/host/plan/journal.ts';
import { networkChecks } from '../../../../src/host/plan/networks/checks.ts';
import {
  type NetworkRequest,
  planNetworkCreate,
  planNetworkDelete,
} from '../../../../src/host/plan/networks/create.ts';
import { planNetworkStart } from '../../../../src/host/plan/networks/start.ts';
import { planNetworkStop } from '../../../../src/host/plan/networks/stop.ts';
import { blocks, type Plan } from '../../../../src/host/plan/plan.ts';
import { systemWriter } from '../../../../src/host/plan/process-writer.ts';
import { runPlan, undoEntry } from '../../../../src/host/plan/run.ts';
import { HostRoot } from '../../../../src/host/root.ts';
import { openTap } from '../../../../src/vmm/backends/net/tap.ts';
import { enterOwnHost } from '../../../support/own-host.ts';
import { ip } from '../../../support/own-network.ts';
import { dhcp } from '../../../support/raw-dhcp.ts';
import { checksum, ICMP, RawGuest, readIp } from '../../../support/raw-guest.ts';
import { RawWire } from '../../../support/raw-wire.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { until } from '../../../support/until.ts';

const root = new HostRoot('/');
const journal = new Journal(join(temporaryFolder(), 'plans'));

beforeAll(() => enterOwnHost());

afterEach(async () => {
  for (const { name } of (await listNetworks(root)).networks)
    await apply(await planNetworkDelete(root, networkNamed(root, name)));
  expect(what()).toEqual(NOTHING);
});

async function apply(plan: Plan) {
  const writer = systemWriter(root);
  try {
    return await runPlan(writer, journal, plan);
  } finally {
    writer.close();
  }
}

async function create(request: NetworkRequest): Promise<NetworkInfo> {
  const outcome = await apply(await planNetworkCreate(root, request));
  expect(outcome.problem).toBeNull();
  return (await info(request.name))!;
}

async function info(name: string): Promise<NetworkInfo | undefined> {
  return (await listNetworks(root)).networks.find(network => network.name === name);
}

/** All that a network changes. */
function what() {
  return {
    bridges: ip('-oneline', 'link', 'show', 'type', 'bridge').trim(),
    rules: execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).trim(),
    forwarding: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim(),
    files: execFileSync('find', ['/run/vring', '/etc/vring', '/var/lib/vring', '-type', 'f'], {
      encoding: 'utf8',
    }).trim(),
  };
}

const NOTHING = { bridges: '', rules: '', forwarding: '0', files: '' };

describe('a network', () => {
  test('comes up, goes down, comes up again, and leaves nothing when it is deleted', async () => {
    const before = what();
    expect(before).toEqual(NOTHING);
    const up = await create({ name: 'default' });
    expect(up).toMatchObject({
      state: 'up',
      bridge: 'vr-default',
      subnet: '192.168.150.0/24',
      address: '192.168.150.1',
    });
    expect(await apply(await planNetworkStop(root, up))).toMatchObject({ state: 'applied' });
    expect(await info('default')).toMatchObject({ state: 'down', problems: [] });
    expect(what()).toMatchObject({ bridges: '', rules: '', forwarding: '0' });
    expect((await planNetworkStop(root, up)).steps).toEqual([]);
    await apply(await planNetworkStart(root, networkNamed(root, 'default')));
    expect(await info('default')).toMatchObject({ state: 'up' });
  });

  test('is completed by a second start', async () => {
    const { dnsmasq } = await create({ name: 'default' });
    process.kill(dnsmasq!);
    await expect.poll(async () => (await info('default'))?.state).toBe('broken');
    execFileSync('nft', ['delete', 'table', 'ip', 'vring-default']);
    expect((await info('default'))?.problems).toEqual([
      'its rules are not in nftables',
      'dnsmasq does not run, which serves DHCP and DNS',
    ]);
    const outcome = await apply(await planNetworkStart(root, networkNamed(root, 'default')));
    expect(outcome.steps.filter(state => state === 'done')).toHaveLength(2);
    expect(await info('default')).toMatchObject({ state: 'up' });
  });

  test('that cannot come up leaves nothing behind, and undo removes one', async () => {
    const server = createSocket('udp4').bind(53, '0.0.0.0');
    await once(server, 'listening');
    const plan = await planNetworkCreate(root, { name: 'default' });
    expect(blocks(plan).map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/^port 53 of all addresses is in use by .*\(pid \d+\)/),
    ]);
    const outcome = await apply(plan);
    expect(outcome).toMatchObject({ state: 'failed' });
    expect(outcome.rollback.every(({ state }) => state === 'undone' || state === 'unneeded')).toBe(true);
    server.close();
    expect(what()).toMatchObject({ ...NOTHING, files: expect.any(String) });
    await create({ name: 'default' });
    const entry = latestEntry(journal.read())!;
    const writer = systemWriter(root);
    expect(await undoEntry(writer, journal, entry)).toMatchObject({ state: 'undone', problem: null });
    writer.close();
    expect(what()).toMatchObject({ bridges: '', rules: '', forwarding: '0' });
    execFileSync('rm', ['-rf', '/var/lib/vring/networks']);
  });

  test('shares forwarding with others until the last one is removed', async () => {
    await create({ name: 'a' });
    const b = await create({ name: 'b' });
    expect(b.subnet).toBe('192.168.151.0/24');
    await apply(await planNetworkDelete(root, networkNamed(root, 'a')));
    expect(what().forwarding).toBe('1');
    await apply(await planNetworkDelete(root, networkNamed(root, 'b')));
    expect(what().forwarding).toBe('0');
  });

  test('is not taken down while something is attached to it', async () => {
    const up = await create({ name: 'default' });
    ip('tuntap', 'add', 'dev', 'tap7', 'mode', 'tap');
    ip('link', 'set', 'dev', 'tap7', 'master', 'vr-default');
    const plan = await planNetworkStop(root, up);
    expect(blocks(plan).map(({ reason }) => reason)).toEqual([
      'tap7 is attached to it: stop the VMs, or detach their network cards',
    ]);
    expect((await info('default'))?.ports).toEqual(['tap7']);
    ip('link', 'delete', 'tap7');
  });
});

describe('conflicts of a network are', () => {
  const request = { name: 'lab', bridge: 'vr-lab', subnet: '10.50.0.0/16' } as const;
  const reasons = async () =>
    (await planNetworkCreate(root, request)).checks
      .filter(({ level }) => level !== 'ok')
      .map(({ level, reason }) => `${level}: ${reason}`);

  test('a route, an interface, another network', async () => {
    expect(await reasons()).toEqual([]);
    ip('link', 'add', 'eth7', 'type', 'veth', 'peer', 'name', 'eth8');
    ip('address', 'add', '10.50.3.1/24', 'dev', 'eth7');
    ip('link', 'set', 'eth7', 'up');
    ip('link', 'set', 'eth8', 'up');
    expect(await reasons()).toEqual([
      'block: it overlaps 10.50.3.0/24, a route through eth7: choose another one (--subnet), or leave it out',
    ]);
    ip('link', 'delete', 'eth7');
    ip('link', 'add', 'vr-lab', 'type', 'veth', 'peer', 'name', 'eth8');
    expect(await reasons()).toEqual([
      'block: an interface has this name, and is not a bridge: choose another one (--bridge)',
    ]);
    ip('link', 'delete', 'vr-lab');
    ip('link', 'add', 'vr-lab', 'type', 'bridge');
    expect(await reasons()).toEqual([
      'block: there is a bridge of this name that vring did not create: choose another one (--bridge)',
    ]);
    ip('link', 'delete', 'vr-lab');
    await create({ name: 'other', subnet: '10.50.7.0/24' });
    expect(await reasons()).toEqual([expect.stringContaining('it overlaps 10.50.7.0/24')]);
  });

  test("firewalld's table, and a policy that drops what is forwarded", async () => {
    const rules = join(temporaryFolder(), 'rules');
    writeFileSync(
      rules,
      [
        'table inet firewalld {',
        '}',
        'table ip filter {',
        '  chain DOCKER-USER {',
        '  }',
        '  chain FORWARD {',
        '    type filter hook forward priority 0; policy drop;',
        '  }',
        '}',
        '',
      ].join('\n'),
    );
    execFileSync('nft', ['-f', rules]);
    expect(await reasons()).toEqual([
      expect.stringContaining('firewall-cmd --permanent --zone=trusted --add-interface=vr-lab'),
      expect.stringContaining(
        "Docker's rules drop what the host forwards: allow the bridge (iptables -I DOCKER-USER -i vr-lab -j ACCEPT",
      ),
    ]);
    execFileSync('nft', ['flush', 'ruleset']);
  });

  test("libvirt's networks, up or down", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'etc/libvirt/qemu/networks'), { recursive: true });
    writeFileSync(
      join(folder, 'etc/libvirt/qemu/networks/default.xml'),
      "<network><name>default</name><bridge name='virbr0' stp='on'/><ip address='192.168.122.1' netmask='255.255.255.0'></ip></network>",
    );
    const recorded = new HostRoot(folder);
    const network = (bridge: string, subnet: string): NetworkDefinition => ({
      name: 'x',
      form: 'isolated',
      bridge,
      subnet,
      dhcp: false,
      dns: false,
      reservations: [],
      autostart: false,
    });
    const found = async (bridge: string, subnet: string) =>
      (await networkChecks(recorded, network(bridge, subnet))).map(
        ({ level, reason }) => `${level}: ${reason}`,
      );
    expect(await found('vr-x', '192.168.122.0/25')).toContainEqual(
      "warn: it overlaps 192.168.122.0/24, libvirt's network default: only one of them can be up",
    );
    expect(await found('virbr0', '10.0.0.0/24')).toContainEqual(
      "block: it is the bridge of libvirt's network default: choose another one (--bridge)",
    );
  });
});

describe('a guest in a network', () => {
  test('gets an address and names, and leaves with the address of the host', async () => {
    const outside = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up; echo ready; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(outside.stdout!, 'data');
    ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'in0', 'netns', String(outside.pid));
    ip('address', 'add', '203.0.113.1/24', 'dev', 'out0');
    ip('link', 'set', 'out0', 'up');
    const there = ['--target', String(outside.pid), '--net'];
    for (const words of ['address add 203.0.113.9/24 dev in0', 'link set in0 up'])
      execFileSync('nsenter', [...there, 'ip', ...words.split(' ')]);

    await create({
      name: 'default',
      domain: 'lab.test',
      reservations: [{ mac: '52:54:00:12:34:56', address: '192.168.150.77', name: 'db' }],
    });
    const tap = await openTap(
      { type: 'tap', br: 'vr-default' },
      { vm: 'web', device: 'net0', mac: null, queuePairs: 1, header: false, vhost: false, strictly: false },
    );
    const guest = new RawGuest(new RawWire(tap.fds[0]!), '192.168.150.77');
    const offer = await dhcp(guest, 1);
    expect(offer.address).toBe('192.168.150.77');
    await dhcp(guest, 3, '192.168.150.77');
    await expect.poll(async () => (await info('default'))?.leases.length).toBe(1);
    expect((await info('default'))?.leases).toMatchObject([
      { mac: '52:54:00:12:34:56', address: '192.168.150.77', name: 'db' },
    ]);
    expect((await info('default'))?.ports).toEqual([tap.interface]);

    await guest.arp('192.168.150.1');
    // A question for the address of db.lab.test (RFC 1035 §4.1).
    const question = Buffer.from('12340100000100000000000002646203' + '6c616204746573740000010001', 'hex');
    const reply = await guest.datagram(4000, () => guest.udp('192.168.150.1', 53, 4000, question));
    expect([...reply.subarray(-4)].join('.')).toBe('192.168.150.77');

    const seen = spawn(
      'nsenter',
      [...there, 'socat', '-u', 'UDP4-RECVFROM:7000', 'SYSTEM:echo $SOCAT_PEERADDR'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await until(() =>
      execFileSync('nsenter', [...there, 'cat', '/proc/net/udp'], { encoding: 'utf8' }).includes(':1B58'),
    );
    guest.udp('203.0.113.9', 7000, 4001, Buffer.from('hello'));
    const [peer] = await once(seen.stdout!, 'data');
    expect(String(peer).trim()).toBe('203.0.113.1');

    // An isolated network has no way there.
    const ping = Buffer.from('0800f7ff00000000', 'hex');
    expect(checksum(ping)).toBe(0);
    const echo = () => guest.ip('203.0.113.9', ICMP, ping);
    await guest.wire.wait('echo reply', frame => (readIp(frame)?.from === '203.0.113.9' ? true : null), echo);
    await apply(await planNetworkDelete(root, networkNamed(root, 'default')));
    await create({ name: 'default', form: 'isolated', subnet: '192.168.150.0/24' });
    ip('link', 'set', 'dev', tap.interface!, 'master', 'vr-default');
    await guest.arp('192.168.150.1');
    execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    await guest.wire.wait(
      'network unreachable',
      frame => {
        const packet = readIp(frame);
        return packet?.protocol === ICMP && packet.payload[0] === 3 ? true : null;
      },
      echo,
    );
    execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=0']);
    guest.wire.close();
    outside.kill();
  });
});
