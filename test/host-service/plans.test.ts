import { afterEach, beforeEach, expect, test } from 'vitest';
import { Journal } from '../../src/host/plan/journal.ts';
import { HostPlans } from '../../src/host-service/plans.ts';
import { SimulatedHost } from '../host/plan/simulated-host.ts';
import { serverTree } from '../host/trees/server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const spareNvme = '0000:b0:00.0';
const request = { kind: 'bind', addresses: [spareNvme], driver: 'vfio-pci', wholeGroup: false } as const;

let host: SimulatedHost;
let folder: string;
let plans: HostPlans;
let locked: number;
beforeEach(() => {
  host = new SimulatedHost(serverTree());
  folder = temporaryFolder();
  locked = 0;
  const lock = async <T>(change: () => Promise<T>): Promise<T> => {
    locked++;
    return await change();
  };
  plans = new HostPlans(host.root, { writer: host, journal: new Journal(folder), lock });
});
afterEach(() => {
  host.dispose();
});

test('a plan that still applies is applied under the lock', async () => {
  const plan = await plans.make(request);
  expect(await plans.apply({ request, plan }, () => {})).toMatchObject({ state: 'applied' });
  expect([host.pci.driverOf(spareNvme), locked]).toEqual(['vfio-pci', 1]);
});

test('a plan is refused if other steps are needed now', async () => {
  const plan = await plans.make(request);
  host.pci.unbind(spareNvme);
  expect(await plans.apply({ request, plan }, () => {})).toMatchObject({
    state: 'refused',
    problem: expect.stringMatching(/^the host has changed since the plan was made/),
  });
  expect(host.log).toEqual([]);
});

test('a plan is refused if something blocks it now, and the error names it', async () => {
  const plan = await plans.make(request);
  host.tree.file('/proc/31/comm', 'dd\n').link('/proc/31/fd/0', '/dev/nvme1n1');
  expect(await plans.apply({ request, plan }, () => {})).toMatchObject({
    state: 'refused',
    problem: expect.stringContaining('open in dd (pid 31)'),
  });
  expect(host.log).toEqual([]);
  // Seen and agreed to, it is no reason to refuse any more.
  const seen = await plans.make(request);
  expect(await plans.apply({ request, plan: seen }, () => {})).toMatchObject({ state: 'applied' });
});

test('networks are listed, and planned like any other change', async () => {
  host.tree.file(
    '/etc/vring/networks/lab.yaml',
    'bridge: vr-lab\nsubnet: 10.9.0.0/24\ndhcp: false\ndns: false\nform: isolated\n',
  );
  expect((await plans.networks()).networks).toMatchObject([{ name: 'lab', state: 'down', ports: [] }]);
  const plan = await plans.make({ kind: 'network-start', name: 'lab' });
  expect(plan).toMatchObject({ kind: 'network', title: 'Bring the network lab up' });
  expect(plan.steps[0]!.action).toMatchObject({
    kind: 'run',
    argv: expect.arrayContaining(['ip', 'vr-lab']),
  });
  expect(await plans.make({ kind: 'network-create', name: 'web' })).toMatchObject({
    title: 'Create the network web',
  });
  await expect(plans.make({ kind: 'network-stop', name: 'other' })).rejects.toThrow(
    'there is no network other',
  );
});
