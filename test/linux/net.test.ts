import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local-engine.ts';
import { ProcessMachines } from '../../src/engine/machines/process-machine.ts';
import { GuestVm } from '../support/guest-vm.ts';
import { enterOwnNetwork, ip } from '../support/own-network.ts';
import { CHUNK, checksum, makeLinux, sentByGuest, whyNoLinux } from './linux-guest.ts';

const missing = whyNoLinux();
if (missing !== null) console.warn(`skipped: ${missing}`);

const CHUNKS = 16;

/** Sends the guest's connection `bytes`, and takes as many. */
async function exchange(server: Server, bytes: Uint8Array, connected: () => Promise<void>): Promise<Buffer> {
  const socket = await new Promise<Socket>(resolve => server.once('connection', resolve));
  await connected();
  socket.write(bytes);
  const received: Buffer[] = [];
  let count = 0;
  for await (const chunk of socket) {
    received.push(chunk);
    count += chunk.length;
    if (count >= bytes.length) break;
  }
  socket.destroy();
  return Buffer.concat(received);
}

describe.skipIf(missing !== null)('Linux with a virtio network card', () => {
  let directory: string;
  let kernel: string;
  let initrd: string;
  const engines: LocalEngine[] = [];
  const servers: Server[] = [];

  beforeAll(async () => {
    enterOwnNetwork();
    directory = await mkdtemp(join(tmpdir(), 'vring-linux-'));
    ({ kernel, initrd } = await makeLinux(directory, 'net.c'));
  });
  afterEach(async () => {
    await Promise.all(engines.splice(0).map(engine => engine.close()));
    for (const server of servers.splice(0)) server.close();
    ip('link', 'del', 'tap9');
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test.each([
    ['with split rings and all offloads', {}],
    [
      'with packed rings, two pairs of queues whose frames it has spread by RSS, and no offloads',
      { packed: true, queues: 2, csum: false, 'guest-csum': false },
    ],
  ])(
    '%s answers pings, and transfers by TCP in both directions',
    async (_, options) => {
      ip('tuntap', 'add', 'dev', 'tap9', 'mode', 'tap', ...('queues' in options ? ['multi_queue'] : []));
      ip('addr', 'add', '10.9.0.1/24', 'dev', 'tap9');
      ip('link', 'set', 'tap9', 'up');
      const server = createServer();
      servers.push(server);
      await new Promise<void>(resolve => server.listen(9000, '10.9.0.1', resolve));
      const forGuest = Buffer.alloc(CHUNKS * CHUNK, 'from the host to the guest ');
      const ping = () => promisify(execFile)('ping', ['-c', '3', '-i', '0.2', '-s', '1400', '10.9.0.2']);
      let pinged = '';
      const transferred = exchange(server, forGuest, async () => {
        pinged = (await ping()).stdout;
      });
      // In a process of its own, confined.
      const engine = new LocalEngine({ machines: new ProcessMachines() });
      engines.push(engine);
      const guest = await GuestVm.start(engine, {
        memory: { bytes: 128 * 2 ** 20 },
        boot: { kind: 'kernel', path: kernel, initrd, append: 'console=ttyS0 quiet rodata=off' },
        devices: [{ type: 'virtio-net', network: { type: 'tap', ifname: 'tap9' }, ...options }],
      });
      await guest.printed(/guest: sent/);
      const facts = guest.info.topology?.devices.find(({ name }) => name === 'net0')?.facts ?? [];
      const rss = facts.filter(({ label }) => label === 'RSS').map(({ value }) => value);
      expect(rss).toEqual('queues' in options ? ['set by the guest'] : []);
      const received = await transferred;
      expect(received.equals(sentByGuest(CHUNKS))).toBe(true);
      expect(pinged).toContain('3 received, 0% packet loss');
      expect(guest.output).toContain(`guest: received ${checksum(forGuest)}`);
      expect((await guest.reached('off')).broken).toEqual({});
    },
    240_000,
  );
});
