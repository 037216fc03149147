import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { socketAddress } from '../../../src/engine/chars/socket-address.ts';
import { connectSocket } from '../../../src/vmm/native/connect-socket.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { unixAddress } from '../../../src/vmm/native/unix-socket.ts';
import { BusyListener } from '../../support/busy-listener.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const fds: number[] = [];

afterEach(() => {
  for (const fd of fds.splice(0)) libc.close(fd);
});

function socket(domain: number): number {
  const fd = libc.socket(domain, libc.SOCK_STREAM);
  fds.push(fd);
  return fd;
}

test('waiting for a program that accepts no connections does not block other work', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'busy.sock');
  const listener = new BusyListener(path);
  try {
    const connect = (withinMs: number) =>
      connectSocket(socket(libc.AF_UNIX), path, unixAddress(path), withinMs);
    await expect(connect(30)).rejects.toThrow(`connect ${path}: ETIMEDOUT`);
    const connected = connect(60_000);
    // In a turn of the event loop, which runs while the connection waits.
    setImmediate(() => listener.accept());
    await connected;
  } finally {
    listener.close();
    rmSync(folder, { recursive: true });
  }
});

test('TCP connections are established, or refused', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const address = socketAddress('127.0.0.1', port);
  if (typeof address === 'string') throw new Error(address);
  const accepted = new Promise(resolve => server.once('connection', resolve));
  await connectSocket(socket(address.domain), 'the server', address.bytes);
  ((await accepted) as { destroy(): void }).destroy();
  await new Promise(resolve => server.close(resolve));
  await expect(connectSocket(socket(address.domain), 'the server', address.bytes)).rejects.toThrow(
    'connect the server: ECONNREFUSED',
  );
});
