import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { NetOptions } from '../../src/devices/backends/net.ts';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { ProcessMachines } from '../../src/engine/machines/process-machine.ts';
import { SnapshotStore } from '../../src/engine/snapshots/store.ts';
import { placesWith } from '../../src/manager/machines/register.ts';
import * as libc from '../../src/vmm/native/libc.ts';
import { GuestVm, resultOf } from '../support/guest-vm.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { withOwnFolders } from '../support/manager-process.ts';
import { enterOwnNetwork, ip } from '../support/own-network.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

const engines: LocalEngine[] = [];

withOwnFolders();
beforeAll(enterOwnNetwork);
afterEach(async () => {
  await Promise.all(engines.splice(0).map(engine => engine.close()));
});

async function guest(
  number: number,
  network: unknown,
  options: Readonly<Record<string, unknown>> = {},
  engine = new LocalEngine(),
): Promise<GuestVm> {
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
  await to.interrupt();
  return { ...resultOf(sent, 'net-ping'), answered: resultOf(await echo, 'net-echo') };
}

describe.skipIf(noKvm !== null)(onKvm('frames between two guests'), { timeout: 120_000 }, () => {
  test('pass through a socket: of all sizes, with chains and tables, with completed checksums', async () => {
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

  test('pass with many in flight, of all sizes, new and repeated', async () => {
    const [a, b] = await pair();
    for (const [count, size, options] of [
      [300, 1500, ''],
      [300, 1500, 'csum repeat'],
      [300, 2048, 'indirect'],
      [300, 2049, 'repeat'],
      [300, 60_000, ''],
      [300, 60_000, 'repeat indirect'],
    ]) {
      const received = b.command(`net receive ${count}`);
      await b.printed(/net receive \d+\r?\n$/);
      expect(await a.command(`net send ${count} ${size} ${options}`)).toContain(`frames=${count}`);
      const result = resultOf(await received, 'net-receive');
      expect(result, `${size} ${options}`).toMatchObject({ frames: count, bad: 0 });
    }
  });

  test('pass through two TAP interfaces and a bridge, of machines in confined processes', async () => {
    // Else a new port carries nothing for 15 s.
    ip('link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
    ip('link', 'set', 'br0', 'up');
    const [a, b] = await Promise.all(
      [0, 1].map(number =>
        guest(number, { type: 'tap', br: 'br0' }, {}, new LocalEngine({ machines: new ProcessMachines() })),
      ),
    );
    for (const options of [[60], [1514], [1500, 'csum'], [1500, 'csum', 'indirect']]) {
      const result = await ping(a!, b!, 10, ...options);
      expect(result).toMatchObject({ lost: 0, bad: 0, answered: { answered: 10, bad: 0 } });
    }
  });

  test('pass through a hub with a TAP interface, while cards are plugged and unplugged', async () => {
    const engine = new LocalEngine();
    engines.push(engine);
    const hub = (more: object = {}) => ({ type: 'hub', hub: 0, ...more });
    const nic = (number: number, network: object) => ({
      ...{ type: 'virtio-net', network, name: `net${number}`, mac: `52:54:00:00:00:0${number}` },
    });
    const tap = { networks: [{ type: 'tap', ifname: 'tap5' }] };
    // Both cards of one VM on one wire.
    const a = await GuestVm.start(engine, {
      name: 'two',
      devices: [nic(0, hub(tap)), nic(1, hub())] as never,
    });
    const exchange = async () => {
      expect(await a.command('net send 5 100 card=0')).toContain('frames=5');
      const received = resultOf(await a.command('net receive 5 card=1'), 'net-receive');
      expect(received).toMatchObject({ frames: 5, bad: 0, disordered: 0 });
    };
    const onTap = () =>
      Number(
        /"rx":\{.*?"packets":(\d+)/.exec(ip('-s', '-j', 'link', 'show', 'tap5').replaceAll(/\s/g, ''))![1],
      );
    await exchange();
    await until(() => onTap() === 5);
    await engine.attach(a.id, { ...nic(2, hub()), name: 'net2' } as never, { persist: false });
    await exchange();
    await engine.detach(a.id, 'net2', { force: true, persist: false });
    await exchange();
    await until(() => onTap() === 15);
    expect(a.info.topology?.queues.map(({ queue }) => queue)).toContain('hub port tap5');
    await engine.setLink(a.id, 'net1', false);
    expect(await a.command('net send 5 100 card=0')).toContain('frames=5');
    expect(await a.command('net info card=1')).toContain('link=down');
    await engine.setLink(a.id, 'net1', true);
    await exchange();
  });

  test('pass before and after a hand-over to another process, and after a restore from a snapshot', async () => {
    ip('link', 'add', 'br1', 'type', 'bridge', 'forward_delay', '0');
    ip('link', 'set', 'br1', 'up');
    const folder = temporaryFolder('/dev/shm');
    const snapshots = { store: new SnapshotStore(join(folder, 'snapshots')), disks: join(folder, 'disks') };
    const engine = new LocalEngine({
      ...{ machines: new ProcessMachines(), takePlace: placesWith(null), snapshots },
    });
    const a = await guest(0, { type: 'tap', br: 'br1', ifname: 'tap7' }, {}, engine);
    const tap = { type: 'tap', br: 'br1', ifname: 'tap8' };
    const b = await guest(1, { type: 'hub', hub: 0, networks: [tap] }, {}, engine);
    const exchange = async (from: GuestVm, to: GuestVm) =>
      expect(await ping(from, to, 10, 1500, 'csum')).toMatchObject({ lost: 0, bad: 0 });
    await exchange(a, b);
    const pids = [a.info.pid, b.info.pid];
    await engine.upgrade(a.id);
    await exchange(a, b);
    await engine.upgrade(b.id);
    await exchange(b, a);
    expect([a.info.pid, b.info.pid]).not.toEqual(pids);
    await engine.snapshot(a.id, { name: 'one', disks: false });
    await engine.kill(a.id);
    await engine.restore(a.id, 'one', {});
    await exchange(GuestVm.of(engine, a.id), b);
  });

  test('a script is run before a TAP interface is used, and another when the VM has ended', async () => {
    const folder = temporaryFolder();
    const script = (name: string, text: string) => {
      writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
      chmodSync(join(folder, name), 0o755);
      return join(folder, name);
    };
    const log = join(folder, 'log');
    const network = {
      ...{ type: 'tap', ifname: 'tap6' },
      script: script('up', `echo up $1 >> ${log}; ip link set $1 up`),
      downscript: script('down', `echo down $1 >> ${log}`),
    };
    const a = await guest(0, network);
    expect(await a.command('net info')).toContain('link=up');
    expect(readFileSync(log, 'utf8')).toBe('up tap6\n');
    await engines.at(-1)!.kill(a.id);
    await until(() => readFileSync(log, 'utf8') === 'up tap6\ndown tap6\n');
  });
});
