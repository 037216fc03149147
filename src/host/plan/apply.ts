import { conditionText } from './condition-text.ts';
import { firstUnmet, foundInstead } from './conditions.ts';
import { actionError, actionText } from './errors.ts';
import type { Action, Change, Condition, Plan, Step, UndoChange } from './plan.ts';
import { type StepState, stepsToUndo, undoChanges } from './step-states.ts';
import type { HostWriter } from './writer.ts';

export type UndoneChange = {
  /** `unneeded`: it was as before already. `kept`: what it depends on is still in use. */
  readonly state: 'undone' | 'unneeded' | 'kept' | 'failed';
  /** What was done. */
  readonly text: string;
  /** Why it was kept, or failed. */
  readonly reason: string | null;
};

export type Outcome = {
  /** `refused`: the host is no longer what the plan was made for; nothing was done. */
  readonly state: 'applied' | 'failed' | 'refused';
  readonly steps: readonly StepState[];
  /** Why, in a sentence. When applied: what was not as it should be all the same, or null. */
  readonly problem: string | null;
  /** After a failure: the earlier steps undone, in the order in which that was done. */
  readonly rollback: readonly UndoneChange[];
  /** What the plan left behind, and what must still be so for it to be undone. */
  readonly left: readonly Condition[];
};

/** Called before and after each step. Where it throws, as when a journal cannot be written, the step counts as failed. */
export type Progress = (steps: readonly StepState[]) => void | Promise<void>;

/**
 * Carries out a plan, each step verified by reading back. A step that fails has itself and all earlier ones undone in
 * reverse. Never throws for what the host does: the outcome says what happened.
 */
export async function applyPlan(
  writer: HostWriter,
  plan: Plan,
  onProgress: Progress = () => {},
): Promise<Outcome> {
  const states: StepState[] = plan.steps.map(() => 'pending');
  const changed = await firstUnmet(writer.root, plan.assumes);
  if (changed !== null) {
    const problem = `the host has changed since the plan was made (it assumes that ${conditionText(changed)}): make it anew`;
    return { state: 'refused', steps: states, problem, rollback: [], left: [] };
  }
  for (const [index, step] of plan.steps.entries()) {
    try {
      states[index] = 'running';
      await onProgress([...states]);
      states[index] = (await makeChange(writer, step)) ? 'done' : 'unneeded';
      await onProgress([...states]);
    } catch (error) {
      states[index] = 'failed';
      const problem = `step ${index + 1} of ${plan.steps.length} failed: ${(error as Error).message}`;
      const rollback = await undoSteps(writer, stepsToUndo(plan.steps, states));
      return { state: 'failed', steps: states, problem, rollback, left: [] };
    }
  }
  return { state: 'applied', steps: states, problem: null, rollback: [], left: await left(writer, plan) };
}

/** One change that cannot be undone does not keep the others from it. */
export async function undoSteps(writer: HostWriter, steps: readonly Step[]): Promise<UndoneChange[]> {
  const undone: UndoneChange[] = [];
  for (const change of undoChanges(steps)) undone.push(await undoChange(writer, change));
  return undone;
}

async function undoChange(writer: HostWriter, change: UndoChange): Promise<UndoneChange> {
  const text = actionText(change.action);
  try {
    const unmet = await firstUnmet(writer.root, change.when);
    if (unmet !== null) {
      const found = await foundInstead(writer.root, unmet);
      return { state: 'kept', text, reason: `only if ${conditionText(unmet)}${found && `, but ${found}`}` };
    }
    const made = await makeChange(writer, change);
    return { state: made ? 'undone' : 'unneeded', text, reason: null };
  } catch (error) {
    return { state: 'failed', text, reason: (error as Error).message };
  }
}

/** @returns false when everything was as expected beforehand. @throws with a sentence when it is not afterwards. */
async function makeChange(writer: HostWriter, change: Change): Promise<boolean> {
  if (change.expect.length > 0 && (await firstUnmet(writer.root, change.expect)) === null) return false;
  await perform(writer, change.action);
  const unmet = await waitFor(writer, change.expect, change.within);
  if (unmet !== null) {
    const found = await foundInstead(writer.root, unmet);
    const time = change.within > 0 ? ` within ${change.within} s` : '';
    throw new Error(
      `after "${actionText(change.action)}", it did not come true${time} that ${conditionText(unmet)}${found && `: ${found}`}`,
    );
  }
  return true;
}

async function perform(writer: HostWriter, action: Action): Promise<void> {
  try {
    switch (action.kind) {
      case 'write':
        return await writer.writeAttribute(action.path, action.value);
      case 'file':
        return await writer.replaceFile(action.path, action.content, action.mode, action.backup);
      case 'remove':
        return await writer.removeFiles(action.paths, action.directory);
      case 'run':
        return await runSuccessfully(writer, action);
      case 'wait':
        return;
    }
  } catch (error) {
    throw new Error(actionError(action, error), { cause: error });
  }
}

async function runSuccessfully(
  writer: HostWriter,
  { argv, seconds }: Extract<Action, { kind: 'run' }>,
): Promise<void> {
  const result = await writer.run(argv, seconds);
  if (result === null) throw new Error(`${argv[0]} is not installed`);
  if (result.exitCode === 0) return;
  const lines = (result.stderr.trim() || result.stdout.trim()).split('\n');
  throw new Error(lines.at(-1) || `it ended with status ${result.exitCode}`);
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

/** Of all that the steps verified, what is still so at the end: later steps undo what earlier ones passed through. */
async function left(writer: HostWriter, plan: Plan): Promise<Condition[]> {
  const conditions: Condition[] = [];
  for (const condition of plan.steps.flatMap(step => step.expect)) {
    if ((await firstUnmet(writer.root, [condition])) === null) conditions.push(condition);
  }
  return conditions;
}
