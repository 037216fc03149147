import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { planBind } from '../../../src/host/plan/bind.ts';
import { Journal, journalDirectory } from '../../../src/host/plan/journal.ts';
import type { Plan } from '../../../src/host/plan/plan.ts';
import { runPlan, undoEntry } from '../../../src/host/plan/run.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { planVfCount } from '../../../src/host/plan/vf-count.ts';
import { desktopTree } from '../trees/desktop.ts';
import { serverTree } from '../trees/server.ts';
import { SimulatedHost } from './simulated-host.ts';
import { treeImage } from './tree-image.ts';

const spareNvme = '0000:b0:00.0';
const pf = '0000:3b:00.3';

describe('plans that are kept', () => {
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

  test('are undone newest first, until the host is as it was', async () => {
    const before = treeImage(host.root);
    // The directory for udev's rules is the host's own from now on.
    host.tree.file('/etc/udev/rules.d/70-other.rules', '');
    const withRules = treeImage(host.root);
    expect(withRules).not.toEqual(before);
    await runPlan(host, journal, await bind());
    const between = treeImage(host.root);
    await runPlan(host, journal, planVfCount(await readSurvey(host.root), { address: pf, count: 2 }));

    const undo = async () => undoEntry(host, journal, (await journal.latest())!);
    expect(await undo()).toMatchObject({ state: 'undone' });
    expect(treeImage(host.root)).toEqual(between);
    expect(await undo()).toMatchObject({ state: 'undone' });
    expect(treeImage(host.root)).toEqual(withRules);
    expect(await journal.latest()).toBeNull();
    expect((await journal.entries()).map(entry => entry.state)).toEqual(['undone', 'undone']);
  });

  test('are not undone on a host that is no longer as they left it', async () => {
    await runPlan(host, journal, await bind());
    host.pci.unbind(spareNvme);
    const image = treeImage(host.root);
    const outcome = await undoEntry(host, journal, (await journal.latest())!);
    expect(outcome.state).toBe('refused');
    expect(outcome.problem).toMatch(
      /0000:b0:00\.0 is bound to vfio-pci is not true any more \(no driver took it\)/,
    );
    expect(treeImage(host.root)).toEqual(image);
  });

  test('that failed and were rolled back are not kept', async () => {
    host.failAt(1, 'refused');
    expect((await runPlan(host, journal, await bind())).state).toBe('failed');
    expect(await journal.entries()).toEqual([]);
  });

  test('can be undone after the process ended in the middle of one', async () => {
    const before = treeImage(host.root);
    const plan = await bind();
    const ended = runPlan(host, journal, plan, steps => {
      if (steps[2] === 'running') throw new Error('killed');
    });
    await expect(ended).rejects.toThrow('killed');
    const entry = (await journal.latest())!;
    expect(entry.state).toBe('applying');
    expect(await undoEntry(host, journal, entry)).toMatchObject({ state: 'undone' });
    expect(treeImage(host.root)).toEqual(before);
  });

  test('say what could not be undone, and are tried again', async () => {
    await runPlan(host, journal, await bind());
    host.log.length = 0;
    host.failAt(2, 'refused');
    const outcome = await undoEntry(host, journal, (await journal.latest())!);
    expect(outcome.state).toBe('failed');
    const failed = outcome.changes.filter(change => change.state === 'failed');
    // The device stays with vfio-pci, so that its own driver cannot have it.
    expect(failed.map(change => change.text.split('/').at(-1))).toEqual(['unbind', 'bind']);
    const again = (await journal.latest())!;
    expect(again).toMatchObject({ state: 'failed', failures: failed });
    expect(await undoEntry(host, journal, again)).toMatchObject({ state: 'undone' });
    expect([host.pci.driverOf(spareNvme), host.pci.override(spareNvme)]).toEqual(['nvme', '']);
  });

  test('are the last fifty; a damaged file is passed over', async () => {
    const plan = await bind();
    for (let count = 0; count < 52; count++) await journal.begin(plan, '');
    fs.writeFileSync(`${journal.directory}/000052.json`, '{');
    const entries = await journal.entries();
    expect([entries.length, entries[0]!.id, entries.at(-1)!.id]).toEqual([49, '000003', '000051']);
  });
});

test('a module that another device needs by now stays loaded', async () => {
  const host = new SimulatedHost(desktopTree());
  const journal = new Journal(`${host.tree.directory}-journal`);
  const request = { addresses: ['0000:01:00.0'], driver: 'vfio-pci', wholeGroup: true };
  await runPlan(host, journal, planBind(await readSurvey(host.root), request));
  const other = '0000:00:1f.6';
  host.pci.unbind(other);
  host.pci.setOverride(other, 'vfio-pci');
  host.pci.bind('vfio-pci', other);
  const { state, changes } = await undoEntry(host, journal, (await journal.latest())!);
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

test('plans are kept where their user may write', () => {
  expect(journalDirectory({}, true)).toBe('/var/lib/vring/plans');
  expect(journalDirectory({ XDG_STATE_HOME: '/state' }, false)).toBe('/state/vring/plans');
  expect(journalDirectory({ HOME: '/home/a' }, false)).toBe('/home/a/.local/state/vring/plans');
});
