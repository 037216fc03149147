import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyPlan } from '../../../src/host/plan/apply.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { planVfCount } from '../../../src/host/plan/vf-count.ts';
import { serverTree } from '../trees/server.ts';
import { expectRollback } from './faults.ts';
import { SimulatedHost } from './simulated-host.ts';

const idle = '0000:3b:00.3';
/** Has four VFs, the first of them open in a VM. */
const busy = '0000:3b:00.2';

describe('the number of VFs', () => {
  let host: SimulatedHost;
  beforeEach(() => {
    host = new SimulatedHost(serverTree());
  });
  afterEach(() => host.dispose());

  const plan = async (address: string, count: number) =>
    planVfCount(await readSurvey(host.root), { address, count });

  test('from none to some, each in its own group', async () => {
    expect(await applyPlan(host, await plan(idle, 3))).toMatchObject({ state: 'applied' });
    const survey = await readSurvey(host.root);
    const vfs = survey.physicalFunctions.get(idle)!.vfs;
    expect(vfs.map(vf => vf.address)).toEqual(['0000:3b:0e.0', '0000:3b:0e.1', '0000:3b:0e.2']);
    expect(new Set(vfs.map(vf => vf.iommuGroup)).size).toBe(3);
  });

  test('the current number needs no step', async () => {
    const same = await plan(busy, 4);
    expect([same.steps, same.checks, same.notes]).toEqual([[], [], [`${busy} already has 4 VFs`]]);
  });

  test('of the card that carries the SSH session: its link may go down temporarily', async () => {
    const { checks } = await plan('0000:3b:00.0', 2);
    expect(checks.filter(check => check.level !== 'ok')).toMatchObject([
      {
        level: 'warn',
        code: 'network',
        reason: expect.stringMatching(
          /^ens1f0 carries the SSH session from 198\.51\.100\.7 \(through bond0, br0\), .*: its link may be down for seconds/,
        ),
      },
    ]);
    expect((await plan(idle, 2)).checks.filter(check => check.level !== 'ok')).toEqual([]);
  });

  test('more than the device has is refused before anything is written', async () => {
    const { checks } = await plan(idle, 33);
    expect(checks).toMatchObject([{ level: 'block', code: 'vf-count', forceable: false }]);
    expect(checks[0]!.reason).toContain('supports at most 32 VFs (sriov_totalvfs), not 33');
  });

  test('VFs that a VM has open are not removed, even with --force; the VM is named', async () => {
    const { checks } = await plan(busy, 0);
    expect(checks.filter(check => check.level === 'block')).toMatchObject([
      {
        code: 'sriov',
        forceable: false,
        reason:
          'its 4 VFs are removed, but 0000:3b:0a.0 is open in qemu-system-x86 (pid 4211): stop this VM first',
      },
    ]);
  });

  test('another number goes through 0, and names the removed VFs', async () => {
    releaseVm(host);
    const change = await plan(busy, 2);
    expect(change.steps.map(step => step.action)).toMatchObject([{ value: '0' }, { value: '2' }]);
    expect(change.steps[0]!.risk).toMatch(/^removes 0000:3b:0a\.0 \(vfio-pci\), 0000:3b:0a\.1 \(iavf\)/);
    expect(change.devices.filter(device => device.role === 'ended-vf')).toHaveLength(4);
    expect(await applyPlan(host, change)).toMatchObject({ state: 'applied' });
  });

  test('a failure of any step restores the VFs with their drivers and settings', async () => {
    await expectRollback(serverTree, survey => planVfCount(survey, { address: busy, count: 2 }), releaseVm);
    await expectRollback(serverTree, survey => planVfCount(survey, { address: busy, count: 0 }), releaseVm);
    await expectRollback(serverTree, survey =>
      planVfCount(survey, { address: idle, count: 2, autoprobe: false }),
    );
  });

  test('a function without SR-IOV and a VF get different messages', async () => {
    await expect(plan('0000:b0:00.0', 1)).rejects.toThrow('0000:b0:00.0 does not support SR-IOV');
    await expect(plan('0000:3b:0a.1', 1)).rejects.toThrow(`set the count of ${busy}`);
  });
});

/** The VM ends. */
function releaseVm(host: SimulatedHost): void {
  fs.rmSync(host.pci.at('/proc/4211'), { recursive: true });
}
