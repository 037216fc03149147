import { closeSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { MachineConnection } from '../../../src/engine/machines/machine-connection.ts';
import { FrameReader, messageFrame, messageOf, portFrame } from '../../../src/vmm/machine/frames.ts';
import type { FromMachine } from '../../../src/vmm/machine/messages.ts';
import { ioctl, socketPair } from '../../../src/vmm/native/libc.ts';
import { receiveNow, sendNow } from '../../../src/vmm/native/unix-socket.ts';
import { isOpen } from '../../support/fds.ts';
import { until } from '../../support/until.ts';

/** A connection, and the machine's end of it. */
function connected() {
  const [ours, machine] = socketPair();
  const connection = new MachineConnection(ours);
  let open = true;
  const hangUp = () => {
    if (open) closeSync(machine);
    open = false;
  };
  onTestFinished(() => {
    connection.close();
    hangUp();
  });
  return { connection, machine, hangUp };
}

function listenTo(connection: MachineConnection) {
  const messages: FromMachine[] = [];
  let printed = '';
  connection.listen({
    message: message => messages.push(message),
    printed: (port, bytes) => {
      printed += `${port}:${Buffer.from(bytes).toString()}`;
    },
  });
  return { messages, printed: () => printed };
}

/** What the other end has not read yet (SIOCOUTQ in linux/sockios.h, unix(7)). */
function unreadBytes(fd: number): number {
  const bytes = new Uint8Array(4);
  ioctl(fd, 'SIOCOUTQ', 0x5411, bytes);
  return new DataView(bytes.buffer).getInt32(0, true);
}

describe('a connection to a machine', () => {
  test('does not check a machine on the thread of its manager', async () => {
    const [ours, machine] = socketPair();
    const connection = MachineConnection.open(ours, { kind: 'collected' }, [machine], { isTrusted: true });
    onTestFinished(() => {
      connection.close();
      closeSync(machine);
    });
    const { messages } = listenTo(connection);
    const unknown = { kind: 'state', state: 'humming' } as unknown as FromMachine;
    sendNow(machine, messageFrame(unknown));
    await until(() => messages.length > 0);
    expect(messages).toEqual([unknown]);
  });

  test('delivers messages that arrived before there was a listener', async () => {
    const { connection, machine } = connected();
    sendNow(
      machine,
      Buffer.concat([messageFrame({ kind: 'state', state: 'running' }), portFrame(0, Buffer.from('a'))]),
    );
    await until(() => unreadBytes(machine) === 0);
    const { messages, printed } = listenTo(connection);
    sendNow(machine, portFrame(1, Buffer.from('b')));
    await until(() => printed() === '0:a1:b');
    expect(messages).toEqual([{ kind: 'state', state: 'running' }]);
  });

  test.each([
    ['a frame of 4 GiB', Buffer.from([255, 255, 255, 255, 1]), 'a frame of 4294967295 bytes is not valid'],
    ['an empty frame', Buffer.from([0, 0, 0, 0, 1]), 'a frame of 0 bytes is not valid'],
    ['a message that is no JSON', Buffer.from([3, 0, 0, 0, 1, 0x7b, 0x22]), /JSON/],
    ['a message that is none of a machine', Buffer.from(messageFrame({ kind: 'unlock' })), /is not valid/],
    [
      'a time that no date has',
      Buffer.from(messageFrame({ kind: 'event', event: { at: 9e99, level: 'info', text: '' } })),
      /is not valid/,
    ],
  ])('is closed on %s, and gives it as the reason', async (_, garbage, reason) => {
    const { connection, machine } = connected();
    listenTo(connection);
    sendNow(machine, garbage);
    expect(await connection.closed).toMatch(reason);
    await until(() => receiveNow(machine).kind === 'closed');
  });

  test('ignores frames that only a later version knows', async () => {
    const { connection, machine } = connected();
    const { messages } = listenTo(connection);
    sendNow(machine, Buffer.from([2, 0, 0, 0, 77, 1]));
    sendNow(machine, messageFrame({ kind: 'state', state: 'paused' }));
    await until(() => messages.length === 1);
  });

  test('reports no reason when the machine hangs up', async () => {
    const { connection, hangUp } = connected();
    listenTo(connection);
    hangUp();
    expect(await connection.closed).toBeNull();
    // What arrives too late does no harm.
    connection.send({ kind: 'collected' });
    connection.type(0, Buffer.from('x'));
  });

  test('sends a first message with fds', async () => {
    const [ours, machine] = socketPair();
    onTestFinished(() => closeSync(machine));
    const connection = MachineConnection.open(ours, { kind: 'collected' }, [machine]);
    onTestFinished(() => connection.close());
    const got = receiveNow(machine);
    if (got.kind !== 'data') throw new Error(got.kind);
    expect(got.fds).toHaveLength(1);
    for (const fd of got.fds) closeSync(fd);
    expect(new FrameReader().push(got.bytes).map(messageOf)).toEqual([{ kind: 'collected' }]);
  });

  test('is not opened to a process that has ended; the caller keeps the socket', () => {
    const [ours, machine] = socketPair();
    closeSync(machine);
    expect(() => MachineConnection.open(ours, { kind: 'collected' }, [])).toThrow(
      "the machine's process does not accept its configuration",
    );
    expect(isOpen(ours)).toBe(true);
    closeSync(ours);
  });
});
