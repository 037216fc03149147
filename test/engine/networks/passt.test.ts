import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { passtArm } from '../../../src/devices/backends/net-user.ts';
import { openPasst } from '../../../src/engine/networks/passt.ts';
import { enterOwnNetwork, ip } from '../../support/own-network.ts';
import { dhcp } from '../../support/raw-dhcp.ts';
import { RawConnection, RawGuest } from '../../support/raw-guest.ts';
import { RawWire } from '../../support/raw-wire.ts';

let wires: RawWire[] = [];

beforeAll(() => enterOwnNetwork());

afterEach(() => {
  for (const wire of wires) wire.close();
  wires = [];
});

async function open(options: Omit<z.input<ReturnType<typeof passtArm>>, 'type'> = {}): Promise<RawWire> {
  const parsed = passtArm(z).parse({ type: 'passt', ...options });
  const { fds } = await openPasst(parsed, { vm: 'web', largeFrames: false });
  const wire = new RawWire(fds[0]!);
  wires.push(wire);
  return wire;
}

test('passt reports what is missing without a route', async () => {
  await expect(open()).rejects.toThrow(/^passt did not start: /);
});

test("a guest behind passt has the host's address, reaches the host, and is reachable through forwarded ports", async () => {
  ip('link', 'add', 'eth7', 'type', 'veth', 'peer', 'name', 'eth8');
  ip('address', 'add', '10.40.0.5/24', 'dev', 'eth7');
  ip('link', 'set', 'eth7', 'up');
  ip('link', 'set', 'eth8', 'up');
  ip('route', 'add', 'default', 'via', '10.40.0.1');
  const guest = new RawGuest(await open({ hostfwd: [{ host: 2222, guest: 22 }] }), '10.40.0.5');
  const offer = await dhcp(guest, 1);
  expect(offer.address).toBe('10.40.0.5');
  await dhcp(guest, 3, '10.40.0.5');
  await guest.arp('10.40.0.1');

  const server = createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1');
  server.unref();
  await once(server, 'listening');
  // To the guest, the gateway is the host.
  const echo = await RawConnection.open(guest, '10.40.0.1', (server.address() as AddressInfo).port, 5000);
  echo!.write(Buffer.from('hello host'));
  expect((await echo!.read(10)).toString()).toBe('hello host');

  // All of this is in frames shorter than Ethernet's minimum.
  guest.padding = 60;
  const padded = await RawConnection.open(guest, '10.40.0.1', (server.address() as AddressInfo).port, 5001);
  padded!.write(Buffer.from('short'));
  expect((await padded!.read(5)).toString()).toBe('short');
  padded!.close();
  expect(await padded!.read(1)).toHaveLength(0);
  guest.padding = 0;

  const client = connect(2222, '127.0.0.1');
  const accepted = await RawConnection.accept(guest, 22);
  client.write('hello guest');
  expect((await accepted.read(11)).toString()).toBe('hello guest');
  client.destroy();
});
