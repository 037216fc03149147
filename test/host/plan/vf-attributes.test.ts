import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyPlan } from '../../../src/host/plan/apply.ts';
import type { VfSettings } from '../../../src/host/plan/plan.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { planVfAttributes } from '../../../src/host/plan/vf-attributes.ts';
import { serverTree } from '../trees/server.ts';
import { expectRollback } from './faults.ts';
import { SimulatedHost } from './simulated-host.ts';

/** Its VF 0, with VLAN 42, is open in a VM. */
const pf = '0000:3b:00.2';

describe('settings of a VF', () => {
  let host: SimulatedHost;
  beforeEach(() => {
    host = new SimulatedHost(serverTree());
  });
  afterEach(() => host.dispose());

  const plan = async (index: number, settings: VfSettings) =>
    planVfAttributes(await readSurvey(host.root), { address: pf, index, settings });
  const vf = async (index: number) =>
    (await readSurvey(host.root)).physicalFunctions.get(pf)!.vfs[index]!.attributes;

  test('are changed one by one, and only if they differ', async () => {
    const settings = { mac: '02:00:00:00:00:02', vlan: 5, trust: true, spoofCheck: true } as const;
    const change = await plan(2, settings);
    expect(change.steps.map(step => step.reason)).toEqual(['vlan: 0 -> 5', 'trust: false -> true']);
    expect(await applyPlan(host, change)).toMatchObject({ problem: null });
    expect(await vf(2)).toMatchObject(settings);
    expect((await plan(2, settings)).steps).toEqual([]);
  });

  test('keep the VLAN if only its priority is set', async () => {
    await applyPlan(host, await plan(0, { qos: 3 }));
    expect(await vf(0)).toMatchObject({ vlan: 42, qos: 3 });
  });

  test('are changed under a running VM with a warning', async () => {
    const { checks } = await plan(0, { vlan: 7 });
    expect(checks).toEqual([
      expect.objectContaining({
        level: 'warn',
        reason: expect.stringMatching(/qemu.*may not see the change until/),
      }),
    ]);
  });

  test('that the driver does not report are set, with a note that they cannot be undone', async () => {
    host.sriov.writeLinks(
      host.sriov.links().map(link => ({
        ...link,
        vfinfo_list: link.vfinfo_list?.map(({ trust: _, ...info }) => info),
      })) as ReturnType<typeof host.sriov.links>,
    );
    const change = await plan(1, { trust: true });
    expect(change.steps).toMatchObject([
      {
        expect: [],
        undo: { changes: [] },
        risk: expect.stringMatching(/does not report the old value, so it cannot be undone/),
      },
    ]);
  });

  test('of a missing VF, or of a device without settings, are refused', async () => {
    await expect(plan(9, { vlan: 1 })).rejects.toThrow(`${pf} has no VF 9`);
    host.sriov.writeLinks([]);
    await expect(plan(1, { vlan: 1 })).rejects.toThrow(
      /no settings for ip\(8\): only network cards with their driver bound have them/,
    );
  });

  test('are restored after a failure of any step', async () => {
    await expectRollback(serverTree, survey =>
      planVfAttributes(survey, {
        address: pf,
        index: 0,
        settings: { mac: '02:00:00:00:00:77', vlan: 7, trust: true, spoofCheck: false, maxTxRate: 100 },
      }),
    );
  });
});
