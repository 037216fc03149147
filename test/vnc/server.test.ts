import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUTTON } from '../../src/devices/input/input-event.ts';
import { KEY } from '../../src/devices/input/key-codes.ts';
import type { Security } from '../../src/vnc/security.ts';
import { VncServer } from '../../src/vnc/server.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { graphicsFrame, textFrame } from '../support/fake-screen.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { Random } from '../support/random.ts';
import { RfbClient } from '../support/rfb-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const VGA = {
  ...{ name: 'vga0', type: 'vga', title: 'VGA', backend: null, bus: 'pci.0', address: '00:02.0' },
  facts: [],
  screen: true as const,
};

let engine: FakeEngine;
let id: string;
let happened: string[];
const servers: VncServer[] = [];
const clients: RfbClient[] = [];

beforeEach(() => {
  engine = new FakeEngine(new ManualClock());
  id = engine.add('demo', { ...busy, devices: [VGA] });
  happened = [];
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) server.close();
});

async function serve(security: Partial<Security> = {}, options = {}) {
  const server = await VncServer.start(
    engine,
    { id, name: 'demo' },
    {
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      security: { password: null, tls: null, ...security },
      layout: 'us',
      viewOnly: false,
      happened: text => happened.push(text),
      ...options,
    },
  );
  servers.push(server);
  const port = Number(server.address.split(':')[1]);
  return {
    server,
    port,
    client: async (how: Parameters<typeof RfbClient.connect>[1] = {}) => {
      const client = await RfbClient.connect({ port, host: '127.0.0.1' }, how);
      clients.push(client);
      return client;
    },
  };
}

describe('a VNC client', () => {
  test.each([
    ['ZRLE', [16, -223, -258]],
    ['raw', [0, -223]],
  ])('receives the picture, and its changes, by %s', async (_, encodings) => {
    const { client } = await serve();
    const one = await client({ encodings });
    expect(one.name).toBe('demo');
    const random = new Random(1);
    const noise = Uint32Array.from({ length: 200 * 100 }, () => random.u32() & 0xff_ffff);
    const color = (x: number, y: number) =>
      x < 200 ? noise[y * 200 + x]! : x < 260 ? (x >> 2) & 7 : 0x123456;
    engine.screens.show(id, graphicsFrame(300, 100, color));
    while (one.width !== 300) await one.update();
    await one.update({ incremental: false });
    for (let y = 0; y < 100; y += 7)
      for (let x = 0; x < 300; x += 3) expect(one.color(x, y)).toBe(color(x, y));
    engine.screens.show(
      id,
      graphicsFrame(300, 100, (x, y) => (x === 299 && y === 99 ? 0xffffff : color(x, y))),
    );
    await one.update();
    expect([one.color(299, 99), one.color(298, 99)]).toEqual([0xffffff, 0x123456]);
  });

  test("receives text in the guest's font, and a moving cursor", async () => {
    const { client } = await serve();
    const one = await client();
    engine.screens.show(id, textFrame(['A'], { cursor: { column: 5, row: 3, start: 13, end: 14 } }));
    while (one.width !== 720) await one.update();
    await one.update({ incremental: false });
    expect([one.width, one.height, one.color(1, 0), one.color(0, 0)]).toEqual([720, 400, 0xaaaaaa, 0]);
    expect(one.color(5 * 9, 3 * 16 + 13)).toBe(0xaaaaaa);
    engine.screens.show(id, textFrame(['A'], { cursor: { column: 60, row: 20, start: 13, end: 14 } }));
    await one.update();
    expect([one.color(5 * 9, 3 * 16 + 13), one.color(60 * 9, 20 * 16 + 13)]).toEqual([0, 0xaaaaaa]);
  });

  test('types by symbols and by scan codes, and points', async () => {
    const { client } = await serve();
    const one = await client();
    await one.update();
    expect(one.hasExtendedKeys).toBe(true);
    one.key(0xffe1, true);
    one.key('A'.charCodeAt(0), true);
    one.extendedKey(0, 0x9d, true);
    one.extendedKey(0, 0x9d, false);
    await expect.poll(() => engine.inputs.length).toBe(4);
    expect(engine.inputs.splice(0)).toEqual([
      { kind: 'key', code: KEY.leftshift, down: true },
      { kind: 'key', code: KEY.a, down: true },
      { kind: 'key', code: KEY.rightctrl, down: true },
      { kind: 'key', code: KEY.rightctrl, down: false },
    ]);
    one.pointer(one.width - 1, 0, 1);
    one.pointer(0, one.height - 1, 0x10);
    await expect.poll(() => engine.inputs.length).toBe(5);
    expect(engine.inputs.splice(0)).toEqual([
      { kind: 'position', x: 0x7fff, y: 0 },
      { kind: 'button', code: BUTTON.left, down: true },
      { kind: 'position', x: 0, y: 0x7fff },
      { kind: 'button', code: BUTTON.left, down: false },
      { kind: 'wheel', dy: 1 },
    ]);
    // Whoever leaves holds no keys.
    one.close();
    await expect.poll(() => engine.inputs.length).toBe(2);
    expect(engine.inputs.map(event => event.kind === 'key' && !event.down && event.code)).toEqual([
      KEY.leftshift,
      KEY.a,
    ]);
  });

  test('needs the password if there is one', async () => {
    const { client } = await serve({ password: 'secret' });
    await expect(client({ password: 'wrong' })).rejects.toThrow('the password is wrong');
    expect(happened).toEqual(['a client from 127.0.0.1 was disconnected: the password is wrong']);
    const one = await client({ password: 'secret' });
    await one.update();
    expect(one.updates).toBe(1);
  });

  test('is encrypted by TLS if there is a certificate', async () => {
    const folder = temporaryFolder();
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const subject = ['-subj', '/CN=vring', '-days', '1'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, '-keyout', key, '-out', cert],
      { stdio: 'ignore' },
    );
    const tls = createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) });
    const { client } = await serve({ password: 'secret', tls });
    const one = await client({ password: 'secret' });
    engine.screens.show(
      id,
      graphicsFrame(64, 64, () => 0x00ff00),
    );
    while (one.width !== 64) await one.update();
    await one.update({ incremental: false });
    expect(one.color(10, 10)).toBe(0x00ff00);
  });

  test('that is read-only cannot send input', async () => {
    const { client } = await serve({}, { viewOnly: true });
    const one = await client();
    one.key(0xff0d, true);
    one.pointer(1, 1, 1);
    await one.update();
    expect(engine.inputs).toEqual([]);
  });
});

describe('a VNC client that resizes its window', () => {
  const encodings = [16, -223, -308];
  const [SERVER, CLIENT] = [0, 1];
  const [PROHIBITED, RESOURCES, LAYOUT, FORWARDED] = [1, 2, 3, 4];

  test('receives the size, and requests another', async () => {
    const { client } = await serve();
    const one = await client({ encodings });
    expect(await one.size()).toEqual({ reason: SERVER, status: 0, width: one.width, height: one.height });
    const { width, height } = one;
    one.setDesktopSize(1024, 768);
    expect(await one.size()).toEqual({ reason: CLIENT, status: FORWARDED, width, height });
    expect(engine.resized).toEqual([[null, 1024, 768]]);
    // The guest follows.
    engine.screens.show(
      id,
      graphicsFrame(1024, 768, () => 0x00ff00),
    );
    while (one.width !== 1024) await one.update();
    expect(one.sizes.at(-1)).toEqual({ reason: SERVER, status: 0, width: 1024, height: 768 });
    await one.update({ incremental: false });
    expect(one.color(1023, 767)).toBe(0x00ff00);
  });

  test.each([
    ['fixed', LAYOUT],
    ['memory', RESOURCES],
  ] as const)('is refused a resize: %s', async (answer, status) => {
    engine.resizeAnswer = answer;
    const { client } = await serve();
    const one = await client({ encodings });
    await one.size();
    one.setDesktopSize(800, 600);
    expect((await one.size()).status).toBe(status);
    expect(engine.resized.length).toBe(1);
  });

  test('is refused a resize when it is read-only, or the VM is gone', async () => {
    const { client } = await serve({}, { viewOnly: true });
    const one = await client({ encodings });
    await one.size();
    one.setDesktopSize(800, 600);
    expect((await one.size()).status).toBe(PROHIBITED);
    expect(engine.resized).toEqual([]);
    engine.resizeScreen = () => Promise.reject(new Error('the VM is off'));
    const other = await (await serve()).client({ encodings });
    await other.size();
    other.setDesktopSize(800, 600);
    expect((await other.size()).status).toBe(RESOURCES);
  });

  test.each<[string, number, number, number[][]]>([
    ['no size', 0, 0, [[0, 0, 0, 0]]],
    ['one that is too small', 800, 63, [[0, 0, 800, 63]]],
    ['one that is too large', 8193, 600, [[0, 0, 8193, 600]]],
    ['the largest that there is', 65_535, 65_535, [[0, 0, 65_535, 65_535]]],
    ['no screen', 800, 600, []],
    [
      'two screens',
      800,
      600,
      [
        [0, 0, 400, 600],
        [400, 0, 400, 600],
      ],
    ],
    ['255 screens', 800, 600, Array.from({ length: 255 }, () => [0, 0, 800, 600])],
    ['a screen that is elsewhere', 800, 600, [[1, 0, 800, 600]]],
    ['a screen of another size', 800, 600, [[0, 0, 799, 600]]],
  ])('may request %s, and continues', async (_, width, height, screens) => {
    const { client } = await serve();
    const one = await client({ encodings });
    await one.size();
    one.setDesktopSize(width, height, screens);
    expect((await one.size()).status).toBe(LAYOUT);
    expect(engine.resized).toEqual([]);
    one.setDesktopSize(800, 600);
    expect((await one.size()).status).toBe(FORWARDED);
  });

  test('gets no unknown response', async () => {
    const { client } = await serve();
    const one = await client();
    one.setDesktopSize(800, 600);
    await one.update();
    expect([engine.resized, one.sizes]).toEqual([[[null, 800, 600]], []]);
  });
});

test('garbage ends a connection, and no other', async () => {
  const { client, port } = await serve();
  const good = await client();
  await good.update();
  const random = new Random(7);
  for (let round = 0; round < 50; round++) {
    const bad = connect({ port, host: '127.0.0.1' });
    const closed = new Promise(resolve => bad.once('close', resolve));
    bad.on('error', () => {});
    bad.resume();
    const introduction = round % 2 === 0 ? Buffer.from('RFB 003.008\n\x01\x01') : Buffer.alloc(0);
    bad.end(Buffer.concat([introduction, Buffer.from(Array.from({ length: 500 }, () => random.below(256)))]));
    await closed;
  }
  engine.screens.show(
    id,
    graphicsFrame(64, 64, () => 0xff0000),
  );
  while (good.width !== 64) await good.update();
  await good.update({ incremental: false });
  expect(good.color(1, 1)).toBe(0xff0000);
  const one = await client();
  one.write(Uint8Array.of(6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff));
  await expect.poll(() => happened.at(-1)).toContain('it sends a clipboard of 4294967295 bytes');
});

test('a Unix socket is accessible to its user alone', async () => {
  const path = join(temporaryFolder(), 'vnc');
  const { server } = await serve({}, { address: { kind: 'unix', path } });
  expect(server.address).toBe(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const one = await RfbClient.connect({ path });
  clients.push(one);
  await one.update();
  expect(one.updates).toBe(1);
});
