import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { CounterLayout } from '../../../src/vmm/counters/counters.ts';
import { adoptCounters, createCounters, mapCounters } from '../../../src/vmm/counters/shared-counters.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const SHAPE = { vcpus: 2, queues: 3, regions: 4 };
const SEALS = libc.F_SEAL_SEAL | libc.F_SEAL_SHRINK | libc.F_SEAL_GROW;

function memfd(bytes: number, seals: number): number {
  const fd = libc.memfdCreate('test', libc.MFD_ALLOW_SEALING);
  onTestFinished(() => libc.close(fd));
  libc.ftruncate(fd, bytes);
  if (seals !== 0) libc.fcntl(fd, 'F_ADD_SEALS', libc.F_ADD_SEALS, seals);
  return fd;
}

describe('shared counters', () => {
  test('are the same memory in every mapping, with the shape in their header', () => {
    const made = createCounters(SHAPE);
    const [machine, manager] = [adoptCounters(made.fd), mapCounters(made.fd, SHAPE)];
    made.closeFd();
    expect(machine.layout.shape).toEqual(SHAPE);
    const word = machine.layout.vcpu(1);
    machine.words[word] = 42n;
    expect([made.words[word], manager.words[word]]).toEqual([42n, 42n]);
    for (const { unmap } of [made, machine, manager]) unmap();
  });

  test('cannot be shrunk by the other process', () => {
    const made = createCounters(SHAPE);
    onTestFinished(() => {
      made.unmap();
      made.closeFd();
    });
    expect(() => libc.ftruncate(made.fd, 0)).toThrow('EPERM');
    expect(() => libc.ftruncate(made.fd, 2 ** 20)).toThrow('EPERM');
  });

  const bytes = new CounterLayout(SHAPE).bytes;

  test.each([
    ['nothing', 0],
    ['a page too little', bytes - 4096],
    ['a byte too much', bytes + 1],
    ['4 GiB', 2 ** 32],
  ])('of a machine that passes %s are rejected', (_, size) => {
    expect(() => mapCounters(memfd(size, SEALS), SHAPE)).toThrow('do not have the size of this machine');
  });

  test.each([
    ['without seals', 0],
    ['that may be shrunk', libc.F_SEAL_SEAL | libc.F_SEAL_GROW],
    ['whose seals may change', libc.F_SEAL_SHRINK | libc.F_SEAL_GROW],
  ])('%s are rejected', (_, seals) => {
    expect(() => mapCounters(memfd(bytes, seals), SHAPE)).toThrow('the counters are not sealed');
  });

  test('in a file, whose owner could shrink it, are rejected', () => {
    const path = join(temporaryFolder(), 'counters');
    writeFileSync(path, new Uint8Array(bytes));
    const fd = openSync(path, 'r+');
    onTestFinished(() => closeSync(fd));
    expect(() => mapCounters(fd, SHAPE)).toThrow('F_GET_SEALS');
  });
});
