import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { LocalEngine } from '../../src/engine/local-engine.ts';
import { RunningRecord, readLastRun } from '../../src/manager/running-record.ts';
import { parseMachineConfig } from '../../src/vmm/machine/config.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { idle } from '../support/guest-scripts.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
const CONFIG = parseMachineConfig({
  name: 'adhoc',
  boot: { kind: 'kernel', path: '/k', append: 'a="b"\u0007' },
});

/** An engine of scripted VMs; `adhoc` has no definition. */
function setUp() {
  const folder = temporaryFolder();
  const engine = new FakeEngine(systemClock);
  for (const name of ['adhoc', 'db', 'web']) engine.add(name, idle, { state: 'off' });
  const local = Object.assign(engine, {
    configWithoutDefinition: (id: string) => (id === 'adhoc' ? CONFIG : null),
  }) as unknown as LocalEngine;
  const failures: string[] = [];
  const record = new RunningRecord(folder, local, error => failures.push(error.message));
  return { folder, file: join(folder, 'running.json'), engine, record, failures };
}

/** VMs that have just started are written a moment later. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  return () => vi.useRealTimers();
});

const namesIn = (folder: string) => readLastRun(folder).interrupted.map(vm => vm.name);

test('the file lists the running VMs, and is empty after an orderly stop', () => {
  const { folder, file, engine, record } = setUp();
  expect(existsSync(file)).toBe(false);
  engine.become('web', 'starting');
  engine.become('adhoc', 'running');
  vi.runAllTimers();
  expect(namesIn(folder)).toEqual(['adhoc', 'web']);
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
  engine.become('web', 'paused');
  engine.become('adhoc', 'crashed');
  expect(namesIn(folder)).toEqual(['web']);
  engine.become('web', 'off');
  record.close();
  expect(existsSync(file)).toBe(false);
});

test('the next manager learns which VMs ended, why, and their configurations', () => {
  const { folder, engine } = setUp();
  engine.become('web', 'running');
  engine.become('adhoc', 'running');
  vi.runAllTimers();
  const reason = `it ended unexpectedly: its process and its manager (process ${process.pid}) died`;
  expect(readLastRun(folder, BOOT)).toEqual({
    interrupted: [
      { name: 'adhoc', reason, config: CONFIG },
      { name: 'web', reason, config: null },
    ],
    resume: [],
    problem: null,
  });
  expect(readLastRun(folder, 'another boot').interrupted[0]?.reason).toBe(
    'it ended unexpectedly: the host went down without shutting it down',
  );
});

test('an interrupted VM stays in the file, with its first reason, until it is started', () => {
  const { folder, engine, record } = setUp();
  engine.become('web', 'crashed', { interrupted: true, reason: 'it ended unexpectedly: the power failed' });
  record.close();
  expect(readLastRun(folder, 'a later boot').interrupted).toEqual([
    { name: 'web', reason: 'it ended unexpectedly: the power failed', config: null },
  ]);
});

test('a restart leaves the VMs to resume, for a limited time', () => {
  const { folder, file, engine, record } = setUp();
  engine.become('web', 'running');
  engine.become('adhoc', 'running');
  record.resumeLater();
  engine.become('web', 'off');
  engine.become('adhoc', 'off');
  record.close();
  expect(readLastRun(folder)).toMatchObject({
    interrupted: [],
    resume: [
      { name: 'adhoc', config: CONFIG },
      { name: 'web', config: null },
    ],
  });
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/"at": \d+/, `"at": ${Date.now() - 3_600_000}`));
  expect(readLastRun(folder).resume).toEqual([]);
});

test.each([
  ['cut', '{"version": 1, "pid": 1, "vms": [{"na'],
  ['empty', ''],
  ['of another version', '{"version": 2}'],
  ['with names that are paths', '{"version":1,"pid":1,"bootId":"","vms":[{"name":"../../etc/passwd"}]}'],
])('a file that is %s is named and ignored', (_, text) => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'running.json'), text);
  expect(readLastRun(folder)).toMatchObject({ interrupted: [], resume: [] });
  expect(readLastRun(folder).problem).toContain(`${folder}/running.json is damaged`);
});

test('a configuration that this version rejects is omitted', () => {
  const folder = temporaryFolder();
  const vms = [{ name: 'web', config: { name: 'web', turbo: true } }];
  writeFileSync(join(folder, 'running.json'), JSON.stringify({ version: 1, pid: 1, bootId: BOOT, vms }));
  expect(readLastRun(folder).interrupted).toMatchObject([{ name: 'web', config: null }]);
});

test('a file that cannot be written is reported, and written once that is possible', () => {
  const { folder, file, engine, failures } = setUp();
  // A folder in the way, which a rename does not replace.
  mkdirSync(file);
  engine.become('web', 'running');
  vi.runAllTimers();
  expect(failures).toEqual([expect.stringContaining('is not a regular file')]);
  expect(readdirSync(folder)).toEqual(['running.json']);
  rmdirSync(file);
  engine.become('db', 'running');
  vi.runAllTimers();
  expect(namesIn(folder)).toEqual(['db', 'web']);
});
