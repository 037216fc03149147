import { openSync, readFileSync, unlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  FRAME,
  FrameReader,
  messageFrame,
  messageOf,
  portFrame,
  portOf,
} from '../../../src/vmm/machine/frames.ts';
import { ManagerLink } from '../../../src/vmm/machine/manager-link.ts';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import {
  AF_UNIX,
  bind,
  close,
  connect,
  listen,
  SOCK_STREAM,
  setNonblocking,
  socket,
  socketPair,
} from '../../../src/vmm/native/libc.ts';
import { receiveNow, sendNow, unixAddress } from '../../../src/vmm/native/unix-socket.ts';
import { isOpen, openFds } from '../../support/fds.ts';
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

/** A link, and its manager's end. */
function linked() {
  const [ours, theirs] = socketPair();
  const report = new MachineReport();
  const link = new ManagerLink(ours, report);
  onTestFinished(() => {
    link.close();
    if (isOpen(theirs)) close(theirs);
  });
  return { link, report, manager: theirs };
}

/** All that has arrived, as messages. */
function arrived(fd: number, reader: FrameReader): unknown[] {
  const messages = [];
  for (let got = receiveNow(fd); got.kind === 'data'; got = receiveNow(fd))
    messages.push(...reader.push(got.bytes).map(messageOf));
  return messages;
}

describe('a link to a manager', () => {
  test('delivers messages, keys and fds in order', () => {
    const { link, manager } = linked();
    const frames = [messageFrame({ kind: 'collected' }), portFrame(0, Buffer.from('abc'))];
    sendNow(manager, Buffer.concat(frames), [manager]);
    link.wait();
    expect(link.next()).toEqual({ kind: 'collected' });
    expect(link.next()).toMatchObject({ kind: 'input', port: 0, bytes: { length: 3 } });
    expect(link.next()).toBeNull();
    close(link.takeFd()!);
    expect(link.takeFd()).toBeNull();
  });

  test.each([
    ['a frame of 4 GiB', Buffer.from([255, 255, 255, 255, 1])],
    ['a message that is no JSON', Buffer.from([3, 0, 0, 0, 1, 0x7b, 0x22])],
    ['an empty frame', Buffer.from([0, 0, 0, 0, 1])],
  ])('closes on %s, with the fds received', (_, garbage) => {
    const { link, manager } = linked();
    const before = openFds();
    sendNow(manager, messageFrame({ kind: 'collected' }));
    link.wait();
    expect(link.next()).toEqual({ kind: 'collected' });
    sendNow(manager, garbage, [manager, manager]);
    link.wait();
    expect(link.connected).toBe(false);
    expect(link.takeFd()).toBeNull();
    // Its own end of the socket, too.
    expect(openFds()).toBe(before - 1);
  });

  test('executes what its manager sent before it died, with the fds received', () => {
    const { link, manager } = linked();
    const before = openFds();
    const nowhere = openSync('/dev/null', 'r');
    sendNow(manager, messageFrame({ kind: 'collected' }), [nowhere, nowhere]);
    close(nowhere);
    close(manager);
    link.wait();
    expect(link.connected).toBe(false);
    expect(link.next()).toEqual({ kind: 'collected' });
    close(link.takeFd()!);
    link.close();
    expect(openFds()).toBe(before - 2);
  });

  test('sends what did not fit in a full socket once there is room, up to date by then', () => {
    const { link, report, manager } = linked();
    const flood = () => {
      for (let round = 0; round < 5000; round++) {
        report.printed(0, Buffer.alloc(512, 'x'));
        report.entered(round % 2 === 0 ? 'running' : 'paused');
        link.flush();
      }
    };
    flood();
    report.printed(0, Buffer.from('the end'));
    report.entered('running');
    link.flush();
    const reader = new FrameReader();
    const frames = [];
    let text = '';
    for (let got = receiveNow(manager); got.kind === 'data'; got = receiveNow(manager)) {
      for (const frame of reader.push(got.bytes)) {
        if (frame.kind === FRAME.port) text += Buffer.from(portOf(frame).bytes).toString();
        else frames.push(messageOf(frame));
      }
      link.flush();
    }
    expect(text.length).toBeGreaterThan(64 * 1024);
    expect(text).toMatch(/xthe end$/);
    expect(frames.at(-1)).toEqual({ kind: 'state', state: 'running' });
  });

  test('accepts another manager after its own is gone, and sends it everything', () => {
    const { link, report, manager } = linked();
    const path = join(temporaryFolder(), 'machine.sock');
    const listener = socket(AF_UNIX, SOCK_STREAM);
    bind(listener, path, unixAddress(path));
    const counters = socket(AF_UNIX, SOCK_STREAM);
    onTestFinished(() => close(counters));
    let welcome = false;
    const identity = { protocol: 1, version: '0', token: 'secret' };
    link.readmit({ listener, countersFd: counters, identity, accepts: () => welcome });
    report.entered('running');
    link.flush();
    close(manager);
    link.wait();
    expect([link.connected, link.reachable]).toEqual([false, true]);

    const stranger = socket(AF_UNIX, SOCK_STREAM);
    connect(stranger, path, unixAddress(path));
    link.wait();
    expect(link.connected).toBe(false);
    expect(receiveNow(stranger)).toEqual({ kind: 'closed' });
    close(stranger);

    // The file of its socket was removed: the manager has created another one.
    unlinkSync(path);
    const renewed = socket(AF_UNIX, SOCK_STREAM);
    bind(renewed, path, unixAddress(path));
    setNonblocking(renewed);
    listen(renewed, 1);
    link.listenAt(renewed);
    expect(isOpen(listener)).toBe(false);

    welcome = true;
    const next = socket(AF_UNIX, SOCK_STREAM);
    onTestFinished(() => close(next));
    connect(next, path, unixAddress(path));
    link.wait();
    const got = receiveNow(next);
    if (got.kind !== 'data') throw new Error(got.kind);
    expect(got.fds).toHaveLength(1);
    for (const fd of got.fds) close(fd);
    const reader = new FrameReader();
    const messages = [...reader.push(got.bytes).map(messageOf), ...arrived(next, reader)];
    expect(messages).toMatchObject([
      { kind: 'hello', token: 'secret' },
      { kind: 'state', state: 'running' },
      { kind: 'broken' },
      { kind: 'disk-errors' },
    ]);
  });
});
