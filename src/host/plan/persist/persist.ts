import { type Desired, readDesired } from '../../boot/desired.ts';
import type { Plan } from '../plan.ts';
import type { HostSurvey } from '../survey.ts';
import { asStored, bootSteps } from './boot-files.ts';

/** The plan, followed by what makes it persist across reboots. */
export function withPersistence(survey: HostSurvey, plan: Plan, change: (desired: Desired) => Desired): Plan {
  const { steps, notes } = bootSteps(survey, change(readDesired(survey.root)));
  return {
    ...plan,
    title: `${plan.title}, also at every boot`,
    steps: [...plan.steps, ...steps],
    assumes: [...plan.assumes, ...(steps.length > 0 ? [asStored(survey.root)] : [])],
    notes: [...plan.notes, ...notes],
  };
}
