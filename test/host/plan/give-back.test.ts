import { describe, expect, onTestFinished, test } from 'vitest';
import { applyPlan, undoAll } from '../../../src/host/plan/apply.ts';
import { planBind } from '../../../src/host/plan/bind.ts';
import { giveBackChanges, whereabouts } from '../../../src/host/plan/give-back.ts';
import type { Step, VfSettings } from '../../../src/host/plan/plan.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { planVfAttributes } from '../../../src/host/plan/vf-attributes.ts';
import type { TakenDevice } from '../../../src/host/vfio/taken.ts';
import { serverTree } from '../trees/server.ts';
import { SimulatedHost } from './simulated-host.ts';
import { treeImage } from './tree-image.ts';

/** VF 2 of 0000:3b:00.2, which iavf has. */
const vf = '0000:3b:0a.2';
const pf = '0000:3b:00.2';
const settings = { mac: '02:00:00:00:00:99', vlan: 7, trust: true, spoofCheck: false } satisfies VfSettings;

const taken: TakenDevice = {
  version: 1,
  address: vf,
  id: '8086:154c',
  group: 86,
  bootId: '',
  vm: 'web',
  device: 'hostdev0',
  api: 'group',
  keep: false,
  driver: 'vfio-pci',
  before: { driver: 'iavf', override: '' },
  vf: {
    physicalFunction: pf,
    index: 2,
    before: { mac: '02:00:00:00:00:02', vlan: 0, trust: false, spoofCheck: true },
    set: settings,
  },
};

function newHost(): SimulatedHost {
  const host = new SimulatedHost(serverTree());
  onTestFinished(() => host.dispose());
  return host;
}

async function takingSteps(host: SimulatedHost): Promise<Step[]> {
  const survey = await readSurvey(host.root);
  const attributes = planVfAttributes(survey, { address: pf, index: 2, settings });
  const bind = planBind(survey, { addresses: [vf], driver: 'vfio-pci', wholeGroup: true });
  return [...attributes.steps, ...bind.steps];
}

/** Makes the first steps of taking the device, as a process that then dies. */
async function takeUpTo(host: SimulatedHost, count: number): Promise<void> {
  const plan = planBind(await readSurvey(host.root), {
    addresses: [vf],
    driver: 'vfio-pci',
    wholeGroup: true,
  });
  const steps = (await takingSteps(host)).slice(0, count);
  expect(await applyPlan(host, { ...plan, steps, assumes: [] })).toMatchObject({ state: 'applied' });
}

async function giveBack(host: SimulatedHost, record = taken) {
  const physicalFunction = (await readSurvey(host.root)).physicalFunctions.get(pf);
  return await undoAll(host, giveBackChanges(host.root, record, physicalFunction));
}

describe('giving a device back', () => {
  test('restores driver, override and VF settings, wherever vring was when it died', async () => {
    const total = (await takingSteps(newHost())).length;
    expect(total).toBe(7);
    for (let count = 0; count <= total; count++) {
      const host = newHost();
      const before = treeImage(host.root);
      await takeUpTo(host, count);
      if (count > 0) expect(treeImage(host.root), `after ${count} steps`).not.toEqual(before);
      const undone = await giveBack(host);
      expect(undone.filter(({ state }) => state === 'failed')).toEqual([]);
      expect(treeImage(host.root), `after ${count} steps`).toEqual(before);
    }
  });

  test('continues where an earlier attempt has ended, at any of its changes', async () => {
    const whole = newHost();
    const before = treeImage(whole.root);
    await takeUpTo(whole, 7);
    whole.log.length = 0;
    await giveBack(whole);
    const operations = whole.log.length;
    expect(operations).toBeGreaterThan(6);
    for (let at = 0; at < operations; at++) {
      const host = newHost();
      await takeUpTo(host, 7);
      const physicalFunction = (await readSurvey(host.root)).physicalFunctions.get(pf);
      await undoAll(host, giveBackChanges(host.root, taken, physicalFunction).slice(0, at));
      const undone = await giveBack(host);
      expect(undone.filter(({ state }) => state === 'failed')).toEqual([]);
      expect(treeImage(host.root), `after ${at} changes`).toEqual(before);
    }
  });

  test('sets the settings before the driver binds, which reads them', async () => {
    const host = newHost();
    await takeUpTo(host, 7);
    host.log.length = 0;
    await giveBack(host);
    const kinds = host.log.map(line => (line.startsWith('ip ') ? 'ip' : line.replace(/.*\//, '')));
    expect(kinds).toEqual([
      'unbind',
      'ip',
      'ip',
      'ip',
      'ip',
      'driver_override',
      'drivers_probe',
      'driver_override',
    ]);
  });

  test('leaves settings alone that were changed since', async () => {
    const host = newHost();
    await takeUpTo(host, 7);
    await host.run(['ip', 'link', 'set', 'dev', 'ens1f2', 'vf', '2', 'vlan', '9']);
    await giveBack(host);
    const attributes = (await readSurvey(host.root)).physicalFunctions.get(pf)!.vfs[2]!.attributes;
    expect(attributes).toMatchObject({ mac: '02:00:00:00:00:02', vlan: 9, trust: false, spoofCheck: true });
  });

  test('finds the driver even if new VFs get none, or vfio-pci has its ids', async () => {
    for (const prepare of [
      (host: SimulatedHost) => host.tree.file(`${host.tree.pathOf(pf)}/sriov_drivers_autoprobe`, '0\n'),
      (host: SimulatedHost) => host.pci.know(vf, 'vfio-pci'),
    ]) {
      const host = newHost();
      prepare(host);
      await takeUpTo(host, 7);
      await giveBack(host);
      expect([host.pci.driverOf(vf), host.pci.override(vf)]).toEqual(['iavf', '']);
    }
  });

  test('leaves a device without a driver that had none, with its original override', async () => {
    const host = newHost();
    host.pci.unbind(vf);
    host.pci.setOverride(vf, 'mlx5_vfio_pci');
    const before = treeImage(host.root);
    await takeUpTo(host, 7);
    expect(host.pci.driverOf(vf)).toBe('vfio-pci');
    await giveBack(host, { ...taken, before: { driver: null, override: 'mlx5_vfio_pci' } });
    expect(treeImage(host.root)).toEqual(before);
  });

  test('changes only the settings of a device that was bound to vfio-pci before', async () => {
    const host = newHost();
    const bound = { driver: 'vfio-pci', override: 'vfio-pci' };
    host.pci.unbind(vf);
    host.pci.setOverride(vf, 'vfio-pci');
    host.pci.probe(vf);
    const before = treeImage(host.root);
    await takeUpTo(host, 4);
    host.log.length = 0;
    await giveBack(host, { ...taken, before: bound });
    expect(treeImage(host.root)).toEqual(before);
    expect(host.log.every(line => line.startsWith('ip '))).toBe(true);
  });

  test('loads the driver if it was unloaded in the meantime', async () => {
    const host = newHost();
    const nvme = '0000:b0:00.0';
    const plan = planBind(await readSurvey(host.root), {
      addresses: [nvme],
      driver: 'vfio-pci',
      wholeGroup: true,
    });
    await applyPlan(host, plan);
    host.pci.unregister('nvme');
    const record: TakenDevice = {
      ...taken,
      address: nvme,
      id: '144d:a808',
      vf: null,
      before: { driver: 'nvme', override: '' },
    };
    await giveBack(host, record);
    expect(host.log).toContain('modprobe nvme');
    expect(host.pci.driverOf(nvme)).toBe('nvme');
  });
});

describe('a device that was taken', () => {
  test('is identified by its ids, and by its binding', async () => {
    const host = newHost();
    expect(whereabouts(host.root, taken)).toBe('here');
    await takeUpTo(host, 7);
    expect(whereabouts(host.root, taken)).toBe('here');
    host.pci.unbind(vf);
    expect(whereabouts(host.root, taken)).toBe('here');
    host.pci.setOverride(vf, 'pci-stub');
    host.pci.register('pci-stub');
    host.pci.probe(vf);
    expect(whereabouts(host.root, taken)).toBe('rebound');
    expect(whereabouts(host.root, { ...taken, id: '8086:10ca' })).toBe('gone');
    expect(whereabouts(host.root, { ...taken, address: '0000:3b:0b.0' })).toBe('gone');
  });

  test('that was bound by someone else in the meantime keeps that driver', async () => {
    const host = newHost();
    await takeUpTo(host, 7);
    host.pci.unbind(vf);
    host.pci.setOverride(vf, 'pci-stub');
    host.pci.register('pci-stub');
    host.pci.probe(vf);
    await giveBack(host);
    expect([host.pci.driverOf(vf), host.pci.override(vf)]).toEqual(['pci-stub', 'pci-stub']);
  });
});
