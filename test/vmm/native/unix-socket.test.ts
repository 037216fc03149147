import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, onTestFinished, test } from 'vitest';
import { projectRoot } from '../../../src/project-root.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import {
  credentialsOfPeer,
  MAX_FDS,
  receiveNow,
  sendNow,
  waitForFds,
} from '../../../src/vmm/native/unix-socket.ts';
import { isOpen, openFds } from '../../support/fds.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

function pair(): [number, number] {
  const fds = libc.socketPair();
  onTestFinished(() => {
    for (const fd of fds) if (isOpen(fd)) closeSync(fd);
  });
  return fds;
}

function nowhere(): number {
  const fd = openSync('/dev/null', 'r');
  onTestFinished(() => closeSync(fd));
  return fd;
}

function received(fd: number) {
  const result = receiveNow(fd);
  if (result.kind !== 'data') throw new Error(`nothing was received: ${result.kind}`);
  onTestFinished(() => {
    for (const each of result.fds) closeSync(each);
  });
  return result;
}

describe('a Unix socket', () => {
  test('carries bytes and fds, which are not passed to programs', () => {
    const [a, b] = pair();
    expect(sendNow(a, Buffer.from('hello'), [nowhere(), nowhere()])).toBe(5);
    const { bytes, fds } = received(b);
    expect(Buffer.from(bytes).toString()).toBe('hello');
    expect(fds.map(fd => readlinkSync(`/proc/self/fd/${fd}`))).toEqual(['/dev/null', '/dev/null']);
    const flags = readFileSync(`/proc/self/fdinfo/${fds[0]}`, 'utf8');
    expect(Number.parseInt(/^flags:\s*(\d+)/m.exec(flags)![1]!, 8) & libc.O_CLOEXEC).toBe(libc.O_CLOEXEC);
  });

  test('reports that it is empty, full, or closed', () => {
    const [a, b] = pair();
    expect(receiveNow(b)).toEqual({ kind: 'empty' });
    let sent = 0;
    for (;;) {
      const now = sendNow(a, new Uint8Array(256 * 1024))!;
      if (now === 0) break;
      expect(now).toBeLessThanOrEqual(64 * 1024);
      sent += now;
    }
    let taken = 0;
    while (taken < sent) taken += received(b).bytes.length;
    expect(receiveNow(b)).toEqual({ kind: 'empty' });
    closeSync(b);
    expect(receiveNow(a)).toEqual({ kind: 'closed' });
    expect(sendNow(a, Buffer.from('x'))).toBeNull();
  });

  test(`accepts ${MAX_FDS} fds, and none if there are more`, () => {
    const [a, b] = pair();
    const one = nowhere();
    sendNow(a, Buffer.from('x'), new Array(MAX_FDS).fill(one));
    expect(received(b).fds).toHaveLength(MAX_FDS);
    const before = openFds();
    for (let round = 0; round < 100; round++) {
      sendNow(a, Buffer.from('x'), new Array(MAX_FDS + 1).fill(one));
      expect(received(b).fds).toEqual([]);
    }
    // None of those that did fit was left open.
    expect(openFds()).toBe(before);
  });

  test('knows its peer process', () => {
    const [a] = pair();
    expect(credentialsOfPeer(a)).toEqual({
      pid: process.pid,
      uid: process.geteuid!(),
      gid: process.getegid!(),
    });
  });

  test('accepts no connection while this process has no fds left, and lets them wait', async () => {
    const path = join(temporaryFolder(), 'socket');
    const program = `
      import { openSync, closeSync } from 'node:fs';
      import * as libc from './src/vmm/native/libc.ts';
      import { unixAddress } from './src/vmm/native/unix-socket.ts';
      const [listener, client] = [libc.socket(1, 1), libc.socket(1, 1)];
      libc.bind(listener, process.argv[1], unixAddress(process.argv[1]));
      libc.listen(listener, 1);
      libc.connect(client, process.argv[1], unixAddress(process.argv[1]));
      const fillers = [];
      try { for (;;) fillers.push(openSync('/dev/null')); } catch {}
      const refused = libc.accept(listener);
      for (const fd of fillers) closeSync(fd);
      console.log(refused, libc.accept(listener) > 0);`;
    const args = ['--input-type=module-typescript', '--eval', program, path];
    const { stdout } = await execa('prlimit', ['--nofile=100:100', process.execPath, ...args], {
      cwd: projectRoot(),
    });
    expect(stdout).toBe('null true');
  });

  test('can be waited for until it is readable or writable, or its peer is gone', () => {
    const [a, b] = pair();
    expect(waitForFds([{ fd: a }], 0)).toEqual([]);
    expect(waitForFds([{ fd: a, writable: true }])).toEqual([a]);
    sendNow(b, Buffer.from('x'));
    expect(waitForFds([{ fd: b }, { fd: a }])).toEqual([a]);
    received(a);
    closeSync(b);
    expect(waitForFds([{ fd: a }])).toEqual([a]);
  });
});
