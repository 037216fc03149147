import { describe, expect, test } from 'vitest';
import { Rig } from '../../support/remote-rig.ts';
import { until } from '../../support/until.ts';

const IDLE = { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] } as const;

/** After all that, the manager still serves other clients. */
async function expectAlive(rig: Rig): Promise<void> {
  const engine = await rig.attach();
  expect(engine.vms()).toEqual(rig.engine.vms());
}

test('a manager and a client that both send much data do not deadlock', async () => {
  const rig = await Rig.start();
  rig.engine.add('web', IDLE);
  const engine = await rig.attach();
  let printed = 0;
  const link = engine.openConsole('web', {
    printed: bytes => {
      printed += bytes.byteLength;
    },
  });
  await link.takeKeyboard();
  const block = 'x'.repeat(32 * 1024);
  for (let round = 0; round < 100; round++) {
    link.type(Buffer.from(block));
    rig.engine.print('web', block);
  }
  await until(() => rig.engine.typed.get('web')?.length === 100 * block.length);
  await until(() => printed > 0);
});

describe('a client that violates the protocol', () => {
  test.each([
    ['garbage', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', /the header of a message has no Content-Length/],
    ['binary garbage', '\x16\x03\x01\x02\x00', /a message starts with/],
    ['64 MiB at once', 'Content-Length: 67108864\r\n\r\n', /67108864 bytes is too long: at most 1048576/],
    ['broken JSON', 'Content-Length: 2\r\n\r\n{{', /not valid JSON/],
    ['a batch', 'Content-Length: 2\r\n\r\n[]', /not a JSON-RPC 2.0 request/],
    ['nothing', 'Content-Length: 0\r\n\r\n', /not valid JSON/],
    ['null', 'Content-Length: 4\r\n\r\nnull', /not a JSON-RPC 2.0 request/],
    ['a deep array', `Content-Length: 200000\r\n\r\n${'['.repeat(200_000)}`, /not valid JSON/],
  ])('gets an error and is disconnected for %s', async (_, text, message) => {
    const rig = await Rig.start();
    const client = await rig.raw();
    client.write(text);
    await client.expectMessage(message);
    await client.closed;
    await expectAlive(rig);
  });

  test('is disconnected for a message over the limit, which is not read', async () => {
    const rig = await Rig.start();
    const client = await rig.raw();
    client.hello();
    await client.expectMessage(/"startedAt"/);
    const message = Buffer.alloc(64 * 2 ** 20, 0x20);
    client.write(`Content-Length: ${message.length}\r\n\r\n`);
    client.socket.write(message);
    await client.closed;
    expect(client.received).toMatch(/too long/);
    await expectAlive(rig);
  });

  test('has to send hello first, once, and with a supported protocol version', async () => {
    const rig = await Rig.start();
    const client = await rig.raw();
    client.send({ id: 1, method: 'vms', params: {} });
    await client.expectMessage(/"id":1,"error":{"code":-32002,"message":"send hello first/);
    client.hello({ protocol: 99, version: '9.0', more: 'keys' });
    await client.expectMessage(
      /-32003,"message":"this is vring 9.0 \(protocol 99\), and the manager is vring [^ ]+ \(protocol 4\): vring manager restart /,
    );
    client.hello({ protocol: 0 });
    await client.expectMessage(/use the newer vring here too/);
    client.hello();
    await client.expectMessage(/"result":{"protocol":4,/);
    client.hello();
    await client.expectMessage(/hello was sent already/);
  });

  test.each([
    ['vm/explode', {}, /-32601,"message":"there is no request \\"vm\/explode\\"/],
    ['__proto__', {}, /-32601/],
    ['vm/pause', {}, /-32602,"message":"vm\/pause: id: /],
    ['vm/pause', { id: 'web', force: true }, /-32602,"message":"vm\/pause: its parameters: /],
    ['vm/pause', { id: 'x'.repeat(65) }, /-32602,"message":"vm\/pause: id: /],
    ['vm/pause', ['web'], /-32602/],
    ['vm/pause', { id: '../../etc/passwd' }, /-32000,"message":"there is no VM/],
    ['vm/start', { config: [] }, /-32602,"message":"vm\/start: config: it is an object/],
    ['sampling/open', { sampling: 1, intervalMs: 0, paused: false, detailOf: null }, /intervalMs/],
    ['sampling/close', { sampling: 1 }, /there is no sampling 1/],
    ['console/open', { console: -1, id: 'web' }, /console\/open: console/],
    ['console/takeKeyboard', { console: 5, take: true }, /there is no console 5/],
  ])('gets an error for %s %j', async (method, params, message) => {
    const rig = await Rig.start();
    rig.engine.add('web', IDLE);
    const client = await rig.raw();
    client.hello();
    client.send({ id: 1, method, params });
    await client.expectMessage(message);
    expect(rig.engine.calls).toEqual([]);
    await expectAlive(rig);
  });

  test.each([
    ['console/type', { console: 1, bytes: '***' }],
    ['console/type', { console: 1, bytes: 'A'.repeat(100_000) }],
    ['console/resize', { console: 1, columns: 0, rows: 24 }],
    ['console/resize', { console: 1, columns: 65_536, rows: 24 }],
    ['no/such', {}],
  ])('is disconnected for an invalid notification %s', async (method, params) => {
    const rig = await Rig.start();
    const client = await rig.raw();
    client.hello();
    client.send({ method, params });
    await client.expectMessage(/there is no notification/);
    await client.closed;
    await until(() => rig.notes.join().includes('raw@pts/9'));
  });

  test('is not waited for when it leaves in the middle of a message', async () => {
    const rig = await Rig.start();
    for (const text of ['Content-', 'Content-Length: 100\r\n\r\n{"json', '']) {
      const client = await rig.raw();
      client.write(text);
      client.socket.destroy();
    }
    await until(() => rig.server.clients === 0);
    await expectAlive(rig);
  });

  test('may send stray cancellations, stray responses, and duplicate ids', async () => {
    const rig = await Rig.start();
    const client = await rig.raw();
    client.hello();
    client.send({ method: '$/cancelRequest' });
    client.send({ method: '$/cancelRequest', params: { id: null } });
    client.send({ id: 77, result: null });
    client.send({ id: 5, method: 'vms' });
    client.send({ id: 5, method: 'log' });
    await client.expectMessage(/"id":5,"result":\[\]/);
    await expectAlive(rig);
  });

  test('that sends requests and never reads is no longer read, and uses bounded memory', async () => {
    const rig = await Rig.start();
    for (let index = 0; index < 200; index++) rig.engine.add(`vm${index}`, IDLE);
    const answer = JSON.stringify(rig.engine.vms()).length;
    let asked = 0;
    const vms = rig.engine.vms.bind(rig.engine);
    rig.engine.vms = () => {
      asked++;
      return vms();
    };
    const client = await rig.raw();
    client.hello();
    await client.expectMessage(/"startedAt"/);
    client.socket.pause();
    // All at once: the manager has received them all before it answers the first.
    for (let id = 1; id < 20_000; id++) client.send({ id, method: id % 2 === 0 ? 'vms' : 'subscribe' });
    await until(() => asked > 0);
    // Another client still gets its responses: the manager reads one request of each client per iteration of its loop.
    const other = await rig.attach();
    let before: number;
    do {
      before = asked;
      for (let turn = 0; turn < 50; turn++) await other.managerStatus();
    } while (asked > before);
    // What the manager buffers for it, what the kernel buffers, and the response that exceeded the limit.
    expect(asked * answer).toBeLessThan(2 * 2 ** 20);
    expect(client.socket.writableLength).toBeGreaterThan(0);
    await expectAlive(rig);

    // Once it reads again, it gets its responses.
    client.socket.resume();
    await client.expectMessage(/"id":100,"result"/);
  });

  test('that stops reading gets the current state once it reads again, not everything it missed', async () => {
    const rig = await Rig.start();
    const topology = {
      shape: { vcpus: 1, queues: 0, regions: 0 },
      queues: [],
      regions: [],
      devices: [],
      consoles: [],
      vcpus: 1,
      pinning: [],
    };
    rig.engine.add('web', IDLE, { topology });
    const client = await rig.raw();
    client.hello();
    client.send({ id: 1, method: 'subscribe' });
    client.send({ id: 2, method: 'console/open', params: { console: 1, id: 'web' } });
    await client.expectMessage(/"id":2,"result":null/);
    client.socket.pause();
    const line = 'x'.repeat(1023);
    for (let round = 0; round < 4000; round++) {
      if (round % 100 === 0) rig.engine.become('web', 'running', { reason: `reason ${round} ${line}` });
      rig.engine.print('web', `${line}\n`);
      if (round % 50 === 0) await new Promise(resolve => setImmediate(resolve));
    }
    rig.engine.print('web', 'the end');
    rig.engine.become('web', 'off', { reason: 'the last' });
    const before = client.received.length;
    client.socket.resume();
    await client.expectMessage(/the last/);
    await client.expectMessage(/"again":true/);
    // Its output precedes its end, after which no more is expected.
    const printed = client.received.indexOf(Buffer.from('the end').toString('base64'));
    expect(printed).toBeGreaterThan(0);
    expect(printed).toBeLessThan(client.received.indexOf('the last'));
    expect(client.received.length - before).toBeLessThan(3 * 2 ** 20);
    await expectAlive(rig);
  });
});
