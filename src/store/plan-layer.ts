import type { Waiting } from '../host/plan/apply.ts';
import type { JournalEntry } from '../host/plan/journal-schema.ts';
import type { Plan } from '../host/plan/plan.ts';
import type { StepState } from '../host/plan/step-states.ts';
import { optionsOf, type PlanOption, type PlanRequest } from '../host-service/requests.ts';
import type { TextEdit } from '../text/text-edit.ts';
import { type AttachSubject, attachChoices } from './attach-subject.ts';
import type { PlanChoice } from './plan-choice.ts';

/** Lines of the dialog that are not the plan's: its title, the choices, what must be typed, the buttons. */
export const PLAN_FRAME_ROWS = 4;

/** What a plan dialog is about: a change that is to be made, or the last one, to be undone. */
export type PlanSubject =
  | { readonly kind: 'change'; readonly request: PlanRequest; readonly plan: Plan }
  | { readonly kind: 'undo'; readonly entry: JournalEntry }
  | AttachSubject;

export type PlanPhase =
  /** It is made, anew after a choice: the plan before it can be read, not applied. */
  | { readonly kind: 'planning' }
  | { readonly kind: 'review' }
  | {
      readonly kind: 'working';
      readonly steps: readonly StepState[];
      /** A step that takes its time. */
      readonly waiting: Waiting | null;
    }
  | {
      readonly kind: 'done';
      readonly good: boolean;
      readonly steps: readonly StepState[];
      /** What has become of it. */
      readonly text: readonly string[];
    };

/** A change of the host, word for word, that waits for an answer, is under way or has been made. */
export type PlanLayer = {
  readonly kind: 'plan';
  /** Tells it from a dialog that was closed before: answers come later. */
  readonly ticket: number;
  readonly subject: PlanSubject;
  readonly phase: PlanPhase;
  /** Why it can be read, and not applied: on a recording, in a read-only session. Null where it can. */
  readonly forbidden: string | null;
  /** Cancel is the first, and where the focus starts. `word`: the field for what must be typed against a block. */
  readonly focus: 'cancel' | 'word' | 'confirm';
  readonly typed: TextEdit;
  /** First line that is shown. */
  readonly offset: number;
};

/** What stands in the way of a plan. */
export type Obstacle =
  | { readonly kind: 'none' }
  /** There is nothing to be done, or nothing that could be. */
  | { readonly kind: 'final'; readonly reason: string }
  /** It is done if the user types this. */
  | {
      readonly kind: 'word';
      readonly word: string;
      /** To be followed by "anyway": `Blocked. To apply it`. */
      readonly why: string;
    };

export function obstacleOf({ subject, forbidden }: Pick<PlanLayer, 'subject' | 'forbidden'>): Obstacle {
  const asIs: Obstacle =
    forbidden === null ? { kind: 'none' } : { kind: 'final', reason: `cannot apply: ${forbidden}` };
  if (subject.kind === 'undo') return asIs;
  if (subject.kind === 'attach') return attachObstacle(subject, asIs);
  const { plan } = subject;
  if (plan.steps.length === 0) return { kind: 'final', reason: 'there is nothing to do' };
  const blocks = plan.checks.filter(check => check.level === 'block');
  if (blocks.some(check => !check.forceable)) {
    return { kind: 'final', reason: 'it is impossible: see the checks' };
  }
  if (forbidden !== null || blocks.length === 0) return asIs;
  return { kind: 'word', word: confirmWord(plan), why: 'Blocked. To apply it' };
}

function attachObstacle({ assessment, asked }: AttachSubject, asIs: Obstacle): Obstacle {
  const found = [...assessment.reasons, ...assessment.devices.flatMap(({ reasons }) => reasons)];
  const block = found.find(({ level }) => level === 'block');
  if (block !== undefined) return { kind: 'final', reason: `cannot attach: ${block.reason}` };
  // What no IOMMU keeps in its place is typed, not hit.
  return assessment.unsafe && asIs.kind === 'none'
    ? { kind: 'word', word: asked[0]!, why: 'UNSAFE. To attach it' }
    : asIs;
}

/** The address of the first function that is asked for. */
function confirmWord(plan: Plan): string {
  return plan.devices.find(device => device.role === 'asked')?.address ?? 'yes';
}

/** What may still be chosen of a plan that is shown, and what is chosen now. */
export function choicesOf({ subject, phase }: PlanLayer): readonly PlanChoice[] {
  if (phase.kind !== 'review' && phase.kind !== 'planning') return [];
  if (subject.kind === 'undo') return [];
  if (subject.kind === 'attach') return attachChoices(subject);
  const options = Object.entries(optionsOf(subject.request)) as [PlanOption, boolean][];
  // The group is a choice where it has other members that could go along.
  const hasOthers = subject.plan.devices.some(({ role }) => role === 'group' || role === 'left');
  return options
    .filter(([option, on]) => option !== 'wholeGroup' || hasOthers || on)
    .map(([option, on]) => ({ option, ...CHOICES[option], on }));
}

const CHOICES: Readonly<Record<PlanOption, Pick<PlanChoice, 'key' | 'text'>>> = {
  wholeGroup: { key: 'w', text: 'whole group' },
  persist: { key: 'p', text: 'each boot' },
};

/** The button that does it. */
export function verbOf(subject: PlanSubject): string {
  if (subject.kind === 'undo') return 'Undo';
  if (subject.kind === 'change') return 'Apply';
  const { target, options } = subject;
  return target.kind !== 'running' && options.start ? 'Attach and start' : 'Attach';
}

/** May the button that does it be pressed now? */
export function isReady(layer: PlanLayer): boolean {
  const { phase, typed } = layer;
  const obstacle = obstacleOf(layer);
  if (phase.kind !== 'review' || obstacle.kind === 'final') return false;
  return obstacle.kind === 'none' || typed.text.trim() === obstacle.word;
}
