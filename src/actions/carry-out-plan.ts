import { carryOut } from '../definitions/create/carry-out.ts';
import { describeStep, type NewVmPlan } from '../definitions/create/plan.ts';
import { percent } from '../text/units.ts';
import type { Ui } from './ui.ts';

/**
 * Creates the disks of a plan, then saves its definition, with the progress in a dialog whose button cancels it.
 * @throws what went wrong, after removing what was created
 */
export async function carryOutPlan(ui: Ui, title: string, plan: NewVmPlan): Promise<void> {
  const abort = new AbortController();
  const stop = { label: 'Stop', run: () => abort.abort(new Error('stopped; what was created is removed')) };
  const dialog = ui.choose(title, '', [stop]);
  try {
    await carryOut(plan, {
      save: (name, text) => ui.engine.define(name, text, { replace: false }),
      progress: (step, share) => dialog.change({ body: `${describeStep(step)}: ${percent(share)}` }),
      signal: abort.signal,
    });
  } finally {
    dialog.close();
  }
}
