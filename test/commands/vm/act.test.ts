import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { actOnEach } from '../../../src/commands/vm/act.ts';
import { kill, pause, save, start, stop, upgrade } from '../../../src/commands/vm/actions.ts';
import { version } from '../../../src/project-root.ts';
import { FakeEngine } from '../../support/fake-engine.ts';

const IDLE = { vcpus: [{ exits: {}, guest: 0, kvm: 0 }] };

let engine: FakeEngine;
let stdout: string[];
let stderr: string[];

beforeEach(() => {
  engine = new FakeEngine(systemClock);
  engine.add('web', IDLE);
  engine.add('db', IDLE);
  engine.add('old', IDLE, { state: 'off' });
  stdout = [];
  stderr = [];
  const into = (list: string[]) => (text: string | Uint8Array) => list.push(...lines(String(text))) > 0;
  vi.spyOn(process.stdout, 'write').mockImplementation(into(stdout));
  vi.spyOn(process.stderr, 'write').mockImplementation(into(stderr));
});
afterEach(() => vi.restoreAllMocks());

const lines = (text: string) => text.split('\n').slice(0, -1);

const SECOND = { timeout: 1000 };
const SHORT = { timeout: 50 };

test('tries all names and reports each result', async () => {
  expect(await actOnEach(engine, ['web', 'wbe', 'db', 'web'], {}, kill(SECOND))).toBe(1);
  expect(stdout).toEqual(['web: killed', 'db: killed']);
  expect(stderr).toEqual(['vring: there is no VM wbe; did you mean web?']);
  expect(engine.calls).toEqual(['kill web', 'kill db']);
});

test('JSON results keep the order of the names and include the final state', async () => {
  expect(await actOnEach(engine, ['nobody', 'db'], { json: true }, kill(SECOND))).toBe(1);
  expect(JSON.parse(stdout.join(''))).toEqual({
    version: 1,
    vms: [
      {
        name: 'nobody',
        ok: false,
        result: null,
        error: 'there is no VM nobody; vring vm list lists them',
        state: null,
      },
      { name: 'db', ok: true, result: 'killed', error: null, state: 'off' },
    ],
  });
});

test('--all selects the VMs that the action applies to', async () => {
  expect(await actOnEach(engine, [], { all: true }, pause(SECOND))).toBe(0);
  expect(engine.calls).toEqual(['pause web', 'pause db']);
  expect(await actOnEach(engine, [], { all: true }, start(SECOND))).toBe(0);
  expect(engine.calls.slice(2)).toEqual(['restart old']);
});

test('upgrade --all reports that all VMs run this version, if any runs', async () => {
  const all = () => actOnEach(engine, [], { all: true }, upgrade(SECOND));
  expect(await all()).toBe(0);
  expect([stdout, stderr]).toEqual([[`all running VMs have vring ${version()}`], []]);
  engine.become('db', 'stuck', { version: '0.0.1' });
  expect(await all()).toBe(0);
  for (const name of ['web', 'db']) engine.become(name, 'off');
  expect(await all()).toBe(0);
  expect(stderr).toEqual(['vring: no matching VM', 'vring: no matching VM']);
});

test('names and --all are mutually exclusive', async () => {
  await expect(actOnEach(engine, [], {}, kill(SECOND))).rejects.toThrow('expected a VM name or --all');
  await expect(actOnEach(engine, ['web'], { all: true }, kill(SECOND))).rejects.toThrow(
    'cannot be combined with names',
  );
});

test('a VM already in the requested state is not a failure', async () => {
  expect(await actOnEach(engine, ['web'], {}, start(SECOND))).toBe(0);
  expect(await actOnEach(engine, ['old'], {}, stop(SECOND))).toBe(0);
  expect(stdout).toEqual(['web: is already running', 'old: is already off']);
  expect(engine.calls).toEqual([]);
});

test('an engine error affects only its VM', async () => {
  engine.failure = new Error('its disk is gone');
  expect(await actOnEach(engine, ['web', 'db'], {}, pause(SECOND))).toBe(1);
  expect(stderr).toEqual(['vring: web: its disk is gone']);
  expect(stdout).toEqual(['db: paused']);
});

test('stop waits until the guest is off', async () => {
  const stopped = actOnEach(engine, ['web'], {}, stop(SECOND));
  await vi.waitFor(() => expect(engine.calls).toEqual(['powerButton web']));
  engine.become('web', 'off', { exitCode: 3 });
  expect(await stopped).toBe(0);
  expect(stdout).toEqual(["web: is off, with the guest's exit code 3"]);
});

test('stop leaves an unresponsive guest running, or kills it with --force', async () => {
  expect(await actOnEach(engine, ['web'], {}, stop(SHORT))).toBe(1);
  expect(stderr).toEqual([
    expect.stringMatching(/^vring: web: its guest did not answer .* within 0.05 s; use --force/),
  ]);
  expect(await actOnEach(engine, ['web'], {}, stop({ ...SHORT, force: true }))).toBe(0);
  expect(stdout).toEqual(['web: killed: its guest did not answer the power button within 0.05 s']);
});

test('stop reports at once that the guest has not enabled its power button, and still waits', async () => {
  engine.noticesButton = false;
  const stopped = actOnEach(engine, ['web'], {}, stop(SECOND));
  await vi.waitFor(() =>
    expect(stderr).toEqual([
      expect.stringMatching(/^vring: web: its guest has not enabled the power button: .*; waiting 1 s$/),
    ]),
  );
  engine.become('web', 'off');
  expect(await stopped).toBe(0);
  expect(await actOnEach(engine, ['db'], {}, stop({ ...SECOND, wait: false }))).toBe(1);
  expect(stderr.at(-1)).toMatch(/^vring: db: its guest has not enabled the power button: [^;]*$/);
  expect(await actOnEach(engine, ['db'], {}, stop(SHORT))).toBe(1);
  expect(stderr.at(-1)).toMatch(/^vring: db: it is still on after 0.05 s, and its guest has not .*--force/);
});

test('a paused guest cannot respond to its power button', async () => {
  engine.become('web', 'paused');
  expect(await actOnEach(engine, ['web'], {}, stop(SHORT))).toBe(1);
  expect(stderr).toEqual([expect.stringContaining('it is paused')]);
  expect(engine.calls).toEqual([]);
});

test('--wait reports how a VM ended', async () => {
  const waited = actOnEach(engine, ['old'], {}, start({ ...SECOND, wait: true }));
  await vi.waitFor(() => expect(engine.vms().find(vm => vm.name === 'old')?.state).toBe('running'));
  engine.become('old', 'crashed', { reason: 'triple fault' });
  expect(await waited).toBe(1);
  expect(stderr).toEqual(['vring: old: it crashed: triple fault']);
});

test('a request to an unresponsive engine times out', async () => {
  engine.pause = () => new Promise(() => {});
  expect(await actOnEach(engine, ['web'], {}, pause(SHORT))).toBe(1);
  expect(stderr).toEqual([expect.stringContaining('no answer within 0.05 s')]);
});

test('a save that takes too long is canceled; one that is refused cancels nothing', async () => {
  engine.save = () => new Promise(() => {});
  expect(await actOnEach(engine, ['web'], {}, save(SHORT))).toBe(1);
  expect(stderr).toEqual(['vring: web: it was not saved within 0.05 s, and keeps running']);
  expect(engine.calls).toEqual(['cancel task of web']);
  engine.save = () => Promise.reject(new Error('web is busy'));
  expect(await actOnEach(engine, ['web'], {}, save(SECOND))).toBe(1);
  expect(stderr.slice(1)).toEqual(['vring: web is busy']);
  expect(engine.calls).toEqual(['cancel task of web']);
});
