/**
 * A process that listens in place of a machine: SOCKET JSON, with what it sends to a manager that connects. Prints a
 * line once it listens.
 */
import { writeSync } from 'node:fs';
import { CounterLayout } from '../../src/vmm/counters/counters.ts';
import { createCounters } from '../../src/vmm/counters/shared-counters.ts';
import { messageFrame } from '../../src/vmm/machine/frames.ts';
import * as libc from '../../src/vmm/native/libc.ts';
import { sendNow, unixAddress, waitForFds } from '../../src/vmm/native/unix-socket.ts';

export type FalseMachine = {
  /** A message, or bytes in hex; null to send nothing. */
  readonly says: object | string | null;
  readonly counters: 'right' | 'short' | 'unsealed' | 'none' | 'many';
  readonly shape: { readonly vcpus: number; readonly queues: number; readonly regions: number };
  readonly hangsUp: boolean;
};

const [path = '', options = ''] = process.argv.slice(2);
const { says, counters, shape, hangsUp }: FalseMachine = JSON.parse(options);
const listener = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM);
libc.bind(listener, path, unixAddress(path));
libc.listen(listener, 4);
writeSync(1, 'listening\n');
for (;;) {
  waitForFds([{ fd: listener }]);
  const connection = libc.accept(listener)!;
  const bytes =
    says === null ? null : typeof says === 'string' ? Buffer.from(says, 'hex') : messageFrame(says);
  if (bytes !== null) sendNow(connection, bytes, fds());
  if (hangsUp) libc.close(connection);
}

function fds(): number[] {
  if (counters === 'none') return [];
  if (counters === 'right') return [createCounters(shape).fd];
  if (counters === 'many') return new Array(200).fill(createCounters(shape).fd);
  const fd = libc.memfdCreate('false', libc.MFD_ALLOW_SEALING);
  libc.ftruncate(fd, new CounterLayout(shape).bytes - (counters === 'short' ? 4096 : 0));
  return [fd];
}
