import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { notifySystemd } from '../../src/manager/sd-notify.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\\0'))
print('ready', flush=True)
print(s.recv(999).decode(), flush=True)`;

test.each([
  ['a path', () => join(temporaryFolder(), 'notify')],
  ['an abstract address', () => `@vring-test-${process.pid}`],
])('notifies systemd at %s', async (_, address) => {
  const path = address();
  const receiver = execa('python3', ['-c', RECEIVER, path], { timeout: 20_000 });
  await new Promise(resolve => receiver.stdout.once('data', resolve));
  notifySystemd('READY=1\nSTATUS=fine', path);
  expect((await receiver).stdout).toBe('ready\nREADY=1\nSTATUS=fine');
});

test('does nothing without systemd', () => {
  notifySystemd('READY=1', undefined);
  notifySystemd('READY=1', join(temporaryFolder(), 'nobody'));
  notifySystemd('READY=1', 'vsock:2:1234');
});
