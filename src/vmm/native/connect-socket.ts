import { constants } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import * as libc from './libc.ts';
import { waitForFds } from './unix-socket.ts';

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const LOOK_EVERY_MS = 10;

/** How long the program at the other end may take to accept a connection. */
export const CONNECT_WITHIN_MS = 5000;

/**
 * Connects a socket, and makes it non-blocking. Does not block this thread: a TCP host may not answer, and the program
 * at a Unix socket may not accept connections, for as long as it likes.
 * @param name for the error
 * @throws SystemError, ETIMEDOUT if it takes longer
 */
export async function connectSocket(
  fd: number,
  name: string,
  address: Uint8Array,
  withinMs = CONNECT_WITHIN_MS,
): Promise<void> {
  libc.setNonblocking(fd);
  for (const until = performance.now() + withinMs; ; ) {
    const begun = begin(fd, name, address);
    if (begun === 'connected') return;
    if (begun === 'connecting') {
      await settled(fd, name, until);
      return;
    }
    await pause(name, until);
  }
}

type Begun = 'connected' | 'connecting' | 'queue full';

function begin(fd: number, name: string, address: Uint8Array): Begun {
  try {
    libc.connect(fd, name, address);
    return 'connected';
  } catch (error) {
    const code = error instanceof libc.SystemError ? error.code : '';
    if (code === 'EINPROGRESS') return 'connecting';
    // unix(7): the listener's queue is full, and nothing says when it has room again.
    if (code === 'EAGAIN') return 'queue full';
    throw error;
  }
}

/** Waits for the end of a connect(2), whose error is SO_ERROR. */
async function settled(fd: number, name: string, until: number): Promise<void> {
  while (waitForFds([{ fd, writable: true }], 0).length === 0) await pause(name, until);
  const value = new Uint8Array(4);
  libc.getSocketOption(fd, 'SO_ERROR', SOL_SOCKET, SO_ERROR, value);
  const errno = new DataView(value.buffer).getInt32(0, true);
  if (errno !== 0) throw new libc.SystemError(`connect ${name}`, errno);
}

async function pause(name: string, until: number): Promise<void> {
  if (performance.now() >= until) throw new libc.SystemError(`connect ${name}`, constants.errno.ETIMEDOUT);
  await setTimeout(LOOK_EVERY_MS);
}
