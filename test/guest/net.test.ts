import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { NetOptions } from '../../src/devices/backends/net.ts';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import * as libc from '../../src/vmm/native/libc.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { enterOwnNetwork, ip } from '../support/own-network.ts';

const engines: LocalEngine[] = [];

beforeAll(enterOwnNetwork);
afterEach(async () => {
  await Promise.all(engines.splice(0).map(engine => engine.close()));
});

async function guest(
  number: number,
  network: unknown,
  options: Readonly<Record<string, unknown>> = {},
): Promise<GuestVm> {
  const engine = new LocalEngine();
  engines.push(engine);
  const mac = `52:54:00:00:00:0${number}`;
  const device = { type: 'virtio-net', network: network as NetOptions, mac, ...options };
  return await GuestVm.start(engine, { name: `guest${number}`, devices: [device] });
}

/** Two guests at both ends of a socket. */
async function pair(options = {}): Promise<[GuestVm, GuestVm]> {
  const fds = libc.socketPair(libc.SOCK_SEQPACKET);
  const guests = await Promise.all(fds.map((fd, index) => guest(index, { type: 'tap', fds: [fd] }, options)));
  for (const fd of fds) libc.close(fd);
  return guests as [GuestVm, GuestVm];
}

/** Has `from` send frames that `to` answers. @returns what came of it */
async function ping(from: GuestVm, to: GuestVm, count: number, ...options: (string | number)[]) {
  const echo = to.command('net echo 600s');
  await to.printed(/net echo 600s\r?\n$/);
  const sent = await from.command(`net ping ${count} ${options.join(' ')}`);
  to.interrupt();
  return { ...resultOf(sent, 'net-ping'), answered: resultOf(await echo, 'net-echo') };
}

describe.skipIf(noKvm !== null)(onKvm('frames between two guests'), { timeout: 120_000 }, () => {
  test('through a socket: of all sizes, with chains and tables, completed checksums', async () => {
    const [a, b] = await pair();
    expect(await a.command('net info')).toContain('mac=52:54:00:00:00:00 link=up');
    for (const options of [
      [60],
      [61],
      [1514],
      [9000],
      [60_000],
      [1500, 'indirect'],
      [1500, 'csum'],
      [1501, 'csum', 'indirect'],
    ]) {
      const result = await ping(a, b, 10, ...options);
      expect(result).toMatchObject({ lost: 0, bad: 0, answered: { answered: 10, bad: 0 } });
    }
  });

  test('through two TAP interfaces and a bridge', async () => {
    // Else a new port carries nothing for 15 s.
    ip('link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
    ip('link', 'set', 'br0', 'up');
    const [a, b] = await Promise.all([0, 1].map(number => guest(number, { type: 'tap', br: 'br0' })));
    for (const options of [[60], [1514], [1500, 'csum'], [1500, 'csum', 'indirect']]) {
      const result = await ping(a!, b!, 10, ...options);
      expect(result).toMatchObject({ lost: 0, bad: 0, answered: { answered: 10, bad: 0 } });
    }
  });
});
