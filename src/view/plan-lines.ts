import { describePlan, stepMark } from '../host/plan/describe.ts';
import { actionText } from '../host/plan/errors.ts';
import type { JournalEntry } from '../host/plan/journal-schema.ts';
import { type StepState, stepsToUndo } from '../host/plan/step-states.ts';
import type { PlanLayer, PlanPhase, PlanSubject } from '../store/plan-layer.ts';
import { printable } from '../text/printable.ts';
import { wrap } from '../text/width.ts';
import type { Token } from '../theme/tokens.ts';

export type PlanLine = { readonly text: string; readonly token: Token };

/** Blank cells at both sides of the dialog's text. */
const MARGINS = 2;

/**
 * The dialog's text on so many columns: the plan word for word; from the moment that it is applied, its steps and what
 * became of them.
 */
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
      return wrapped(reviewText(subject), columns);
    case 'working':
      return wrapped(stepTexts(subject, phase.steps), columns);
    case 'done':
      return [
        ...wrapped(stepTexts(subject, phase.steps), columns),
        ...wrapped(['', ...phase.text], columns).map(line => ({
          ...line,
          token: phase.good ? ('status.ok' as const) : ('status.error' as const),
        })),
      ];
  }
}

export function planTitle(subject: PlanSubject): string {
  return printable(subject.kind === 'change' ? subject.plan.title : `Undo: ${subject.entry.plan.title}`);
}

function reviewText(subject: PlanSubject): string[] {
  if (subject.kind === 'change') return describePlan(subject.plan).slice(2);
  const { entry } = subject;
  return [
    `applied ${entry.at.slice(0, 19).replace('T', ' ')} UTC${entry.state === 'applied' ? '' : `, ${entry.state}`}`,
    '',
    'Steps',
    ...undoActions(entry).map((text, index) => `  ${`${index + 1}.`.padEnd(4)}${text}`),
  ];
}

/** What undoing does, in the order in which it is done. */
function undoActions({ plan, steps }: JournalEntry): string[] {
  const reversed = stepsToUndo(plan.steps, steps).reverse();
  const ordered = [...reversed.filter(step => !step.undo.last), ...reversed.filter(step => step.undo.last)];
  return ordered.flatMap(step => step.undo.changes.map(change => actionText(change.action)));
}

function stepTexts(subject: PlanSubject, states: readonly StepState[]): string[] {
  if (subject.kind === 'undo') return undoActions(subject.entry).map(text => `    ${text}`);
  return subject.plan.steps.map(
    (step, index) => `[${stepMark(states[index] ?? 'pending')}] ${actionText(step.action)}`,
  );
}

/** What a line starts with, below which it does not go on: a mark, a number, a label, the columns of a table. */
const HEAD =
  /^ *(?:\[.\] |\d+\. +|(?:why|risk|then|undo): *|(?:BLOCK|warn|ok) +\S+ +|\S+:\S+\.\d +(?:no group|group \d+) +)?/;

/** Lines that are too long go on below their text. */
function wrapped(lines: readonly string[], columns: number): PlanLine[] {
  return lines.flatMap(line => {
    const text = printable(line);
    const token = tokenOf(text);
    const start = HEAD.exec(text)![0];
    const body = text.slice(start.length);
    const indent = ' '.repeat(start.length);
    const room = Math.max(10, columns - start.length);
    return wrap(body, room).map((part, index) => ({ text: (index === 0 ? start : indent) + part, token }));
  });
}

const TOKENS: readonly (readonly [RegExp, Token])[] = [
  [/^\S[^[]*$/, 'text.heading'],
  [/^ *BLOCK /, 'status.error'],
  [/^ *(warn |risk:)/, 'status.warning'],
  [/^\[!\]/, 'status.error'],
  [/^\[>\]/, 'text.accent'],
  [/^\[x\]/, 'status.ok'],
];

function tokenOf(line: string): Token {
  return TOKENS.find(([pattern]) => pattern.test(line))?.[1] ?? 'text.primary';
}
