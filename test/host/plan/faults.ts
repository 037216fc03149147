import { expect } from 'vitest';
import { applyPlan } from '../../../src/host/plan/apply.ts';
import type { Plan } from '../../../src/host/plan/plan.ts';
import { type HostSurvey, readSurvey } from '../../../src/host/plan/survey.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { type Fault, SimulatedHost } from './simulated-host.ts';
import { treeImage } from './tree-image.ts';

const faults: readonly Fault[] = ['refused', 'ignored', 'done-but-reported'];

/**
 * Lets every single operation of a plan fail in each way, on a fresh tree each: either the plan is applied all the
 * same (the fault did not matter), or the tree is unchanged.
 */
export async function expectRollback(
  makeTree: () => TreeBuilder,
  makePlan: (survey: HostSurvey) => Plan | Promise<Plan>,
  prepare: (host: SimulatedHost) => void | Promise<void> = () => {},
): Promise<void> {
  const operations = await operationsOf(makeTree, makePlan, prepare);
  expect(operations).toBeGreaterThan(0);
  for (const kind of faults) {
    for (let at = 0; at < operations; at++) {
      const host = new SimulatedHost(makeTree());
      await prepare(host);
      const plan = await makePlan(await readSurvey(host.root));
      const before = treeImage(host.root);
      host.log.length = 0;
      host.failAt(at, kind);
      const outcome = await applyPlan(host, plan);
      const what = `operation ${at} ${kind}: ${host.log[at]}`;
      if (outcome.state === 'applied') expect(kind, what).toBe('ignored');
      else {
        expect(
          outcome.rollback.filter(change => change.state === 'failed'),
          what,
        ).toEqual([]);
        expect(treeImage(host.root), what).toEqual(before);
      }
      host.dispose();
    }
  }
}

async function operationsOf(
  makeTree: () => TreeBuilder,
  makePlan: (survey: HostSurvey) => Plan | Promise<Plan>,
  prepare: (host: SimulatedHost) => void | Promise<void>,
): Promise<number> {
  const host = new SimulatedHost(makeTree());
  await prepare(host);
  const plan = await makePlan(await readSurvey(host.root));
  host.log.length = 0;
  const outcome = await applyPlan(host, plan);
  expect(outcome.problem).toBeNull();
  const operations = host.log.length;
  host.dispose();
  return operations;
}
