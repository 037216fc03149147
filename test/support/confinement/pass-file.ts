import { readSync } from 'node:fs';
import * as libc from '../../../src/vmm/native/libc.ts';
import { addressOf, readBack, syscall } from './raw-syscall.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** struct cmsghdr with one fd, padded. */
const CONTROL = 24;
const MESSAGE = 56;

/** A struct msghdr with one byte and space for one fd. */
function message(control: Uint8Array): { readonly header: bigint; readonly control: bigint } {
  const vector = new Uint8Array(new BigUint64Array([addressOf('x'), 1n]).buffer);
  const header = Buffer.alloc(MESSAGE);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  const at = addressOf(control);
  header.writeBigUInt64LE(at, 32);
  header.writeBigUInt64LE(BigInt(CONTROL), 40);
  return { header: addressOf(header), control: at };
}

function rights(fd: number): Uint8Array {
  const control = Buffer.alloc(CONTROL);
  control.writeBigUInt64LE(20n, 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  control.writeInt32LE(fd, 16);
  return control;
}

/** Accepts a connection on a socket that was opened before, and passes a file over it in both directions. */
export function passFile(confine: () => void, say: (text: string) => void): void {
  const address = Buffer.from(`\u0001\0\0pass-file-${process.pid}`, 'latin1');
  const [listener, client] = [
    syscall('socket', AF_UNIX, SOCK_STREAM, 0),
    syscall('socket', AF_UNIX, SOCK_STREAM, 0),
  ];
  syscall('bind', listener, address, address.length);
  syscall('listen', listener, 4);
  syscall('connect', client, address, address.length);
  confine();
  const server = syscall('accept4', listener, 0, 0, 0);
  const file = libc.memfdCreate('passed');
  libc.write(file, Buffer.from('a file'));
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    const sent = syscall('sendmsg', from, message(rights(file)).header, 0);
    const room = message(new Uint8Array(CONTROL));
    const received = syscall('recvmsg', to, room.header, 0);
    const fd = readBack(room.control, CONTROL).readInt32LE(16);
    const text = Buffer.alloc(6);
    readSync(fd, text, 0, 6, 0);
    say(`${sent} ${received} ${fd === file} ${text}`);
  }
}
