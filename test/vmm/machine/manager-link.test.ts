import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ManagerLink } from '../../../src/vmm/machine/manager-link.ts';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { AF_UNIX, bind, close, SOCK_STREAM, socket, socketPair } from '../../../src/vmm/native/libc.ts';
import { unixAddress } from '../../../src/vmm/native/unix-socket.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const O_NONBLOCK = 0o4000;

test('a manager that connects is accepted once, however often it is reported', async () => {
  const path = join(temporaryFolder(), 'machine.sock');
  const listener = socket(AF_UNIX, SOCK_STREAM);
  bind(listener, path, unixAddress(path));
  const [first, theirs] = socketPair();
  const counters = socket(AF_UNIX, SOCK_STREAM);
  const link = new ManagerLink(first, new MachineReport());
  const callbacks = new Map<number, () => void>();
  link.attach(
    {
      watchFd: (fd, _, onReady) => callbacks.set(fd, onReady),
      unwatchFd: fd => callbacks.delete(fd),
    },
    () => {},
  );
  const identity = { protocol: 1, version: '0', token: 'secret' };
  link.readmit({ listener, countersFd: counters, identity, accepts: () => true });
  onTestFinished(() => {
    link.close();
    for (const fd of [theirs, counters]) close(fd);
  });
  // A blocking one would stop the machine until there is another manager.
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${listener}`, 'utf8'))![1]!;
  expect(Number.parseInt(flags, 8) & O_NONBLOCK).toBe(O_NONBLOCK);

  const manager = createConnection(path);
  onTestFinished(() => void manager.destroy());
  await new Promise(resolve => manager.once('connect', resolve));
  const accept = callbacks.get(listener)!;
  accept();
  accept();
  expect(link.connected).toBe(true);
  const hello = await new Promise<Buffer>(resolve => manager.once('data', resolve));
  expect(hello.toString()).toContain('"token":"secret"');
});
