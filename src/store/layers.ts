import type { TextEdit } from '../text/text-edit.ts';
import type { PlanLayer } from './plan-layer.ts';

/** What a dangerous action asks before it happens. */
export type Question = {
  readonly title: string;
  /** What will be lost, in a sentence or two. */
  readonly body: string;
  /** The button that does it. */
  readonly verb: string;
};

/** A value that is being typed: in the row of a list, or in the status line. */
export type PromptLayer = {
  readonly kind: 'prompt';
  /** What it is, and what may be typed. */
  readonly prompt: string;
  readonly edit: TextEdit;
  /** The function in whose row it is typed; null: in the status line. */
  readonly inRowOf: string | null;
  /** A number: nothing but digits is taken, and up and down count, at first from what it is now. */
  readonly range: { readonly least: number; readonly most: number; readonly now: number } | null;
  /** @throws what is wrong with the value, in a sentence: it may be mended then */
  readonly submit: (text: string) => void;
};

/** Something over the screen that takes the keys while it is there. */
export type Layer =
  | { readonly kind: 'help'; readonly offset: number }
  | { readonly kind: 'about'; readonly id: string; readonly offset: number }
  | {
      readonly kind: 'dialog';
      readonly question: Question;
      /** Cancel is the first, and where the focus starts. */
      readonly button: 'cancel' | 'confirm';
      readonly confirm: () => void;
    }
  | PlanLayer
  | PromptLayer
  | { readonly kind: 'field'; readonly purpose: 'command' | 'filter'; readonly edit: TextEdit }
  /** The keyboard is the guest's, but for Ctrl-]. */
  | { readonly kind: 'console'; readonly id: string };
