import { describeOutcome, describeUndone } from '../host/plan/describe.ts';
import type { PlanRequest } from '../host-service/requests.ts';
import type { PlanLayer, PlanPhase, PlanSubject } from '../store/plan-layer.ts';
import { textEdit } from '../text/text-edit.ts';
import { attach } from './attach-carry-out.ts';
import type { Ui } from './ui.ts';

let tickets = 0;

/** Makes a plan and shows it; nothing is changed before the user has confirmed it. */
export async function askForChange(ui: Ui, request: PlanRequest): Promise<void> {
  const before = ui.store.getState().layers;
  ui.notify('info', 'planning');
  const plan = await ui.host.connection().client.call('plan', request);
  ui.clearNotice();
  // Skip it if the user has gone on to something else.
  if (ui.store.getState().layers !== before) return;
  openPlan(ui, { kind: 'change', request, plan });
}

/** Shows the last plan, to be undone. */
export async function askForUndo(ui: Ui): Promise<void> {
  ui.notify('info', 'looking for the last change');
  const { entry, damaged } = await ui.host.connection().client.call('lastPlan', null);
  ui.clearNotice();
  for (const line of damaged) ui.notify('error', line);
  if (entry === null) ui.notify('info', 'there is nothing to undo: no plan has been applied');
  else openPlan(ui, { kind: 'undo', entry });
}

/** Opens the dialog. @param forbidden why its plan can only be read here */
export function openPlan(
  ui: Ui,
  subject: PlanSubject,
  forbidden = ui.readOnly ?? ui.host.source.unchangeable,
): void {
  ui.store.getState().pushLayer({
    kind: 'plan',
    ticket: ++tickets,
    subject,
    phase: { kind: 'review' },
    forbidden,
    focus: 'cancel',
    typed: textEdit(),
    offset: 0,
  });
}

/** Makes the plan again after an option changed. */
export async function planAgain(ui: Ui, layer: PlanLayer, request: PlanRequest): Promise<void> {
  const { subject } = layer;
  if (subject.kind !== 'change') return;
  changePlan(ui, layer.ticket, { subject: { ...subject, request }, phase: { kind: 'planning' } });
  try {
    const plan = await ui.host.connection().client.call('plan', request);
    changePlan(ui, layer.ticket, {
      subject: { kind: 'change', request, plan },
      phase: { kind: 'review' },
      // It is a new plan, so an earlier confirmation does not count.
      focus: 'cancel',
      typed: textEdit(),
      offset: 0,
    });
  } catch (error) {
    changePlan(ui, layer.ticket, { subject, phase: { kind: 'review' } });
    ui.notify('error', (error as Error).message);
  }
}

/** Applies the plan that the dialog shows, and shows the outcome. */
export async function carryOut(ui: Ui, { ticket, subject }: PlanLayer): Promise<void> {
  const show = (phase: PlanPhase) => changePlan(ui, ticket, { phase, offset: 0 });
  show({ kind: 'working', steps: [], waiting: null });
  try {
    const phase = await carriedOut(ui, ticket, subject);
    show(phase);
    ui.networks.refresh();
    if (!phase.good) return;
    const state = ui.store.getState();
    state.setMarked(new Set());
    // The form that led here is done.
    ui.store.setState({ layers: state.layers.filter(({ kind }) => kind !== 'form') });
  } catch (error) {
    show({ kind: 'done', good: false, steps: [], text: [(error as Error).message] });
  }
}

function carriedOut(ui: Ui, ticket: number, subject: PlanSubject): Promise<Done> {
  switch (subject.kind) {
    case 'change':
      return apply(ui, ticket, subject);
    case 'undo':
      return undo(ui, subject);
    case 'attach':
      return attach(ui, subject, steps =>
        changePlan(ui, ticket, { phase: { kind: 'working', steps, waiting: null } }),
      );
  }
}

type SubjectOf<Kind extends PlanSubject['kind']> = Extract<PlanSubject, { kind: Kind }>;

type Done = Extract<PlanPhase, { kind: 'done' }>;

async function apply(ui: Ui, ticket: number, { request, plan }: SubjectOf<'change'>): Promise<Done> {
  const { client } = ui.host.connection();
  const outcome = await client.call('apply', { request, plan }, (steps, waiting) =>
    changePlan(ui, ticket, { phase: { kind: 'working', steps, waiting } }),
  );
  const good = outcome.state === 'applied';
  const text = describeOutcome(plan, outcome);
  const more = good
    ? [...plan.notes, 'every step was verified; u undoes it']
    : outcome.rollback.map(({ state, text }) => `  ${state}: ${text}`);
  return { kind: 'done', good, steps: outcome.steps, text: [...text, ...more] };
}

async function undo(ui: Ui, { entry }: SubjectOf<'undo'>): Promise<Done> {
  const { state, problem, changes } = await ui.host.connection().client.call('undo', entry.id);
  const good = state === 'undone';
  const text = [...(problem === null ? [] : [problem]), ...describeUndone(changes, 'everything was undone')];
  return { kind: 'done', good, steps: [], text: state === 'refused' ? [problem!] : text };
}

/** Changes the dialog with this ticket, wherever it is; a closed one is left alone. */
export function changePlan(ui: Ui, ticket: number, changes: Partial<PlanLayer>): void {
  ui.store.setState(state => ({
    layers: state.layers.map(layer =>
      layer.kind === 'plan' && layer.ticket === ticket ? { ...layer, ...changes } : layer,
    ),
  }));
}
