import { programError } from '../../text/program-error.ts';
import { sentenceList } from '../text.ts';
import { conditionText } from './condition-text.ts';
import { firstUnmet, foundInstead } from './conditions.ts';
import { actionError, actionText } from './errors.ts';
import type { Action, Change, Condition, Plan, Step, UndoChange } from './plan.ts';
import { type StepState, stepsToUndo, undoChanges } from './step-states.ts';
import { HangingError, type TimeLimit } from './time-limit.ts';
import { userFinder } from './user-finder.ts';
import type { HostWriter } from './writer.ts';

export type UndoneChange = {
  /** `unneeded`: already in its earlier state. `kept`: something it depends on is still in use. */
  readonly state: 'undone' | 'unneeded' | 'kept' | 'failed';
  /** What was done. */
  readonly text: string;
  /** Why it was kept or failed. */
  readonly reason: string | null;
};

export type Outcome = {
  /**
   * `refused`: the host has changed since the plan was made; nothing was done. `hanging`: the kernel does not complete
   * a step; the plan stopped there, and the earlier steps were kept.
   */
  readonly state: 'applied' | 'failed' | 'refused' | 'hanging';
  readonly steps: readonly StepState[];
  /** Why, in a sentence. When applied: a warning, or null. */
  readonly problem: string | null;
  /** After a failure: the earlier steps, in the order in which they were undone. */
  readonly rollback: readonly UndoneChange[];
  /** The state after the plan, which must still hold for the plan to be undone. */
  readonly left: readonly Condition[];
};

/** A slow step. */
export type Waiting = {
  /** Index of the step. */
  readonly step: number;
  readonly seconds: number;
  readonly limitSeconds: number;
  /** Processes that have the device open. */
  readonly users: readonly string[];
};

/**
 * Called before and after each step, and with `waiting` during a slow one. If it throws (for example, because the
 * journal cannot be written), the step fails.
 */
export type Progress = (steps: readonly StepState[], waiting: Waiting | null) => void | Promise<void>;

/**
 * Applies a plan and verifies each step by reading back. After a failure, that step and all earlier ones are undone in
 * reverse. Never throws for failures of the host: the outcome reports them.
 */
export async function applyPlan(
  writer: HostWriter,
  plan: Plan,
  onProgress: Progress = () => {},
): Promise<Outcome> {
  const states: StepState[] = plan.steps.map(() => 'pending');
  const changed = await firstUnmet(writer.root, plan.assumes);
  if (changed !== null) {
    const problem = `the host has changed since the plan was made (it requires that ${conditionText(changed)}): make a new plan`;
    return { state: 'refused', steps: states, problem, rollback: [], left: [] };
  }
  for (const [index, step] of plan.steps.entries()) {
    try {
      states[index] = 'running';
      await onProgress([...states], null);
      const onWait = (waiting: Omit<Waiting, 'step'>) =>
        void onProgress([...states], { step: index, ...waiting });
      states[index] = (await makeChange(writer, step, onWait)) ? 'done' : 'unneeded';
      await onProgress([...states], null);
    } catch (error) {
      if ((error as Error).cause instanceof HangingError) {
        states[index] = 'hanging';
        const problem = `step ${index + 1} of ${plan.steps.length} hangs: ${(error as Error).message}`;
        return { state: 'hanging', steps: states, problem, rollback: [], left: [] };
      }
      states[index] = 'failed';
      const problem = `step ${index + 1} of ${plan.steps.length} failed: ${(error as Error).message}`;
      const rollback = await undoSteps(writer, stepsToUndo(plan.steps, states));
      return { state: 'failed', steps: states, problem, rollback, left: [] };
    }
  }
  return { state: 'applied', steps: states, problem: null, rollback: [], left: await left(writer, plan) };
}

/** Undoes steps in reverse order, continuing after failures. */
export async function undoSteps(writer: HostWriter, steps: readonly Step[]): Promise<UndoneChange[]> {
  return await undoAll(writer, undoChanges(steps));
}

/** Makes changes that lead back to an earlier state, in order, continuing after failures. */
export async function undoAll(writer: HostWriter, changes: readonly UndoChange[]): Promise<UndoneChange[]> {
  const undone: UndoneChange[] = [];
  let hangs = false;
  for (const change of changes) {
    if (hangs) {
      // The kernel holds the device's lock: they would hang, too.
      const reason = 'not tried: the kernel did not complete the previous change';
      undone.push({ state: 'failed', text: actionText(change.action), reason });
      continue;
    }
    const { hanging, ...result } = await undoChange(writer, change);
    undone.push(result);
    hangs = hanging;
  }
  return undone;
}

async function undoChange(
  writer: HostWriter,
  change: UndoChange,
): Promise<UndoneChange & { readonly hanging: boolean }> {
  const text = actionText(change.action);
  try {
    const unmet = await firstUnmet(writer.root, change.when);
    if (unmet !== null) {
      const found = await foundInstead(writer.root, unmet);
      return {
        state: 'kept',
        text,
        reason: `only if ${conditionText(unmet)}${found && `, but ${found}`}`,
        hanging: false,
      };
    }
    const made = await makeChange(writer, change);
    return { state: made ? 'undone' : 'unneeded', text, reason: null, hanging: false };
  } catch (error) {
    const { message, cause } = error as Error;
    return { state: 'failed', text, reason: message, hanging: cause instanceof HangingError };
  }
}

/** @returns false if the expected state held already. @throws if it does not hold afterwards */
async function makeChange(writer: HostWriter, change: Change, onWait: OnWait = () => {}): Promise<boolean> {
  if (change.expect.length > 0 && (await firstUnmet(writer.root, change.expect)) === null) return false;
  await perform(writer, change.action, onWait);
  const unmet = await waitFor(writer, change.expect, change.within);
  if (unmet !== null) {
    const found = await foundInstead(writer.root, unmet);
    const time = change.within > 0 ? ` within ${change.within} s` : '';
    throw new Error(
      `"${actionText(change.action)}" did not take effect${time}: expected that ${conditionText(unmet)}${found && `, but ${found}`}`,
    );
  }
  return true;
}

type OnWait = (waiting: Omit<Waiting, 'step'>) => void;

async function perform(writer: HostWriter, action: Action, onWait: OnWait): Promise<void> {
  let findUsers = async (): Promise<string[]> => [];
  const seconds = secondsFor(writer, action);
  let users: readonly string[] = [];
  let isOver = false;
  const limit: TimeLimit = {
    seconds,
    onWait: passed => {
      // Most writes complete immediately, so do not search for users yet.
      if (passed === 0) findUsers = userFinder(writer.root, action);
      if (passed < patienceSeconds) return;
      const report = () => {
        if (!isOver) onWait({ seconds: passed, limitSeconds: seconds, users });
      };
      // Searches all processes, so not every second.
      if ((passed - patienceSeconds) % 10 !== 0) report();
      else
        void findUsers()
          .then(found => {
            users = found;
          })
          .catch(() => {})
          .then(report);
    },
  };
  try {
    switch (action.kind) {
      case 'write':
        return await writer.writeAttribute(action.path, action.value, limit);
      case 'file':
        return await writer.replaceFile(action.path, action.content, action.mode, action.backup, limit);
      case 'remove':
        return await writer.removeFiles(action.paths, action.directory, limit);
      case 'run':
        return await runSuccessfully(writer, action, limit);
      case 'wait':
        return;
    }
  } catch (error) {
    const open = error instanceof HangingError ? await findUsers() : [];
    const where = open.length === 0 ? '' : `; the device is open in ${sentenceList(open)}`;
    throw new Error(`${actionError(action, error)}${where}`, { cause: error });
  } finally {
    isOver = true;
  }
}

/** Longer than most steps take: slow steps are reported after this. */
const patienceSeconds = 3;
/** The nvme driver waits up to half a minute when it unbinds. */
const defaultSeconds = 60;

function secondsFor(writer: HostWriter, action: Action): number {
  if (action.kind === 'run') return action.seconds;
  if (action.kind !== 'write') return defaultSeconds;
  return writer.writeSeconds ?? action.seconds ?? defaultSeconds;
}

async function runSuccessfully(
  writer: HostWriter,
  { argv }: Extract<Action, { kind: 'run' }>,
  limit: TimeLimit,
): Promise<void> {
  const result = await writer.run(argv, limit);
  if (result === null) throw new Error(`${argv[0]} is not installed`);
  if (result.exitCode === 0) return;
  const { stderr, stdout, exitCode } = result;
  throw new Error(programError(stderr, stdout) ?? `it exited with status ${exitCode}`);
}

const pollMilliseconds = 50;

async function waitFor(
  writer: HostWriter,
  conditions: readonly Condition[],
  seconds: number,
): Promise<Condition | null> {
  for (let waited = 0; ; waited += pollMilliseconds) {
    const unmet = await firstUnmet(writer.root, conditions);
    if (unmet === null || waited >= seconds * 1000) return unmet;
    await writer.sleep(pollMilliseconds);
  }
}

/** The verified conditions that still hold at the end: later steps may undo intermediate states. */
async function left(writer: HostWriter, plan: Plan): Promise<Condition[]> {
  const conditions: Condition[] = [];
  for (const condition of plan.steps.flatMap(step => step.expect)) {
    if ((await firstUnmet(writer.root, [condition])) === null) conditions.push(condition);
  }
  return conditions;
}
