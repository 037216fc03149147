import { describe, expect, test } from 'vitest';
import type { VmTask } from '../../src/engine/snapshots/snapshot-info.ts';
import { describeTask, taskWord } from '../../src/view/vm-task.ts';

const MB = 2 ** 20;
const sending: VmTask = {
  ...{ kind: 'migrate', name: 'host2', phase: 'sending', done: 10 * MB, total: 640 * MB, waitingFor: [] },
};

describe('the word for an operation in a list', () => {
  test.each([
    [0, 'move 0%'],
    [10, 'move 1%'],
    [320, 'move 50%'],
    [640, 'move 99%'],
  ])('after %i MiB of 640 is %s', (done, word) => {
    expect(taskWord({ ...sending, done: done * MB })).toBe(word);
  });

  test('fits its column whatever is done', () => {
    const kinds: VmTask['kind'][] = ['snapshot', 'save', 'restore', 'migrate', 'receive'];
    for (const kind of kinds)
      for (let done = 0; done <= 640; done++)
        expect(taskWord({ ...sending, kind, done: done * MB }).length).toBeLessThanOrEqual(8);
  });
});

describe('the progress of a migration', () => {
  test('is that of all memory, then that of rounds', () => {
    expect(describeTask(sending)).toBe('sending memory 10M of 640M, 1.6%');
    const migration = {
      round: 4,
      left: 3 * MB,
      bytesPerSecond: 90 * MB,
      dirtyBytesPerSecond: 95 * MB,
      downtimeMs: 400,
    };
    expect(describeTask({ ...sending, migration: { ...migration, isFutile: true } })).toBe(
      'round 4 does not converge, 3M left, 90M/s, dirty 95M/s, downtime 400 ms',
    );
    expect(describeTask({ ...sending, phase: 'switching' })).toBe('the guest is stopped; sending the rest');
    expect(describeTask({ ...sending, phase: 'switching', waitingFor: ['blk0'] })).toBe(
      'stopped; waiting for the host to finish the requests of blk0',
    );
  });
});
