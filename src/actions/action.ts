import type { VmInfo } from '../engine/engine.ts';
import type { AppState } from '../store/app-store.ts';
import type { Question } from '../store/layers.ts';
import { currentScreen, type ScreenKind } from '../store/ui-slice.ts';
import type { Ui } from './ui.ts';

/** What a command works on. */
export type CommandContext = {
  readonly ui: Ui;
  readonly state: AppState;
  /** The VM that is shown, or under the cursor. */
  readonly vm: VmInfo | null;
  /** The VMs that a command is for: those that are marked, or that one. */
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

/** Something that the user can have done: by its keys, or by its name on the command line. */
export type Command = {
  /** What `:` calls it. */
  readonly name: string;
  readonly keys: readonly string[];
  readonly category: Category;
  /** A word or two, for the key bar. */
  readonly label: string;
  /** A sentence, for the help and the documentation. */
  readonly description: string;
  /** Where it exists; everywhere when absent. */
  readonly screens?: readonly ScreenKind[];
  /** Narrower than `screens`: is it there now? Several commands may share a key so. */
  readonly here?: (context: CommandContext) => boolean;
  /** Its place in the key bar, the lowest first; not there when absent. */
  readonly bar?: number;
  /** Marks what loses something: the question that must be answered first, or null when nothing would be lost. */
  readonly dangerous?: (context: CommandContext) => Question | null;
  /** Asks in some cases, where it loses nothing: the question, or null. */
  readonly confirm?: (context: CommandContext) => Question | null;
  /** Is what it does more than a change of what is seen? Then `--read-only` forbids it. */
  readonly changes?: 'vm' | 'host';
  /** Why it can't be done now, to follow "can't ...:"; null when it can. */
  readonly unavailable?: (context: CommandContext) => string | null;
  /** @throws what went wrong, in a sentence */
  readonly run: (context: CommandContext) => void | Promise<void>;
};

export function commandContext(ui: Ui): CommandContext {
  const state = ui.store.getState();
  return { ui, state, vm: ui.select.targetVm(state), vms: ui.select.targetVms(state) };
}

/** Why what needs a VM can't be done where there is none, to follow "can't ...:". */
export const NO_VM = 'there is no VM here';

export function noVm({ vm }: CommandContext): string | null {
  return vm === null ? NO_VM : null;
}

export function existsHere(command: Command, context: CommandContext): boolean {
  const onScreen = command.screens?.includes(currentScreen(context.state).kind) ?? true;
  return onScreen && (command.here?.(context) ?? true);
}

/** Why a command can't be done now, to follow "can't ...:"; null when it can. */
export function reasonAgainst(command: Command, context: CommandContext): string | null {
  const { ui, state } = context;
  if (command.changes !== undefined && ui.readOnly !== null) return ui.readOnly;
  if (command.changes === 'vm' && state.managerLost !== null)
    return `its manager is out of reach: ${state.managerLost}`;
  if (command.changes === 'host' && ui.host.source.unchangeable !== null) return ui.host.source.unchangeable;
  return command.unavailable?.(context) ?? null;
}

/** Runs a command; first asks, where it is dangerous. What fails is said in the status line. */
export function runCommand(command: Command, context: CommandContext): void {
  const { ui } = context;
  const reason = reasonAgainst(command, context);
  const ask = command.dangerous ?? command.confirm;
  const question = reason === null ? (ask?.(context) ?? null) : null;
  const run = () => perform(command, context);
  if (reason !== null) ui.notify('error', `can't ${command.label}: ${reason}`);
  else if (question !== null) ui.ask(question, run);
  else run();
}

function perform(command: Command, context: CommandContext): void {
  const failed = (error: unknown) =>
    context.ui.notify('error', `${command.label}: ${error instanceof Error ? error.message : String(error)}`);
  try {
    Promise.resolve(command.run(context)).catch(failed);
  } catch (error) {
    failed(error);
  }
}
