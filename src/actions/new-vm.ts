import { randomUUID } from 'node:crypto';
import { checkPlan } from '../definitions/create/carry-out.ts';
import { describeStep, disksFolder, type NewVmPlan, planNewVm } from '../definitions/create/plan.ts';
import { unsupported } from '../definitions/to-machine.ts';
import { networkWords } from '../host/use/network-choices.ts';
import { managerPaths } from '../manager/paths.ts';
import { type Form, type FormValues, formLayer } from '../store/layers.ts';
import { networkProblem } from './attach-nic.ts';
import { carryOutPlan } from './carry-out-plan.ts';
import { fieldNote, fieldProblem, formFields, formValue, formVm } from './new-vm-form.ts';
import type { Ui } from './ui.ts';

type NewVmFormOptions = {
  /** Functions for it, instead of those marked on the host screens. */
  readonly devices?: readonly string[];
  /** Called with the plan instead of showing it. */
  readonly planned?: (plan: NewVmPlan) => void;
};

/** Opens the form for a new VM as it was left, with the functions marked on the host screens filled in. */
export function openNewVmForm(ui: Ui, { devices, planned }: NewVmFormOptions = {}): void {
  const { marked, order } = ui.store.getState();
  const given = devices ?? [...marked].sort();
  const passthrough = given.length > 0 ? { passthrough: given.join(' ') } : {};
  // Devices chosen just now take precedence; otherwise the form's earlier input does.
  const values = devices === undefined ? { ...passthrough, ...ui.newVm } : { ...ui.newVm, ...passthrough };
  const choices = ui.networkChoices();
  const words = networkWords(choices);
  const form: Form = {
    title: 'New VM',
    button: 'Review and create',
    done: 'review',
    fields: values =>
      formFields(values).map(field => (field.key === 'network' ? { ...field, words } : field)),
    value: formValue,
    problem: (values, field) =>
      fieldProblem(values, field, order) ??
      (field.key === 'network' ? networkProblem(formValue(values, field).trim(), choices) : null),
    note: (values, field) =>
      fieldNote(values, field) ?? (field.key === 'network' ? `here: ${words.join(', ')}` : null),
    changed: values => {
      ui.newVm = values;
    },
    submit: values => {
      const plan = planOf(ui, values);
      if (plan === null) return;
      if (planned === undefined) ask(ui, plan);
      else planned(plan);
    },
    leave: values => {
      if (Object.keys(values).length > 0) ui.notify('info', 'your input is kept: press n to continue');
    },
  };
  ui.clearNotice();
  ui.store.getState().pushLayer(formLayer(form, values));
}

/** The plan for the form's values; null if there can be none, after showing why. */
function planOf(ui: Ui, values: FormValues): NewVmPlan | null {
  try {
    const plan = planNewVm(formVm(values), disksFolder(managerPaths().state), randomUUID());
    const { problems } = checkPlan(plan);
    if (problems.length > 0) throw new Error(problems.join('; '));
    return plan;
  } catch (error) {
    ui.notify('error', (error as Error).message);
    return null;
  }
}

/** Shows the steps and the definition; nothing is created before the user confirms. */
function ask(ui: Ui, plan: NewVmPlan): void {
  const { warnings } = checkPlan(plan);
  const remarks = [
    ...plan.steps.map(step => `- ${describeStep(step)}`),
    ...(plan.notYet.length === 0 ? [] : [`- it cannot start: ${unsupported(plan.notYet)}`]),
    ...warnings.map(warning => `- ${warning}`),
  ];
  const parts = [...remarks, ...(remarks.length > 0 ? [''] : []), plan.text.trimEnd()];
  // The form stays open below: Back returns to it.
  ui.choose(`Create ${plan.definition.name}?`, parts.join('\n'), [
    { label: 'Back' },
    { label: 'Create', run: () => void create(ui, plan, false) },
    ...(plan.notYet.length > 0
      ? []
      : [{ label: 'Create and start', run: () => void create(ui, plan, true) }]),
  ]);
}

/** Creates the VM, and starts it if requested. */
async function create(ui: Ui, plan: NewVmPlan, start: boolean): Promise<void> {
  const { name } = plan.definition;
  try {
    await carryOutPlan(ui, `Creating ${name}`, plan);
  } catch (error) {
    ui.notify('error', `${name} was not created: ${(error as Error).message}`);
    return;
  }
  ui.newVm = {};
  const state = ui.store.getState();
  ui.store.setState({ layers: state.layers.filter(layer => layer.kind !== 'form') });
  state.selectVm(name);
  if (!start) {
    ui.notify('info', `${name} was created; S starts it`);
    return;
  }
  try {
    await ui.engine.restart(name);
    ui.notify('info', `${name} was created and started`);
  } catch (error) {
    ui.notify('error', `${name} was created, but did not start: ${(error as Error).message}`);
  }
}
