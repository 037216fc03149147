import { expect, test } from 'vitest';
import type { LogEntry } from '../../src/engine/vm-info.ts';
import { createAppStore } from '../../src/store/app-store.ts';

const entry = (number: number, at: number, text = `entry ${number}`): LogEntry => ({
  number,
  at,
  vm: null,
  level: 'info',
  text,
});
const own = (at: number, text: string) => ({ at, vm: null, level: 'error' as const, text });

test('entries of the UI keep their position by time, even after the log was reloaded', () => {
  const store = createAppStore();
  const texts = () => store.getState().log.map(({ text }) => text);
  const { logListed, logged, noted } = store.getState();
  noted(own(5, 'first'));
  logListed([entry(1, 10), entry(2, 20)]);
  noted(own(20, 'second'));
  noted(own(20, 'third'));
  logged(entry(3, 30));
  expect(texts()).toEqual(['first', 'entry 1', 'entry 2', 'second', 'third', 'entry 3']);
  // Another manager counts from 1 again.
  logListed([entry(1, 25), entry(2, 40)]);
  expect(texts()).toEqual(['first', 'second', 'third', 'entry 1', 'entry 2']);
  const numbers = store.getState().log.map(({ number }) => number);
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
});
