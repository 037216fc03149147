import type { Step, UndoChange } from './plan.ts';

/**
 * `unneeded`: what the step was for was so already; it is not undone either. `hanging`: the kernel does not answer, and
 * whether it was done is not known.
 */
export type StepState = 'pending' | 'running' | 'done' | 'unneeded' | 'failed' | 'hanging';

/** A failed step may have done part of its work: its undo finds out. */
export function stepsToUndo(steps: readonly Step[], states: readonly StepState[]): Step[] {
  return steps.filter((_, index) => ['done', 'failed', 'running', 'hanging'].includes(states[index]!));
}

/** What undoes these steps, in the order in which it is done: in reverse, but for what has to come last. */
export function undoChanges(steps: readonly Step[]): UndoChange[] {
  const reversed = [...steps].reverse();
  const ordered = [...reversed.filter(step => !step.undo.last), ...reversed.filter(step => step.undo.last)];
  return ordered.flatMap(step => step.undo.changes);
}
