import type { Waiting } from '../host/plan/apply.ts';
import type { JournalEntry } from '../host/plan/journal-schema.ts';
import type { Plan } from '../host/plan/plan.ts';
import type { StepState } from '../host/plan/step-states.ts';
import { optionsOf, type PlanOption, type PlanRequest } from '../host-service/requests.ts';
import type { TextEdit } from '../text/text-edit.ts';
import { type AttachSubject, attachChoices } from './attach-subject.ts';
import type { PlanChoice } from './plan-choice.ts';

/** Lines of the dialog that are not the plan's: its title, the options, the field for a required word, the buttons. */
export const PLAN_FRAME_ROWS = 4;

/** The subject of a plan dialog: a change to be made, or the last one, to be undone. */
export type PlanSubject =
  | { readonly kind: 'change'; readonly request: PlanRequest; readonly plan: Plan }
  | { readonly kind: 'undo'; readonly entry: JournalEntry }
  | AttachSubject;

export type PlanPhase =
  /** The plan is being made, also after an option changed: the previous plan can be read, but not applied. */
  | { readonly kind: 'planning' }
  | { readonly kind: 'review' }
  | {
      readonly kind: 'working';
      readonly steps: readonly StepState[];
      /** A step that takes a long time. */
      readonly waiting: Waiting | null;
    }
  | {
      readonly kind: 'done';
      readonly good: boolean;
      readonly steps: readonly StepState[];
      /** The outcome. */
      readonly text: readonly string[];
    };

/** A change of the host, word for word, that awaits confirmation, is in progress, or has been made. */
export type PlanLayer = {
  readonly kind: 'plan';
  /** Distinguishes it from dialogs closed before, as answers arrive later. */
  readonly ticket: number;
  readonly subject: PlanSubject;
  readonly phase: PlanPhase;
  /** Why it can only be read: on a recording, or in a read-only session. Null if it can be applied. */
  readonly forbidden: string | null;
  /** Cancel is the first, and has the focus initially. `word`: the field for the word that overrides a block. */
  readonly focus: 'cancel' | 'word' | 'confirm';
  readonly typed: TextEdit;
  /** The first visible line. */
  readonly offset: number;
};

/** Why a plan cannot be applied as it is. */
export type Obstacle =
  | { readonly kind: 'none' }
  /** There is nothing to do, or nothing that can be done. */
  | { readonly kind: 'final'; readonly reason: string }
  /** The user can override it by typing this. */
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
  // What no IOMMU isolates must be confirmed by typing, not by one key.
  return assessment.unsafe && asIs.kind === 'none'
    ? { kind: 'word', word: asked[0]!, why: 'UNSAFE. To attach it' }
    : asIs;
}

/** The address of the first function requested. */
function confirmWord(plan: Plan): string {
  return plan.devices.find(device => device.role === 'asked')?.address ?? 'yes';
}

/** The options of a plan that is shown, and their values. */
export function choicesOf({ subject, phase }: PlanLayer): readonly PlanChoice[] {
  if (phase.kind !== 'review' && phase.kind !== 'planning') return [];
  if (subject.kind === 'undo') return [];
  if (subject.kind === 'attach') return attachChoices(subject);
  const options = Object.entries(optionsOf(subject.request)) as [PlanOption, boolean][];
  // The whole group is an option if it has other members that could go along.
  const hasOthers = subject.plan.devices.some(({ role }) => role === 'group' || role === 'left');
  return options
    .filter(([option, on]) => option !== 'wholeGroup' || hasOthers || on)
    .map(([option, on]) => ({ option, ...CHOICES[option], on }));
}

const CHOICES: Readonly<Record<PlanOption, Pick<PlanChoice, 'key' | 'text'>>> = {
  wholeGroup: { key: 'w', text: 'whole group' },
  persist: { key: 'p', text: 'each boot' },
};

/** The label of the confirming button. */
export function verbOf(subject: PlanSubject): string {
  if (subject.kind === 'undo') return 'Undo';
  if (subject.kind === 'change') return 'Apply';
  const { target, options } = subject;
  return target.kind !== 'running' && options.start ? 'Attach and start' : 'Attach';
}

/** Whether the confirming button can be pressed now. */
export function isReady(layer: PlanLayer): boolean {
  const { phase, typed } = layer;
  const obstacle = obstacleOf(layer);
  if (phase.kind !== 'review' || obstacle.kind === 'final') return false;
  return obstacle.kind === 'none' || typed.text.trim() === obstacle.word;
}
