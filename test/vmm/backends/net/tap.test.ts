import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openWire } from '../../../../src/engine/networks/open-wire.ts';
import { type Wire, wireFds } from '../../../../src/vmm/backends/net/wire.ts';
import type { WireUser } from '../../../../src/vmm/backends/net/wire-user.ts';
import * as libc from '../../../../src/vmm/native/libc.ts';
import { enterOwnNetwork, ip } from '../../../support/own-network.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const USER: WireUser = {
  vm: 'web',
  device: 'net0',
  mac: null,
  queuePairs: 1,
  header: true,
  vhost: true,
  strictly: false,
};
const folder = temporaryFolder();
const wires: Wire[] = [];

async function open(options: Parameters<typeof openWire>[0], user: Partial<WireUser> = {}): Promise<Wire> {
  const wire = await openWire(options, { ...USER, ...user });
  wires.push(wire);
  return wire;
}

beforeAll(enterOwnNetwork);
afterEach(() => {
  for (const fd of wires.splice(0).flatMap(wireFds)) libc.close(fd);
});

describe('a TAP interface', () => {
  test('is created with the name that the kernel chooses, and is up', async () => {
    const wire = await open({ type: 'tap' });
    expect(wire).toMatchObject({ header: 'virtio', label: 'tap0', interface: 'tap0', mtu: 1500 });
    expect(wire.fds).toHaveLength(1);
    expect(ip('link', 'show', 'tap0')).toContain('UP');
  });

  test('has as many queues as the card, and bare frames for a card without headers', async () => {
    const several = await open({ type: 'tap', ifname: 'many' }, { queuePairs: 3 });
    expect(several.fds).toHaveLength(3);
    expect(ip('-d', 'link', 'show', 'many')).toContain('multi_queue');
    expect(await open({ type: 'tap', ifname: 'bare' }, { header: false })).toMatchObject({ header: 'none' });
    expect(ip('-d', 'link', 'show', 'bare')).not.toContain('vnet_hdr on');
  });

  test('is used unchanged if it exists, even with several queues', async () => {
    ip('tuntap', 'add', 'dev', 'one', 'mode', 'tap');
    ip('tuntap', 'add', 'dev', 'multi', 'mode', 'tap', 'multi_queue');
    expect((await open({ type: 'tap', ifname: 'one' })).interface).toBe('one');
    // It was down, and stays so: whoever has created it configures it.
    expect(ip('link', 'show', 'one')).not.toContain(',UP');
    expect((await open({ type: 'tap', ifname: 'multi' })).fds).toHaveLength(1);
    await expect(open({ type: 'tap', ifname: 'one' }, { queuePairs: 2 })).rejects.toThrow(
      'TAP interface one has one queue, and 2 are wanted: create it with `ip tuntap add dev one mode tap multi_queue`',
    );
    await expect(open({ type: 'tap', ifname: 'one' })).rejects.toThrow(
      'TAP interface one cannot be opened: another program uses it',
    );
    await expect(open({ type: 'tap', ifname: 'lo' })).rejects.toThrow('it is no TAP interface');
  });

  test('is attached to a bridge', async () => {
    ip('link', 'add', 'br0', 'type', 'bridge');
    const wire = await open({ type: 'tap', ifname: 'port', br: 'br0' });
    expect(wire.label).toBe('br0 (tap port)');
    expect(ip('link', 'show', 'port')).toContain('master br0');
    await expect(open({ type: 'tap', ifname: 'port2', br: 'lo' })).rejects.toThrow('it is not a bridge');
    await expect(open({ type: 'tap', ifname: 'port2', br: 'br9' })).rejects.toThrow(
      'there is no such interface',
    );
    // Nothing is left of one that fails.
    expect(() => ip('link', 'show', 'port2')).toThrow();
  });

  test('is passed to a script, whose error output is reported', async () => {
    const script = join(folder, 'up');
    writeFileSync(script, `#!/bin/sh\necho "$1" > ${folder}/name\nip link set "$1" mtu 1400 up\n`);
    chmodSync(script, 0o755);
    expect(await open({ type: 'tap', ifname: 'made', script })).toMatchObject({ mtu: 1400 });
    expect(readFileSync(join(folder, 'name'), 'utf8')).toBe('made\n');
    writeFileSync(script, '#!/bin/sh\necho no bridge today >&2\nexit 3\n');
    await expect(open({ type: 'tap', script })).rejects.toThrow(
      /up for interface tap\d ended with status 3: no bridge today$/,
    );
    await expect(open({ type: 'tap', script: '/no/such' })).rejects.toThrow(
      '/no/such for interface tap0 cannot be run: no such file or directory (ENOENT)',
    );
  });
});

describe('given fds', () => {
  test('may be a TAP interface, or sockets that preserve frame boundaries', async () => {
    const { fds } = await open({ type: 'tap', ifname: 'given' }, { queuePairs: 2 });
    expect(await open({ type: 'tap', fds: [...fds] })).toMatchObject({
      interface: 'given',
      header: 'virtio',
    });
    const bare = await open({ type: 'tap', ifname: 'bare' }, { header: false });
    expect(await open({ type: 'tap', fds: [...bare.fds] })).toMatchObject({
      interface: 'bare',
      header: 'none',
    });
    const pair = libc.socketPair(libc.SOCK_SEQPACKET);
    expect(await open({ type: 'tap', fds: [pair[0]] })).toMatchObject({
      header: 'none',
      label: `fd ${pair[0]}`,
    });
    const stream = libc.socketPair();
    await expect(open({ type: 'tap', fds: [stream[0]] })).rejects.toThrow(
      'neither a TAP interface nor a socket of packets',
    );
    await expect(open({ type: 'tap', fds: [fds[0]!, bare.fds[0]!] })).rejects.toThrow(
      'are not of one TAP interface',
    );
    await expect(open({ type: 'tap', fds: [9999] })).rejects.toThrow('fd 9999 is not open');
    for (const fd of [...pair, ...stream]) libc.close(fd);
  });
});
