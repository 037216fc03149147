import type { Step, UndoChange } from './plan.ts';

/**
 * `unneeded`: the expected state held already; it is not undone either. `hanging`: the kernel does not complete it, so
 * its result is unknown.
 */
export type StepState = 'pending' | 'running' | 'done' | 'unneeded' | 'failed' | 'hanging';

/** A failed step may be partly done: its undo checks. */
export function stepsToUndo(steps: readonly Step[], states: readonly StepState[]): Step[] {
  return steps.filter((_, index) => ['done', 'failed', 'running', 'hanging'].includes(states[index]!));
}

/** The changes that undo these steps, in reverse order except for those that must come last. */
export function undoChanges(steps: readonly Step[]): UndoChange[] {
  const reversed = [...steps].reverse();
  const ordered = [...reversed.filter(step => !step.undo.last), ...reversed.filter(step => step.undo.last)];
  return ordered.flatMap(step => step.undo.changes);
}
