import type { VmInfo } from '../engine/vm-info.ts';
import type { AppState } from '../store/app-store.ts';
import type { Question } from '../store/layers.ts';
import type { ScreenKind } from '../store/screens.ts';
import { currentScreen } from '../store/ui-slice.ts';
import type { Ui } from './ui.ts';

/** The context in which an action runs. */
export type ActionContext = {
  readonly ui: Ui;
  readonly state: AppState;
  /** The VM that is shown, or under the cursor. */
  readonly vm: VmInfo | null;
  /** The VMs that an action applies to: the marked ones, or that one. */
  readonly vms: readonly VmInfo[];
};

export const CATEGORIES = [
  'Move',
  'Look',
  'Console',
  'Measure',
  'Virtual machine',
  'Definition',
  'Host',
  'Program',
] as const;
export type Category = (typeof CATEGORIES)[number];

/** An action of the UI's user: by the keys bound to it (keys/bindings.ts), or by its name on the command line (`:`). */
export type Action = {
  /** Its name after `:`. */
  readonly name: string;
  readonly category: Category;
  /** A word or two, for the key bar. */
  readonly label: string;
  /** What it does, to follow "cannot": `create a VM`. Default: the label. */
  readonly phrase?: string;
  /** A sentence, for the help and the documentation. */
  readonly description: string;
  /** The screens that have it; default: all. */
  readonly screens?: readonly ScreenKind[];
  /** Narrows `screens` by the present state. Several actions may share a key this way. */
  readonly here?: (context: ActionContext) => boolean;
  /** Its place in the key bar, lowest first; default: not shown. */
  readonly bar?: number;
  /** For an action that loses something: the confirmation question, or null if nothing would be lost. */
  readonly dangerous?: (context: ActionContext) => Question | null;
  /** A question for some cases in which nothing is lost, or null. */
  readonly confirm?: (context: ActionContext) => Question | null;
  /**
   * Whether it changes more than the view; `--read-only` then forbids it. `host-by-plan`: it shows a plan first, which
   * can always be read; the dialog decides whether it may be applied.
   */
  readonly changes?: 'vm' | 'host' | 'host-by-plan';
  /** It also works while the manager cannot be reached. */
  readonly withoutManager?: true;
  /** Why it is unavailable now, to follow "cannot ...:"; null if it is available. */
  readonly unavailable?: (context: ActionContext) => string | null;
  /** @throws what went wrong, in a sentence */
  readonly run: (context: ActionContext) => void | Promise<void>;
};

export function actionContext(ui: Ui): ActionContext {
  const state = ui.store.getState();
  return { ui, state, vm: ui.select.targetVm(state), vms: ui.select.targetVms(state) };
}

/** The reason for actions that need a VM where there is none, to follow "cannot ...:". */
export const NO_VM = 'there is no VM here';

export function noVm({ vm }: ActionContext): string | null {
  return vm === null ? NO_VM : null;
}

export function existsHere(action: Action, context: ActionContext): boolean {
  const onScreen = action.screens?.includes(currentScreen(context.state).kind) ?? true;
  return onScreen && (action.here?.(context) ?? true);
}

/** `cannot create a VM`. */
export function cannot({ phrase, label }: Pick<Action, 'phrase' | 'label'>): string {
  return `cannot ${phrase ?? label}`;
}

/** Why an action is unavailable now, to follow "cannot ...:"; null if it is available. */
export function disabledReason(action: Action, context: ActionContext): string | null {
  const { ui, state } = context;
  const changes = action.changes === 'host-by-plan' ? undefined : action.changes;
  if (changes !== undefined && ui.readOnly !== null) return ui.readOnly;
  if (action.changes === 'vm' && state.managerLost !== null && !action.withoutManager)
    return `no connection to the manager: ${state.managerLost.text}`;
  if (action.changes === 'host' && ui.host.source.unchangeable !== null) return ui.host.source.unchangeable;
  return action.unavailable?.(context) ?? null;
}

/** Runs an action, after confirmation if it is dangerous. The status line shows errors. */
export function runAction(action: Action, context: ActionContext): void {
  const { ui } = context;
  const reason = disabledReason(action, context);
  const ask = action.dangerous ?? action.confirm;
  const question = reason === null ? (ask?.(context) ?? null) : null;
  const run = () => perform(action, context);
  if (reason !== null) ui.notify('error', `${cannot(action)}: ${reason}`);
  else if (question !== null) ui.ask(question, run);
  else run();
}

function perform(action: Action, context: ActionContext): void {
  const failed = (error: unknown) =>
    context.ui.notify(
      'error',
      `${cannot(action)}: ${error instanceof Error ? error.message : String(error)}`,
    );
  try {
    Promise.resolve(action.run(context)).catch(failed);
  } catch (error) {
    failed(error);
  }
}
