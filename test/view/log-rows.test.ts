import { describe, expect, test } from 'vitest';
import type { LogEntry } from '../../src/engine/vm-info.ts';
import { createAppStore } from '../../src/store/app-store.ts';
import { createLogSelector, logRow, movedLogCursor, vmLog } from '../../src/view/log-rows.ts';

const entry = (number: number, vm: string | null = null, text = `entry ${number}`): LogEntry => ({
  number,
  at: 0,
  vm,
  level: 'info',
  text,
});

const entries = [3, 4, 5, 6].map(number => entry(number));

describe('the cursor', () => {
  test('follows the end until it is moved, and again once it is moved there', () => {
    expect(logRow(entries, null)).toBe(3);
    const moved = movedLogCursor(entries, null, -2);
    expect(moved).toBe(4);
    const longer = [...entries, entry(7)];
    expect(logRow(longer, moved)).toBe(1);
    expect(movedLogCursor(longer, moved, 100)).toBeNull();
  });

  test('stays with its entry when older ones are dropped, and goes to the first when it is dropped itself', () => {
    expect(logRow(entries.slice(1), 5)).toBe(1);
    expect(logRow(entries, 1)).toBe(0);
    expect(movedLogCursor(entries, 1, -1)).toBe(3);
  });

  test('of an empty log has no position', () => {
    expect(logRow([], null)).toBe(0);
    expect(movedLogCursor([], null, 1)).toBeNull();
  });
});

test('the log of a VM has only its entries', () => {
  expect(vmLog([entry(1), entry(2, 'web'), entry(3, 'db')], 'web').map(({ number }) => number)).toEqual([2]);
});

test('the filter matches names of VMs and events', () => {
  const store = createAppStore();
  store
    .getState()
    .logListed([entry(1, 'web', 'started'), entry(2, 'db', 'started'), entry(3, null, 'web came')]);
  store.getState().openScreen({ kind: 'log' });
  store.getState().setFilter('web');
  const select = createLogSelector();
  expect(select(store.getState()).map(({ number }) => number)).toEqual([1, 3]);
  store.getState().setFilter('!web');
  expect(select(store.getState()).map(({ number }) => number)).toEqual([2]);
});

test('the log keeps its last thousand entries, and none of their control characters', () => {
  const store = createAppStore();
  store.getState().logListed(Array.from({ length: 1000 }, (_, index) => entry(index + 1)));
  store.getState().logged(entry(1001, 'a\x1bb', 'one\x1b[2J\ntwo'));
  const { log } = store.getState();
  expect([log.length, log[0]!.number]).toEqual([1000, 2]);
  expect(log.at(-1)).toMatchObject({ vm: 'a?b', text: 'one?[2J\ntwo' });
});
