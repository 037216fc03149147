import { expect, test } from 'vitest';
import { type Commanded, Commands } from '../../../src/vmm/machine/commands.ts';
import type { MachineCommand } from '../../../src/vmm/machine/messages.ts';
import { MachineReport } from '../../../src/vmm/machine/report.ts';
import { sentBy } from '../../support/machine-link.ts';

/** The commands of a machine whose vCPUs stop when `stopVcpus` is called, and what it has replied. */
function commandsOf() {
  const report = new MachineReport();
  const waiting: (() => void)[] = [];
  const ends: string[] = [];
  const on = {
    pause: { begin: (paused: () => void) => waiting.push(paused), end: () => {} },
    finish: (reason: string) => ends.push(reason),
  } as unknown as Commanded;
  const commands = new Commands(on, change => change(report));
  return {
    commands,
    ends,
    send: (id: number, command: MachineCommand) => commands.carryOut({ id, ...command }),
    stopVcpus: () => waiting.splice(0).map(paused => paused()),
    replies: () => sentBy(report).flatMap(said => (said.kind === 'reply' ? [said] : [])),
  };
}

const PAUSE = { command: 'pause', arguments: {} } as const;
const PING = { command: 'ping', arguments: {} } as const;
const done = { kind: 'reply', error: null, result: null };

test('a command is replied to once, when it has been executed', () => {
  const { send, stopVcpus, replies, commands } = commandsOf();
  send(1, PAUSE);
  send(2, PING);
  expect(replies()).toEqual([{ ...done, id: 2 }]);
  stopVcpus();
  expect(replies()).toEqual([{ ...done, id: 1 }]);
  commands.end('the machine has ended');
  expect(replies()).toEqual([]);
});

test('a command gets its arguments', () => {
  const { send, ends, replies } = commandsOf();
  send(7, { command: 'stop', arguments: { reason: 'it was stopped' } });
  expect(ends).toEqual(['it was stopped']);
  expect(replies()).toEqual([{ ...done, id: 7 }]);
});

test.each(['frobnicate', 'toString', '__proto__'])('an unknown command is rejected: %s', command => {
  const { send, replies } = commandsOf();
  send(3, { command, arguments: {} } as unknown as MachineCommand);
  const error = 'this machine does not know that command: restart it';
  expect(replies()).toEqual([{ kind: 'reply', id: 3, error, result: null }]);
});

test('commands that are pending at the end of the machine are replied to', () => {
  const { send, replies, commands } = commandsOf();
  send(1, PAUSE);
  send(2, PAUSE);
  commands.end('the machine has ended');
  expect(replies().map(({ id, error }) => [id, error])).toEqual([
    [1, 'the machine has ended'],
    [2, 'the machine has ended'],
  ]);
});

test('a manager gets no reply to the commands of the previous one', () => {
  const { send, stopVcpus, replies, commands } = commandsOf();
  send(1, PAUSE);
  commands.forget();
  send(1, PING);
  expect(replies()).toEqual([{ ...done, id: 1 }]);
  send(2, PAUSE);
  stopVcpus();
  expect(replies()).toEqual([{ ...done, id: 2 }]);
});
