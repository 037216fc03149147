import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { planBind } from '../../../src/host/plan/bind.ts';
import { Journal, journalDirectory, latestEntry } from '../../../src/host/plan/journal.ts';
import type { JournalEntry } from '../../../src/host/plan/journal-schema.ts';
import type { Plan } from '../../../src/host/plan/plan.ts';
import { interruptedPlan, runPlan, undoEntry } from '../../../src/host/plan/run.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { planVfCount } from '../../../src/host/plan/vf-count.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { desktopTree } from '../trees/desktop.ts';
import { serverTree } from '../trees/server.ts';
import { SimulatedHost } from './simulated-host.ts';
import { treeImage } from './tree-image.ts';

const spareNvme = '0000:b0:00.0';
const pf = '0000:3b:00.3';

describe('stored plans', () => {
  let host: SimulatedHost;
  let journal: Journal;
  beforeEach(() => {
    host = new SimulatedHost(serverTree());
    journal = new Journal(`${host.tree.directory}-journal`);
  });
  afterEach(() => {
    fs.rmSync(journal.directory, { recursive: true, force: true });
    host.dispose();
  });

  const bind = async (): Promise<Plan> =>
    planBind(await readSurvey(host.root), {
      addresses: [spareNvme],
      driver: 'vfio-pci',
      wholeGroup: false,
      persist: true,
    });

  test('are undone newest first, until the host is in its initial state', async () => {
    const before = treeImage(host.root);
    // The directory for udev's rules is the host's own from now on.
    host.tree.file('/etc/udev/rules.d/70-other.rules', '');
    const withRules = treeImage(host.root);
    expect(withRules).not.toEqual(before);
    await runPlan(host, journal, await bind());
    const between = treeImage(host.root);
    await runPlan(host, journal, planVfCount(await readSurvey(host.root), { address: pf, count: 2 }));

    const undo = async () => undoEntry(host, journal, latestEntry(journal.read())!);
    expect(await undo()).toMatchObject({ state: 'undone' });
    expect(treeImage(host.root)).toEqual(between);
    expect(await undo()).toMatchObject({ state: 'undone' });
    expect(treeImage(host.root)).toEqual(withRules);
    expect(latestEntry(journal.read())).toBeNull();
    expect(journal.read().entries.map(entry => entry.state)).toEqual(['undone', 'undone']);
  });

  test('are not undone while a VM has a device of theirs open', async () => {
    await runPlan(host, journal, await bind());
    host.tree.file('/proc/5000/comm', 'vring: web\n').file('/proc/5000/cmdline', 'vring: web\0');
    host.tree.link('/proc/5000/fd/9', '/dev/vfio/63');
    const undo = async () => undoEntry(host, journal, latestEntry(journal.read())!);
    expect(await undo()).toMatchObject({
      state: 'refused',
      problem: `VM web (pid 5000) has ${spareNvme} open: stop this VM first, then undo again`,
    });
    expect(host.pci.driverOf(spareNvme)).toBe('vfio-pci');
    host.tree.removePath('/proc/5000');
    expect(await undo()).toMatchObject({ state: 'undone' });
  });

  test('are not undone on a host that has changed since', async () => {
    await runPlan(host, journal, await bind());
    host.pci.unbind(spareNvme);
    const image = treeImage(host.root);
    const outcome = await undoEntry(host, journal, latestEntry(journal.read())!);
    expect(outcome.state).toBe('refused');
    expect(outcome.problem).toMatch(/0000:b0:00\.0 is bound to vfio-pci \(no driver is bound\)/);
    expect(treeImage(host.root)).toEqual(image);
  });

  test('that failed and were rolled back are not stored', async () => {
    host.failAt(1, 'refused');
    expect((await runPlan(host, journal, await bind())).state).toBe('failed');
    expect(journal.read().entries).toEqual([]);
  });

  test('can be undone after the process ended during one', async () => {
    const before = treeImage(host.root);
    const plan = await bind();
    await new Promise<void>(ended => {
      void runPlan(host, journal, plan, steps => {
        if (steps[2] !== 'running') return;
        ended();
        // It never gets beyond this.
        return new Promise<void>(() => {});
      });
    });
    const entry = latestEntry(journal.read())!;
    expect(entry.state).toBe('applying');
    expect(interruptedPlan(journal.read())).toMatch(
      /^"Bind 0000:b0:00.0 .*" of .* was interrupted at step 3 of /,
    );
    expect(await undoEntry(host, journal, entry)).toMatchObject({ state: 'undone' });
    expect(treeImage(host.root)).toEqual(before);
    expect(interruptedPlan(journal.read())).toBeNull();
  });

  test('report what could not be undone, and can be retried', async () => {
    await runPlan(host, journal, await bind());
    host.log.length = 0;
    host.failAt(2, 'refused');
    const outcome = await undoEntry(host, journal, latestEntry(journal.read())!);
    expect(outcome.state).toBe('failed');
    const failed = outcome.changes.filter(change => change.state === 'failed');
    // The device stays with vfio-pci, so that its own driver cannot have it.
    expect(failed.map(change => change.text.split('/').at(-1))).toEqual(['unbind', 'bind']);
    const again = latestEntry(journal.read())!;
    expect(again).toMatchObject({ state: 'failed', failures: failed });
    expect(await undoEntry(host, journal, again)).toMatchObject({ state: 'undone' });
    expect([host.pci.driverOf(spareNvme), host.pci.override(spareNvme)]).toEqual(['nvme', '']);
  });

  test('are limited to the last fifty', async () => {
    const plan = await bind();
    for (let count = 0; count < 52; count++) journal.begin(plan, '');
    const { entries, damaged } = journal.read();
    expect([entries.length, entries[0]!.id, entries.at(-1)!.id]).toEqual([50, '000003', '000052']);
    expect(damaged).toEqual([]);
  });

  describe('a damaged entry', () => {
    const file = () => `${journal.directory}/000002.json`;
    let before: JournalEntry;
    beforeEach(async () => {
      await runPlan(host, journal, await bind());
      before = latestEntry(journal.read())!;
      await runPlan(host, journal, planVfCount(await readSurvey(host.root), { address: pf, count: 2 }));
    });

    /** The entry with one value replaced; undefined takes it away. */
    const edit = (place: string, value: unknown): string => {
      const entry = JSON.parse(fs.readFileSync(file(), 'utf8'));
      const keys = place.split('.');
      const parent = keys.slice(0, -1).reduce((at, key) => at[key], entry);
      parent[keys.at(-1)!] = value;
      return JSON.stringify(entry);
    };

    test.each<[string, () => string, string]>([
      ['an empty file', () => '', 'it is empty'],
      [
        'a truncated file',
        () => fs.readFileSync(file(), 'utf8').slice(0, 900),
        'it is not valid JSON, or truncated',
      ],
      ['another version', () => edit('version', 7), 'it has version 7, expected 1'],
      ['not an object', () => 'null', 'it has version unknown, expected 1'],
      ['fewer states than steps', () => edit('steps', []), 'steps: expected a state for each step'],
      [
        'more states than steps',
        () => edit('steps', ['done', 'done', 'done']),
        'steps: expected a state for each step',
      ],
      ['no steps', () => edit('plan.steps', []), 'plan.steps: '],
      ['a step without its undo', () => edit('plan.steps.0.undo', undefined), 'plan.steps.0.undo: '],
      [
        'an unknown action',
        () => edit('plan.steps.0.undo.changes.0.action.kind', 'exec'),
        'plan.steps.0.undo.changes.0.action',
      ],
      [
        'a write outside of /sys',
        () => edit('plan.steps.0.action.path', '/etc/passwd'),
        'expected a path in /sys',
      ],
      [
        'a path with ..',
        () => edit('plan.steps.0.action.path', '/sys/../etc/passwd'),
        'expected a path without ..',
      ],
      ['a relative path', () => edit('plan.assumes.0.device', 'sys'), 'expected an absolute path'],
      [
        'a pending step in an applied plan',
        () => edit('steps.0', 'running'),
        'expected every step to be done',
      ],
      ['another id', () => edit('id', '000009'), 'it claims to be entry 000009'],
    ])('%s: it is named and skipped', (_, damage, reason) => {
      fs.writeFileSync(file(), damage());
      const content = journal.read();
      expect(content.damaged).toEqual([expect.stringContaining(`${file()} is skipped: `)]);
      expect(content.damaged[0]).toContain(reason);
      expect(latestEntry(content)).toEqual(before);
    });

    test('a directory or a link in its place is skipped, too', () => {
      fs.rmSync(file());
      fs.symlinkSync('000001.json', file());
      expect(journal.read().damaged[0]).toContain('it is not a regular file');
    });

    test('a journal that other users can write is refused', () => {
      fs.chmodSync(journal.directory, 0o777);
      expect(() => journal.read()).toThrow(/other users can write to .*: move it away/);
      fs.chmodSync(journal.directory, 0o700);
      expect(journal.read().entries).toHaveLength(2);
    });
  });

  test.each<[string, (path: string) => void, string]>([
    ['a file', path => fs.writeFileSync(path, ''), 'is not a directory: move it away'],
    ['a link loop', path => fs.symlinkSync('plans', path), 'its symbolic links form a loop (ELOOP)'],
  ])('in a folder that is %s cause an error that names it', (_, make, reason) => {
    const place = path.join(temporaryFolder(), 'plans');
    make(place);
    expect(() => new Journal(place).read()).toThrow(place);
    expect(() => new Journal(place).read()).toThrow(reason);
  });

  describe('without space for the journal', () => {
    const root = process.getuid!() === 0;
    const small = `${os.tmpdir()}/vring-small-${process.pid}`;
    beforeEach(() => {
      fs.mkdirSync(small, { recursive: true });
      if (root) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', small]);
    });
    afterEach(() => {
      if (root) execFileSync('umount', [small]);
      fs.rmdirSync(small);
    });

    /** Leaves so many bytes. */
    const fill = (left: number): void => {
      const filler = fs.openSync(`${small}/filler`, 'w');
      const page = Buffer.alloc(4096);
      try {
        for (;;) fs.writeSync(filler, page);
      } catch {
        fs.ftruncateSync(filler, Math.max(0, fs.fstatSync(filler).size - left));
      } finally {
        fs.closeSync(filler);
      }
    };

    test.skipIf(!root)('nothing is changed (needs root, for a file system of its own)', async () => {
      const before = treeImage(host.root);
      const plan = await bind();
      const full = new Journal(small);
      fill(0);
      await expect(runPlan(host, full, plan)).rejects.toThrow(
        /^nothing was changed: cannot store the plan for undo in .*: the disk is full \(ENOSPC\)$/,
      );
      expect(treeImage(host.root)).toEqual(before);
      expect(fs.readdirSync(small)).toEqual(['filler']);
      fs.rmSync(`${small}/filler`);
      expect((await runPlan(host, full, plan)).state).toBe('applied');
    });

    test.skipIf(!root)('a plan that runs out of space is undone (needs root)', async () => {
      const before = treeImage(host.root);
      const plan = await bind();
      const full = new Journal(small);
      const outcome = await runPlan(host, full, plan, steps => {
        if (steps[1] === 'done') fill(0);
      });
      expect(outcome).toMatchObject({
        state: 'failed',
        problem: expect.stringMatching(/^step \d of \d failed: cannot write the journal .*\(ENOSPC\)/),
      });
      expect(treeImage(host.root)).toEqual(before);
    });
  });
});

test('a module that another device uses in the meantime stays loaded', async () => {
  const host = new SimulatedHost(desktopTree());
  const journal = new Journal(`${host.tree.directory}-journal`);
  const request = { addresses: ['0000:01:00.0'], driver: 'vfio-pci', wholeGroup: true };
  await runPlan(host, journal, planBind(await readSurvey(host.root), request));
  const other = '0000:00:1f.6';
  host.pci.unbind(other);
  host.pci.setOverride(other, 'vfio-pci');
  host.pci.bind('vfio-pci', other);
  const { state, changes } = await undoEntry(host, journal, latestEntry(journal.read())!);
  expect([state, host.pci.driverOf('0000:01:00.0'), host.pci.driverOf(other)]).toEqual([
    'undone',
    'nouveau',
    'vfio-pci',
  ]);
  expect(changes.filter(change => change.state === 'kept').map(change => change.text)).toEqual([
    'run modprobe -r vfio_pci',
    'run modprobe -r vfio_iommu_type1',
  ]);
  fs.rmSync(journal.directory, { recursive: true });
  host.dispose();
});

test('plans are stored where their user may write', () => {
  expect(journalDirectory({}, 0)).toBe('/var/lib/vring/plans');
  expect(journalDirectory({ XDG_STATE_HOME: '/state' }, 1000)).toBe('/state/vring/plans');
  expect(journalDirectory({ VRING_STATE_DIR: '/x' }, 0)).toBe('/x/plans');
  expect(journalDirectory({ HOME: '/home/a' }, 1000)).toBe('/home/a/.local/state/vring/plans');
});
