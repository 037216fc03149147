import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { CharOptions } from '../../../../src/devices/backends/char.ts';
import { openChar } from '../../../../src/engine/chars/open-char.ts';
import { FdChar } from '../../../../src/vmm/backends/char/fd-char.ts';
import { openChar as openInMachine } from '../../../../src/vmm/backends/char/open-chars.ts';
import { charWire } from '../../../../src/vmm/backends/char/opened-char.ts';
import * as libc from '../../../../src/vmm/native/libc.ts';
import { FdTestLoop } from '../../../support/fd-test-loop.ts';
import { until } from '../../../support/until.ts';

const folders: string[] = [];
const open: FdChar[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const char of open.splice(0)) char.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'vring-char-'));
  folders.push(path);
  return path;
}

/** A back end as a machine has it, and what it has read. */
function start(options: CharOptions) {
  const loop = new FdTestLoop();
  const opened = openChar(options)!;
  const kind = opened.file as 'listener' | 'stream' | 'pty';
  const char = new FdChar({ kind, fd: opened.fd!, label: opened.label, loop, closeFd: libc.close });
  open.push(char);
  const seen = { input: '', connections: [] as boolean[] };
  char.onInput = bytes => {
    seen.input += Buffer.from(bytes).toString('latin1');
  };
  char.onConnected = connected => seen.connections.push(connected);
  const settled = (condition: () => boolean) =>
    until(() => {
      loop.turn();
      return condition();
    });
  return { loop, char, seen, settled };
}

function client(to: string | number): { socket: Socket; received: () => string } {
  const socket = typeof to === 'number' ? connect(to, '127.0.0.1') : connect(to);
  sockets.push(socket);
  let text = '';
  socket.on('data', bytes => {
    text += bytes.toString('latin1');
  });
  return { socket, received: () => text };
}

describe('a Unix socket', () => {
  test('serves one client after the other', async () => {
    const path = join(folder(), 'char.sock');
    const { char, seen, settled } = start({ type: 'unix', path, server: true });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    char.write(Buffer.from('nobody hears this'));
    const first = client(path);
    await settled(() => char.connected);
    const second = client(path);
    first.socket.write('hello');
    await settled(() => seen.input === 'hello');
    char.write(Buffer.from('for the first'));
    await settled(() => first.received() === 'for the first');
    first.socket.end();
    second.socket.write(' again');
    await settled(() => seen.input === 'hello again');
    char.write(Buffer.from('for the second'));
    await settled(() => second.received() === 'for the second');
    expect([first.received(), seen.connections]).toEqual(['for the first', [true, false, true]]);
  });

  test('takes no more than there is room for from a guest whose reader is stuck, and goes on', async () => {
    const path = join(folder(), 'char.sock');
    const { char, settled } = start({ type: 'unix', path, server: true });
    const { socket, received } = client(path);
    socket.pause();
    await settled(() => char.connected);
    let sent = 0;
    let rooms = 0;
    char.onRoom = () => rooms++;
    while (char.room > 0) {
      const bytes = new Uint8Array(Math.min(char.room, 4096)).fill(0x61);
      char.write(bytes);
      sent += bytes.length;
    }
    expect(sent).toBeGreaterThan(64 * 1024);
    expect(rooms).toBe(0);
    socket.resume();
    await settled(() => received().length === sent && rooms > 0);
  });

  test('reads no more than the guest takes', async () => {
    const path = join(folder(), 'char.sock');
    const { char, seen, settled, loop } = start({ type: 'unix', path, server: true });
    const { socket } = client(path);
    await settled(() => char.connected);
    socket.write(Buffer.alloc(1 << 20, 0x62));
    await settled(() => seen.input.length >= 64 * 1024);
    const before = seen.input.length;
    for (let i = 0; i < 20; i++) loop.turn();
    expect(seen.input.length).toBe(before);
    char.inputTaken(before, 0);
    await settled(() => seen.input.length > before);
  });

  test('replaces one that nobody listens at any more, and nothing else', () => {
    const path = join(folder(), 'char.sock');
    const { char } = start({ type: 'unix', path, server: true });
    expect(() => openChar({ type: 'unix', path, server: true })).toThrow(
      `another program listens on ${path}`,
    );
    char.close();
    expect(existsSync(path)).toBe(true);
    start({ type: 'unix', path, server: true, mode: '660' });
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const file = join(folder(), 'file');
    writeFileSync(file, 'mine');
    expect(() => openChar({ type: 'unix', path: file, server: true })).toThrow('is not a socket');
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect(() => openChar({ type: 'unix', path: join(folder(), 'none'), server: false })).toThrow(
      'does not exist',
    );
  });
});

test('a TCP socket listens on the address that it is given', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const options = { type: 'tcp', host: '127.0.0.1', port, server: true, anywhere: false } as const;
  expect(() => openChar(options)).toThrow(`127.0.0.1:${port}: another program uses it; choose another port`);
  // As a client of it.
  const accepted = new Promise<Socket>(resolve => server.once('connection', resolve));
  const as = start({ ...options, server: false });
  const peer = await accepted;
  sockets.push(peer);
  peer.write('from the server');
  await as.settled(() => as.seen.input === 'from the server');
  peer.destroy();
  await as.settled(() => !as.char.connected);
  await new Promise(resolve => server.close(resolve));
  const { char, seen, settled } = start(options);
  const { socket } = client(port);
  socket.write('x');
  await settled(() => char.connected && seen.input === 'x');
  expect(() => openChar({ ...options, host: 'example.org' })).toThrow('give an address');
});

test('a pseudoterminal stays when programs open and close it', async () => {
  const { char, seen, settled } = start({ type: 'pty' });
  expect(char.label).toMatch(/^\/dev\/pts\/\d+$/);
  for (const text of ['one', 'two']) {
    const terminal = openSync(char.label, libc.O_RDWR | libc.O_NONBLOCK);
    await settled(() => char.connected);
    writeSync(terminal, `${text}\n`);
    await settled(() => seen.input.endsWith(`${text}\n`));
    char.write(Buffer.from(`${text} back\n`));
    const bytes = Buffer.alloc(64);
    expect(bytes.toString('latin1', 0, readSync(terminal, bytes))).toContain(`${text} back`);
    closeSync(terminal);
    await settled(() => !char.connected);
  }
  expect(seen.connections).toEqual([true, false, true, false]);
});

test('a file gets all output, and a log what goes elsewhere', () => {
  const [file, log] = [join(folder(), 'out.txt'), join(folder(), 'log.txt')];
  writeFileSync(file, 'before ');
  const parts = (options: CharOptions) => {
    const wire = charWire(openChar(options)!);
    const owner = { ownFd: (fd: number) => fd, ownMap: () => {}, closeFd: libc.close };
    const none = () => ({ write: () => {}, onInput: null });
    return {
      opened: () => ({ wire, owner }),
      console: none,
      agent: none,
      loop: new FdTestLoop(),
      warn: () => {},
    };
  };
  const write = (options: CharOptions, text: string) => {
    const backend = openInMachine({ options, device: 'port' }, parts(options));
    backend.write(Buffer.from(text));
    backend.close?.();
  };
  write({ type: 'file', path: file, append: true }, 'and after');
  expect(readFileSync(file, 'utf8')).toBe('before and after');
  write({ type: 'file', path: file, append: false }, 'anew');
  expect(readFileSync(file, 'utf8')).toBe('anew');
  write({ type: 'null', logfile: log }, 'kept');
  write({ type: 'console', logfile: log }, ' too');
  expect(readFileSync(log, 'utf8')).toBe('kept too');
  expect(() => openChar({ type: 'file', path: '/dev/null', append: true })).toThrow('is not a file');
  expect(() => openChar({ type: 'file', path: join(folder(), 'no/file'), append: true })).toThrow(
    'does not exist',
  );
});
