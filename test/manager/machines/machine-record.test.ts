import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { currentBootId, startTicksOf } from '../../../src/host/process-identity.ts';
import {
  leftovers,
  type MachineRecord,
  readRecords,
  removeRecord,
  socketOf,
  writeRecord,
} from '../../../src/manager/machines/machine-record.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { AF_UNIX, bind, close, SOCK_STREAM, socket } from '../../../src/vmm/native/libc.ts';
import { unixAddress } from '../../../src/vmm/native/unix-socket.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ID = '0123abcd';
let folder: string;
beforeEach(() => {
  folder = join(temporaryFolder(), 'machines');
  mkdirSync(folder);
});

function recordOf(change: Partial<MachineRecord> = {}): MachineRecord {
  return {
    version: 1,
    name: 'web',
    pid: process.pid,
    startTime: startTicksOf(process.pid)!,
    bootId: currentBootId(),
    token: '0'.repeat(32),
    startedAt: 1000,
    uid: null,
    config: parseMachineConfig({ name: 'web', boot: { kind: 'kernel', path: '/boot/vmlinux' } }),
    ...change,
  };
}

function bound(path: string): void {
  const fd = socket(AF_UNIX, SOCK_STREAM);
  onTestFinished(() => close(fd));
  bind(fd, path, unixAddress(path));
}

const problems: string[] = [];
const read = () => {
  problems.length = 0;
  return readRecords(folder, text => problems.push(text));
};

describe('the record of a machine', () => {
  test('is read back as written, and removed with its socket', () => {
    writeRecord(folder, ID, recordOf());
    bound(socketOf(folder, ID));
    expect(read()).toEqual([{ id: ID, record: recordOf() }]);
    expect(leftovers(folder)).toEqual([]);
    removeRecord(folder, ID);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    ['of a process that is gone', { pid: 2 ** 22 - 1 }],
    ['of a process whose number another one has by now', { startTime: startTicksOf(process.pid)! - 1 }],
    ['of a previous boot', { bootId: '00000000-0000-0000-0000-000000000000' }],
  ])('%s is left over', (_, change) => {
    writeRecord(folder, ID, recordOf(change));
    expect(read()).toEqual([]);
    expect(leftovers(folder)).toEqual([{ id: ID, name: 'web' }]);
    expect(problems).toEqual([]);
  });

  test.each([
    ['is empty', ''],
    ['is cut off', JSON.stringify(recordOf()).slice(0, 100)],
    ['is of a later version', JSON.stringify({ ...recordOf(), version: 2 })],
    ['has a name that is a path', JSON.stringify(recordOf({ name: '../web' }))],
    ['names every process', JSON.stringify(recordOf({ pid: -1 }))],
    ['has a short token', JSON.stringify(recordOf({ token: 'x' }))],
    ['runs as root after all', JSON.stringify(recordOf({ uid: 0 }))],
    ['has no machine', JSON.stringify({ ...recordOf(), config: {} })],
  ])('that %s is a problem while a process listens on its socket, and otherwise left over', (_, text) => {
    writeFileSync(join(folder, `${ID}.json`), text);
    expect(read()).toEqual([]);
    expect(problems).toEqual([expect.stringContaining(`${ID}.json is damaged`)]);
    expect(leftovers(folder)).toEqual([{ id: ID, name: null }]);
    bound(socketOf(folder, ID));
    expect(leftovers(folder)).toEqual([]);
  });

  test('that was never written leaves the socket over, whoever listens on it', () => {
    bound(socketOf(folder, ID));
    expect(leftovers(folder)).toEqual([{ id: ID, name: null }]);
  });

  test('is not confused with other files in the folder', () => {
    for (const name of ['notes.txt', '0123abcd.json.bak', '0123ABCD.json', 'ab.json', '0123abcd0.sock'])
      writeFileSync(join(folder, name), '');
    expect([read(), leftovers(folder), problems]).toEqual([[], [], []]);
    expect(readRecords(join(folder, 'none'), () => {})).toEqual([]);
  });
});
