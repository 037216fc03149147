import { type Desired, readDesired } from '../../boot/desired.ts';
import type { Plan } from '../plan.ts';
import type { HostSurvey } from '../survey.ts';
import { asStored, bootSteps } from './boot-files.ts';
import { storeChecks } from './store-checks.ts';

/** The plan, followed by what makes it persist across reboots. */
export function withPersistence(survey: HostSurvey, plan: Plan, change: (desired: Desired) => Desired): Plan {
  const { steps, notes } = bootSteps(survey, change(readDesired(survey.root)));
  return {
    ...plan,
    title: `${plan.title}, also at every boot`,
    checks: [...plan.checks, ...(steps.length > 0 ? storeChecks(survey.root) : [])],
    steps: [...plan.steps, ...steps],
    assumes: [...plan.assumes, ...(steps.length > 0 ? [asStored(survey.root)] : [])],
    notes: [...plan.notes, ...notes],
  };
}
