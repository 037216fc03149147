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
import { FdChar, type FdCharOptions } from '../../../../src/vmm/backends/char/fd-char.ts';
import { MachineChars } from '../../../../src/vmm/backends/char/machine-chars.ts';
import { openChar as openInMachine } from '../../../../src/vmm/backends/char/open-chars.ts';
import { charWire } from '../../../../src/vmm/backends/char/opened-char.ts';
import * as libc from '../../../../src/vmm/native/libc.ts';
import { unixAddress } from '../../../../src/vmm/native/unix-socket.ts';
import { BusyListener } from '../../../support/busy-listener.ts';
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

/** More than a reader takes at once, in small pieces, and less than a back end keeps. */
const BURST = 32 * 1024;

/** A back end as a machine has it, and what it has read. */
async function start(options: CharOptions) {
  const { file, fd, label } = (await openChar(options))!;
  return rig({ kind: file as 'listener' | 'stream' | 'pty', fd: fd!, label });
}

function rig(opened: Pick<FdCharOptions, 'kind' | 'fd' | 'label' | 'isHeld' | 'warn'>) {
  const loop = new FdTestLoop();
  const options: FdCharOptions = { ...opened, loop, closeFd: libc.close };
  const char = new FdChar(options);
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
  return { loop, char, options, seen, settled };
}

/** The other end of a back end, which reads only in `take`. */
class Peer {
  readonly #fd: number;
  received = '';
  #isClosed = false;

  constructor(fd: number) {
    this.#fd = fd;
    libc.setNonblocking(fd);
    peers.push(this);
  }

  /** Sends what there is room for. */
  send(bytes: Uint8Array): void {
    libc.tryWrite(this.#fd, bytes);
  }

  take(): void {
    const bytes = Buffer.alloc(1024);
    for (let count = 1; count > 0; ) {
      count = libc.tryRead(this.#fd, bytes);
      if (count > 0) this.received += bytes.toString('latin1', 0, count);
    }
  }

  close(): void {
    if (!this.#isClosed) libc.close(this.#fd);
    this.#isClosed = true;
  }
}

const peers: Peer[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) peer.close();
});

/** A back end of this kind, and its other end. */
async function connectedTo(kind: FdCharOptions['kind']) {
  if (kind === 'stream') {
    const [ours, theirs] = libc.socketPair();
    libc.setNonblocking(theirs);
    const before = rig({ kind, fd: theirs, label: 'stream' });
    return { before, peer: new Peer(ours), path: '' };
  }
  const path = join(folder(), 'char.sock');
  const before = await start(kind === 'pty' ? { type: 'pty' } : { type: 'unix', path, server: true });
  let fd: number;
  if (kind === 'pty') fd = openSync(before.char.label, libc.O_RDWR);
  else {
    fd = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
    libc.connect(fd, path, unixAddress(path));
  }
  const peer = new Peer(fd);
  await before.settled(() => before.char.connected);
  return { before, peer, path };
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
    const { char, seen, settled } = await start({ type: 'unix', path, server: true });
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

  test('accepts no more than fits from a guest whose reader is stuck, and continues', async () => {
    const path = join(folder(), 'char.sock');
    const { char, settled } = await start({ type: 'unix', path, server: true });
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

  test('reads no more than the guest accepts', async () => {
    const path = join(folder(), 'char.sock');
    const { char, seen, settled, loop } = await start({ type: 'unix', path, server: true });
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

  test('replaces a stale socket, and nothing else', async () => {
    const path = join(folder(), 'char.sock');
    const { char } = await start({ type: 'unix', path, server: true });
    await expect(openChar({ type: 'unix', path, server: true })).rejects.toThrow(
      `another program listens on ${path}`,
    );
    char.close();
    expect(existsSync(path)).toBe(true);
    await start({ type: 'unix', path, server: true, mode: '660' });
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const file = join(folder(), 'file');
    writeFileSync(file, 'mine');
    await expect(openChar({ type: 'unix', path: file, server: true })).rejects.toThrow('is not a socket');
    expect(readFileSync(file, 'utf8')).toBe('mine');
    await expect(openChar({ type: 'unix', path: join(folder(), 'none'), server: false })).rejects.toThrow(
      'does not exist: start the program',
    );
    await expect(openChar({ type: 'unix', path: join(file, 'x'), server: true })).rejects.toThrow(
      `the socket ${join(file, 'x')} cannot be created: what would be its folder is a file`,
    );
    const long = `/tmp/${'x'.repeat(110)}`;
    await expect(openChar({ type: 'unix', path: long, server: true })).rejects.toThrow(
      'longer than 107 bytes',
    );
  });

  test('whose program accepts no connections is not waited for', async () => {
    const path = join(folder(), 'busy.sock');
    const listener = new BusyListener(path);
    await expect(openChar({ type: 'unix', path, server: true })).rejects.toThrow(
      `another program listens on ${path}`,
    );
    listener.close();
    await start({ type: 'unix', path, server: true });
  });
});

test('a TCP socket listens on its configured address', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const options = { type: 'tcp', host: '127.0.0.1', port, server: true, anywhere: false } as const;
  await expect(openChar(options)).rejects.toThrow(
    `TCP port ${port} of 127.0.0.1 cannot be opened: it is in use by `,
  );
  // As a client of it.
  const accepted = new Promise<Socket>(resolve => server.once('connection', resolve));
  const as = await start({ ...options, server: false });
  const peer = await accepted;
  sockets.push(peer);
  peer.write('from the server');
  await as.settled(() => as.seen.input === 'from the server');
  peer.destroy();
  await as.settled(() => !as.char.connected);
  await new Promise(resolve => server.close(resolve));
  const { char, seen, settled } = await start(options);
  const { socket } = client(port);
  socket.write('x');
  await settled(() => char.connected && seen.input === 'x');
  await expect(openChar({ ...options, host: 'example.org' })).rejects.toThrow('is not an address: give one');
});

test('a pseudoterminal stays when programs open and close it', async () => {
  const { char, seen, settled } = await start({ type: 'pty' });
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

/** The same back end in another process, which has got its fds, and its state if it is to continue. */
function successorOf({ char, options }: ReturnType<typeof rig>) {
  const fd = libc.duplicate(options.fd);
  const { connection } = char;
  const next = rig({ ...options, fd, isHeld: true });
  next.char.load(char.save());
  next.char.continueWith(
    typeof connection === 'string' ? connection : { client: libc.duplicate(connection.client) },
  );
  return next;
}

/** Writes `BURST` bytes, of which the reader has not taken all, and others than `seed` would give. */
function burst(char: FdChar, seed: number): string {
  const bytes = Buffer.from(Array.from({ length: BURST }, (_, index) => 0x20 + ((seed + index) % 89)));
  for (let at = 0; at < bytes.length; at += 100) char.write(bytes.subarray(at, at + 100));
  return bytes.toString('latin1');
}

describe('a connection that is handed over to another process', () => {
  test.each(['listener', 'stream', 'pty'] as const)('of a %s loses no byte', async kind => {
    const { before, peer } = await connectedTo(kind);
    const first = burst(before.char, 1);
    before.char.hold();
    const after = successorOf(before);
    expect(after.char.connected).toBe(true);
    // The other process is about to leave: it must neither read nor write.
    peer.send(Buffer.from('for the next'));
    for (let turns = 0; turns < 5; turns++) before.loop.turn();
    expect(before.seen.input).toBe('');
    expect(before.loop.watched).toBe(0);
    after.char.release();
    const second = burst(after.char, 50);
    const all = first + second;
    await after.settled(() => {
      peer.take();
      return peer.received.length === all.length && after.seen.input === 'for the next';
    });
    expect(peer.received).toBe(all);
    expect(after.seen.connections).toEqual([]);
  });

  test.each(['listener', 'stream', 'pty'] as const)(
    'of a %s continues in the old process if that fails',
    async kind => {
      const { before, peer } = await connectedTo(kind);
      const first = burst(before.char, 1);
      before.char.hold();
      const after = successorOf(before);
      after.char.close();
      peer.send(Buffer.from('still here'));
      before.char.release();
      const all = first + burst(before.char, 50);
      await before.settled(() => {
        peer.take();
        return peer.received.length === all.length && before.seen.input === 'still here';
      });
      expect(peer.received).toBe(all);
      expect(before.seen.connections).toEqual(kind === 'stream' ? [] : [true]);
    },
  );

  test('reads no more than before while the guest reads nothing', async () => {
    const { before, peer } = await connectedTo('stream');
    await before.settled(() => {
      peer.send(Buffer.alloc(4096, 0x62));
      return before.seen.input.length >= 64 * 1024;
    });
    peer.send(Buffer.from('more'));
    before.char.hold();
    const after = successorOf(before);
    after.char.release();
    for (let turns = 0; turns < 20; turns++) after.loop.turn();
    expect(after.seen.input).toBe('');
    after.char.inputTaken(before.seen.input.length, 0);
    await after.settled(() => after.seen.input.length > 0);
  });

  test('that is closed is closed there, too', async () => {
    const { before, peer } = await connectedTo('stream');
    peer.close();
    await before.settled(() => !before.char.connected);
    before.char.hold();
    const after = successorOf(before);
    after.char.release();
    for (let turns = 0; turns < 5; turns++) after.loop.turn();
    expect([after.char.connected, after.seen.connections]).toEqual([false, []]);
  });

  test('must be of the same kind', async () => {
    const { before } = await connectedTo('listener');
    before.char.hold();
    expect(() => before.char.continueWith('own')).toThrow('does not fit');
  });

  test('leaves waiting clients in the listen queue', async () => {
    const { before, peer, path } = await connectedTo('listener');
    const waiting = client(path);
    waiting.socket.write('next in line');
    before.char.hold();
    const after = successorOf(before);
    before.loop.turn();
    after.char.release();
    peer.close();
    await after.settled(() => after.seen.input === 'next in line');
    expect(before.seen.input).toBe('');
  });
});

test('output from before a restore goes to the next client, followed by new output', async () => {
  const { before, peer } = await connectedTo('listener');
  const first = burst(before.char, 1);
  peer.take();
  before.char.hold();
  const saved = before.char.save();
  const path = join(folder(), 'new.sock');
  const { char, settled } = await start({ type: 'unix', path, server: true });
  char.hold();
  char.load(saved);
  char.release();
  char.write(Buffer.from('and more'));
  const { received } = client(path);
  const rest = first.length - peer.received.length;
  expect(rest).toBeGreaterThan(0);
  await settled(() => received().length === rest + 8);
  expect(peer.received + received()).toBe(`${first}and more`);
  expect(() => char.load({ ...saved, output: new Uint8Array(64 * 1024 + 1) })).toThrow('output');
});

test.each(['listener', 'stream', 'pty'] as const)(
  'input received from a %s is part of the saved state',
  async kind => {
    const { before, peer } = await connectedTo(kind);
    before.char.hold();
    peer.send(Buffer.from('typed ahead'));
    // A pseudoterminal passes it on a little later.
    await until(() => {
      before.char.readAhead();
      return (before.char.save().input as Uint8Array).length === 11;
    });
    const saved = before.char.save();
    expect(before.seen.input).toBe('');
    const path = join(folder(), 'new.sock');
    const { char, seen, settled } = await start({ type: 'unix', path, server: true });
    char.hold();
    char.load(saved);
    expect(char.save()).toEqual(saved);
    char.release();
    const { socket } = client(path);
    socket.write(', then this');
    await settled(() => seen.input === 'typed ahead, then this');
    // A machine that continues after a snapshot has it once, too.
    before.char.release();
    peer.send(Buffer.from(', then that'));
    await before.settled(() => before.seen.input === 'typed ahead, then that');
  },
);

test('input that was read ahead waits until the guest reads it, and is limited', async () => {
  const { before, peer } = await connectedTo('stream');
  before.char.hold();
  let sent = 0;
  for (let round = 0; round < 100; round++) {
    peer.send(Buffer.alloc(8192, 0x61 + (round % 26)));
    sent += 8192;
    before.char.readAhead();
  }
  const saved = before.char.save();
  const { length } = saved.input as Uint8Array;
  expect([length >= 256 * 1024, length < 280 * 1024, sent > length]).toEqual([true, true, true]);
  before.char.release();
  await before.settled(() => before.seen.input.length >= 64 * 1024);
  for (let turns = 0; turns < 20; turns++) before.loop.turn();
  expect(before.seen.input.length).toBeLessThan(96 * 1024);
  await before.settled(() => {
    before.char.inputTaken(0, 0);
    return before.seen.input.length > length;
  });
  expect(before.seen.input.slice(0, length)).toBe(Buffer.from(saved.input as Uint8Array).toString('latin1'));
  expect(() => before.char.load({ ...saved, input: new Uint8Array(2 ** 20) })).toThrow('input');
  const { input: _, ...older } = saved;
  before.char.load(older);
  expect(before.char.save().input).toEqual(new Uint8Array(0));
});

test('unread output is dropped beyond 64 KiB, and counted', async () => {
  const warnings: string[] = [];
  const path = join(folder(), 'char.sock');
  const { fd } = (await openChar({ type: 'unix', path, server: true }))!;
  const { char, settled } = rig({ kind: 'listener', fd: fd!, label: '', warn: text => warnings.push(text) });
  char.hold();
  char.load({ output: Buffer.from('saved'), waiting: 0 });
  char.release();
  char.write(new Uint8Array(64 * 1024 - 5));
  expect(warnings).toEqual([]);
  char.write(new Uint8Array(7));
  char.write(new Uint8Array(3));
  expect(warnings).toEqual([
    'nobody has read the last 64 KiB of its output: more is dropped until someone does',
  ]);
  const { received } = client(path);
  await settled(() => received().length === 64 * 1024);
  expect(warnings.slice(1)).toEqual(['10 bytes of its output were dropped']);
});

test('input for a device without input is dropped', async () => {
  const path = join(folder(), 'char.sock');
  const { char, settled } = await start({ type: 'unix', path, server: true });
  char.onInput = null;
  const { socket } = client(path);
  await settled(() => char.connected);
  socket.end(Buffer.alloc(1 << 20));
  await settled(() => !char.connected);
});

test('a file gets all output, and a log a copy of it', async () => {
  const [file, log] = [join(folder(), 'out.txt'), join(folder(), 'log.txt')];
  writeFileSync(file, 'before ');
  const parts = async (options: CharOptions) => {
    const wire = charWire((await openChar(options))!);
    const owner = { ownFd: (fd: number) => fd, ownMap: () => {}, closeFd: libc.close };
    const none = () => ({ write: () => {}, onInput: null });
    return {
      opened: () => ({ wire, owner }),
      console: none,
      agent: none,
      loop: new FdTestLoop(),
      chars: new MachineChars(),
      warn: () => {},
    };
  };
  const write = async (options: CharOptions, text: string) => {
    const backend = openInMachine({ options, device: 'port' }, await parts(options));
    backend.write(Buffer.from(text));
    backend.close?.();
  };
  await write({ type: 'file', path: file, append: true }, 'and after');
  expect(readFileSync(file, 'utf8')).toBe('before and after');
  await write({ type: 'file', path: file, append: false }, 'anew');
  expect(readFileSync(file, 'utf8')).toBe('anew');
  await write({ type: 'null', logfile: log }, 'kept');
  await write({ type: 'console', logfile: log }, ' too');
  expect(readFileSync(log, 'utf8')).toBe('kept too');
  await expect(openChar({ type: 'file', path: '/dev/null', append: true })).rejects.toThrow(
    'it is not a regular file',
  );
  await expect(openChar({ type: 'file', path: join(folder(), 'no/file'), append: true })).rejects.toThrow(
    'does not exist',
  );
});
