import { randomUUID } from 'node:crypto';
import { carryOut, checkPlan } from '../definitions/create/carry-out.ts';
import { describeStep, disksFolder, type NewVmPlan, planNewVm } from '../definitions/create/plan.ts';
import { managerPaths } from '../manager/paths.ts';
import { type Form, type FormValues, formLayer } from '../store/layers.ts';
import { percent } from '../text/units.ts';
import { fieldProblem, formFields, formValue, formVm } from './new-vm-form.ts';
import type { Ui } from './ui.ts';

/** Opens the form for a new VM, as it was left; functions that are marked on the screens of the host are in it. */
export function openNewVmForm(ui: Ui): void {
  const { marked, order } = ui.store.getState();
  const devices = marked.size > 0 ? { passthrough: [...marked].sort().join(' ') } : {};
  const form: Form = {
    title: 'New VM',
    fields: formFields,
    value: formValue,
    problem: (values, field) => fieldProblem(values, field, order),
    changed: values => {
      ui.newVm = values;
    },
    submit: values => planAndAsk(ui, values),
    leave: values => {
      if (Object.keys(values).length > 0) ui.notify('info', 'what you typed is kept: n goes on with it');
    },
  };
  ui.store.getState().pushLayer(formLayer(form, { ...devices, ...ui.newVm }));
}

/** Shows what will be made, word for word; nothing is made before the user agrees to it. */
function planAndAsk(ui: Ui, values: FormValues): void {
  let plan: NewVmPlan;
  try {
    plan = planNewVm(formVm(values), disksFolder(managerPaths().state), randomUUID());
    const { problems } = checkPlan(plan);
    if (problems.length > 0) throw new Error(problems.join('; '));
  } catch (error) {
    ui.notify('error', (error as Error).message);
    return;
  }
  const { warnings } = checkPlan(plan);
  const remarks = [
    ...plan.steps.map(step => `- ${describeStep(step)}`),
    ...plan.notYet.map(({ key, what }) => `- it can't be started yet: vring has no ${what} (${key})`),
    ...warnings.map(warning => `- ${warning}`),
  ];
  const parts = [...remarks, ...(remarks.length > 0 ? [''] : []), plan.text.trimEnd()];
  // The form stays below: Back is back to it.
  ui.choose(`Make ${plan.definition.name}?`, parts.join('\n'), [
    { label: 'Back' },
    { label: 'Make it', run: () => void make(ui, plan) },
  ]);
}

/** Makes the disks, then saves the definition, while a dialog shows how far it is. */
async function make(ui: Ui, plan: NewVmPlan): Promise<void> {
  const { name } = plan.definition;
  const abort = new AbortController();
  const stop = { label: 'Stop', run: () => abort.abort(new Error('stopped: what was made is removed')) };
  const dialog = ui.choose(`Making ${name}`, '', [stop]);
  try {
    await carryOut(plan, {
      save: (name, text) => ui.engine.define(name, text, { replace: false }),
      progress: (step, share) => dialog.change({ body: `${describeStep(step)}: ${percent(share)}` }),
      signal: abort.signal,
    });
  } catch (error) {
    dialog.close();
    ui.notify('error', `${name} was not made: ${(error as Error).message}`);
    return;
  }
  dialog.close();
  ui.newVm = {};
  const state = ui.store.getState();
  ui.store.setState({ layers: state.layers.filter(layer => layer.kind !== 'form') });
  state.selectVm(name);
  ui.notify('info', `${name} was made; S starts it`);
}
