import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import type { MetricsFormat } from '../../../src/engine/engine.ts';
import { type MetricsAddress, parseMetricsAddress } from '../../../src/manager/metrics/address.ts';
import { MetricsServer } from '../../../src/manager/metrics/server.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ANY_PORT = parseMetricsAddress('127.0.0.1:0', { remote: false });
const OPEN_METRICS = { accept: 'application/openmetrics-text' };

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

async function serve(
  metrics: (format: MetricsFormat) => Promise<string> = async format => `# ${format}\n`,
  address: MetricsAddress = ANY_PORT,
): Promise<MetricsServer> {
  const server = await MetricsServer.listen(address, metrics);
  cleanUps.push(() => server.close());
  return server;
}

const base = ({ url }: MetricsServer) => url.replace('/metrics', '');

/** A client that sends raw bytes. */
function rawClient(server: MetricsServer): { socket: Socket; received: () => string; closed: Promise<void> } {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  cleanUps.push(() => socket.destroy());
  let received = '';
  socket.on('error', () => {});
  socket.on('data', chunk => {
    received += chunk.toString('latin1');
  });
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()));
  return { socket, received: () => received, closed };
}

describe('over TCP', () => {
  test('answers in the format that the client asks for', async () => {
    const server = await serve();
    const text = await fetch(server.url);
    expect(text.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text.headers.get('vary')).toBe('Accept');
    expect(await text.text()).toBe('# prometheus\n');
    const open = await fetch(`${server.url}?collect=all`, { headers: OPEN_METRICS });
    expect(open.headers.get('content-type')).toBe(
      'application/openmetrics-text; version=1.0.0; charset=utf-8',
    );
    expect(await open.text()).toBe('# openmetrics\n');
  });

  test('answers a client that prefers HTTP/2', async () => {
    const server = await serve();
    const upgrading = rawClient(server);
    upgrading.socket.end(
      'GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
    );
    await upgrading.closed;
    expect(upgrading.received()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*# prometheus\n/);
  });

  test('answers HEAD with the headers only', async () => {
    const response = await fetch((await serve()).url, { method: 'HEAD' });
    expect([response.status, response.headers.get('content-length')]).toEqual([200, '13']);
    expect(await response.text()).toBe('');
  });

  test.each([
    ['GET', '/', 404],
    ['GET', '/metrics/', 404],
    ['GET', '/metrics/../etc/passwd', 404],
    ['GET', '/%6detrics', 404],
    ['POST', '/metrics', 405],
    ['PUT', '/', 405],
    ['DELETE', '/metrics', 405],
    ['OPTIONS', '/metrics', 405],
  ])('%s %s is %i', async (method, path, status) => {
    const server = await serve();
    const response = await fetch(base(server) + path, { method });
    expect(response.status).toBe(status);
    if (status === 405) expect(response.headers.get('allow')).toBe('GET, HEAD');
    expect((await fetch(server.url)).status).toBe(200);
  });

  test('rejects a request body', async () => {
    const server = await serve();
    const client = rawClient(server);
    client.socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nxxxx');
    await client.closed;
    expect(client.received()).toMatch(/^HTTP\/1.1 400 /);
  });

  test('closes connections with headers that are too long or invalid', async () => {
    const server = await serve();
    const long = rawClient(server);
    long.socket.write(`GET /metrics HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    await long.closed;
    expect(long.received()).toMatch(/^HTTP\/1.1 431 /);
    const garbage = rawClient(server);
    garbage.socket.write('\x16\x03\x01\x02\x00\x01');
    await garbage.closed;
    expect(garbage.received()).toMatch(/^HTTP\/1.1 400 /);
    const tunnel = rawClient(server);
    tunnel.socket.write('CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n');
    await tunnel.closed;
    expect((await fetch(server.url)).status).toBe(200);
  });

  test('does not wait for a client that sends its request slowly', async () => {
    const server = await serve();
    const client = rawClient(server);
    client.socket.write('GET /metrics HTTP/1.1\r\nHo');
    await client.closed;
    expect(client.received()).toMatch(/^(HTTP\/1.1 408 |$)/);
  });

  test('does not let clients exhaust the connections', async () => {
    const server = await serve();
    const idle = Array.from({ length: 40 }, () => rawClient(server));
    for (const { socket } of idle) socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
    // The last connections closed those that were idle between requests.
    await Promise.race(idle.map(({ closed }) => closed));
    await expect.poll(async () => (await fetch(server.url).catch(() => null))?.status).toBe(200);
  });

  test('collects once for concurrent scrapes, and again after a failure', async () => {
    let collected = 0;
    const collecting = Promise.withResolvers<string>();
    const server = await serve(() => {
      collected++;
      return collected === 1 ? collecting.promise : Promise.resolve('fine\n');
    });
    const scrapes = [fetch(server.url), fetch(server.url), fetch(server.url)];
    await expect.poll(() => collected).toBe(1);
    collecting.reject(new Error('injected'));
    const first = await scrapes[0]!;
    expect(first.status).toBe(500);
    expect(await first.text()).toBe('the metrics could not be collected: injected\n');
    expect(await (await fetch(server.url)).text()).toBe('fine\n');
    await Promise.all(scrapes);
    expect(collected).toBeLessThanOrEqual(3);
  });

  test('reports that another process listens on the address', async () => {
    const first = await serve();
    const address = parseMetricsAddress(new URL(first.url).host, { remote: false });
    await expect(serve(undefined, address)).rejects.toThrow(
      /^metrics cannot be served at http:\/\/127.0.0.1:\d+\/metrics: another process listens there \(EADDRINUSE\)/,
    );
  });

  test('reports that the host does not have the address', async () => {
    const address = parseMetricsAddress('192.0.2.1:0', { remote: true });
    await expect(serve(undefined, address)).rejects.toThrow(/this host has no such address/);
  });
});

describe('over a Unix socket', () => {
  const at = (path: string): MetricsAddress => ({ kind: 'unix', path });

  function scrape(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      request({ socketPath: path, path: '/metrics' }, response => {
        let text = '';
        response.on('data', chunk => {
          text += chunk;
        });
        response.on('end', () => resolve(text));
      })
        .on('error', reject)
        .end();
    });
  }

  test('answers its user and its group, and leaves no file behind', async () => {
    const path = join(temporaryFolder(), 'metrics.sock');
    const server = await serve(undefined, at(path));
    expect(server.url).toBe(`unix:${path}`);
    expect((statSync(path).mode & 0o777).toString(8)).toBe('660');
    expect(await scrape(path)).toBe('# prometheus\n');
    server.close();
    expect(existsSync(path)).toBe(false);
  });

  test('replaces a socket that a killed process left', async () => {
    const path = join(temporaryFolder(), 'metrics.sock');
    const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
    await execa(process.execPath, ['-e', script, path], { reject: false });
    expect(statSync(path).isSocket()).toBe(true);
    await serve(undefined, at(path));
    expect(await scrape(path)).toBe('# prometheus\n');
  });

  test('replaces neither the socket of a listening process nor a file', async () => {
    const folder = temporaryFolder();
    const taken = join(folder, 'taken.sock');
    const other = createServer().listen(taken);
    cleanUps.push(() => other.close());
    await expect(serve(undefined, at(taken))).rejects.toThrow(/another process listens there/);
    expect(other.listening && existsSync(taken)).toBe(true);
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    await expect(serve(undefined, at(file))).rejects.toThrow(/is not a socket/);
    expect(existsSync(file)).toBe(true);
  });

  test('reports that its folder does not exist', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'later/x.sock');
    await expect(serve(undefined, at(path))).rejects.toThrow(/its folder does not exist/);
    mkdirSync(join(folder, 'later'));
    await serve(undefined, at(path));
    expect(await scrape(path)).toBe('# prometheus\n');
  });
});
