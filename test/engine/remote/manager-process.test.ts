import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeSilence, isRunning, isStopped } from '../../../src/engine/remote/manager-process.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** A /proc with process 7 in that state. */
function proc(state: string, name = 'vring serve'): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, '7'));
  writeFileSync(join(folder, '7/stat'), `7 (${name}) ${state} 1 7 7 0 -1 4194560`);
  writeFileSync(join(folder, 'loadavg'), '14.25 8.00 3.00 5/321 12345\n');
  writeFileSync(join(folder, 'stat'), 'cpu  1 2 3 4\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 1\n');
  return folder;
}

test.each([
  [
    'R',
    'it is busy, or the host is: its load average is 14.25 on 2 CPUs. The VMs keep running; vring manager restart --force',
  ],
  ['S', 'it is busy'],
  ['D', 'it waits for a disk or a device; see dmesg. The VMs keep running'],
  ['T', 'was stopped by a signal: kill -CONT 7 resumes it. The VMs keep running'],
  ['t', 'a debugger holds it'],
])('in state %s: %s', (state, text) => {
  const said = describeSilence(7, 12_345, proc(state));
  expect(said).toContain('the manager (process 7)');
  expect(said).toContain(text);
  if (state !== 'T') expect(said).toContain('has not answered for 12 s');
});

test('a stopped manager does not respond', () => {
  expect(isStopped(7, proc('T'))).toBe(true);
  expect(isStopped(7, proc('R'))).toBe(false);
  expect(isStopped(8, proc('T'))).toBe(false);
});

test('a name with parentheses does not hide the state', () => {
  expect(describeSilence(7, 1000, proc('T', 'a) R (b'))).toContain('kill -CONT 7');
});

test.each([
  ['R', true],
  ['T', true],
  ['Z', false],
  ['X', false],
])('a process in state %s runs: %s', (state, runs) => {
  expect(isRunning(7, proc(state))).toBe(runs);
  expect(isRunning(8, proc(state))).toBe(false);
});
