import { describePlan, stepMark } from '../host/plan/describe.ts';
import { actionText } from '../host/plan/errors.ts';
import type { JournalEntry } from '../host/plan/journal-schema.ts';
import { type StepState, stepsToUndo } from '../host/plan/step-states.ts';
import { attachSteps } from '../store/attach-subject.ts';
import type { PlanLayer, PlanPhase, PlanSubject } from '../store/plan-layer.ts';
import { printable } from '../text/printable.ts';
import { attachLines, attachTitle } from './attach-lines.ts';
import { type PlanLine, wrappedLines } from './plan-text.ts';

/** Blank cells on both sides of the dialog's text. */
const MARGINS = 2;

/** The dialog's text, wrapped: the plan word for word; once it is applied, its steps and their results. */
export function planLines(
  { subject, phase }: Pick<PlanLayer, 'subject' | 'phase'>,
  columns: number,
): PlanLine[] {
  return textLines(subject, phase, columns - MARGINS);
}

function textLines(subject: PlanSubject, phase: PlanPhase, columns: number): PlanLine[] {
  switch (phase.kind) {
    case 'planning':
    case 'review':
      return subject.kind === 'attach'
        ? attachLines(subject, columns)
        : wrappedLines(reviewText(subject), columns);
    case 'working':
      return wrappedLines(stepTexts(subject, phase.steps), columns);
    case 'done':
      return [
        ...wrappedLines(stepTexts(subject, phase.steps), columns),
        ...wrappedLines(['', ...phase.text], columns).map(line => ({
          ...line,
          token: phase.good ? ('status.ok' as const) : ('status.error' as const),
        })),
      ];
  }
}

export function planTitle(subject: PlanSubject): string {
  switch (subject.kind) {
    case 'change':
      return printable(subject.plan.title);
    case 'undo':
      return printable(`Undo: ${subject.entry.plan.title}`);
    case 'attach':
      return printable(attachTitle(subject));
  }
}

function reviewText(subject: Exclude<PlanSubject, { kind: 'attach' }>): string[] {
  if (subject.kind === 'change') return describePlan(subject.plan).slice(2);
  const { entry } = subject;
  return [
    `applied ${entry.at.slice(0, 19).replace('T', ' ')} UTC${entry.state === 'applied' ? '' : `, ${entry.state}`}`,
    '',
    'Steps',
    ...undoActions(entry).map((text, index) => `  ${`${index + 1}.`.padEnd(4)}${text}`),
  ];
}

/** The undo actions, in their order. */
function undoActions({ plan, steps }: JournalEntry): string[] {
  const reversed = stepsToUndo(plan.steps, steps).reverse();
  const ordered = [...reversed.filter(step => !step.undo.last), ...reversed.filter(step => step.undo.last)];
  return ordered.flatMap(step => step.undo.changes.map(change => actionText(change.action)));
}

function stepTexts(subject: PlanSubject, states: readonly StepState[]): string[] {
  if (subject.kind === 'undo') return undoActions(subject.entry).map(text => `    ${text}`);
  const steps =
    subject.kind === 'attach'
      ? attachSteps(subject)
      : subject.plan.steps.map(step => actionText(step.action));
  return steps.map((text, index) => `[${stepMark(states[index] ?? 'pending')}] ${text}`);
}
