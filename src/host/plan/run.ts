import { readPci } from '../pci/read.ts';
import { pendingText, readPendingWrites } from '../pending-writes.ts';
import type { HostRoot } from '../root.ts';
import { sentenceList } from '../text.ts';
import { holderAndUser } from '../use/holders.ts';
import { readOpenFiles } from '../use/open-files.ts';
import { readVfio } from '../vfio/read.ts';
import { applyPlan, type Outcome, type Progress, type UndoneChange, undoSteps } from './apply.ts';
import { conditionText } from './condition-text.ts';
import { firstUnmet, foundInstead } from './conditions.ts';
import type { Journal, JournalContent } from './journal.ts';
import type { JournalEntry } from './journal-schema.ts';
import type { Plan } from './plan.ts';
import { stepsToUndo } from './step-states.ts';
import type { HostWriter } from './writer.ts';

/**
 * Applies a plan and records it for {@link undoEntry}: the journal is written before the first step, and before and
 * after each step. The caller holds the host lock.
 * @throws if the plan cannot be recorded; nothing is changed then
 */
export async function runPlan(
  writer: HostWriter,
  journal: Journal,
  plan: Plan,
  onProgress: Progress = () => {},
): Promise<Outcome> {
  if (plan.steps.length === 0) return await applyPlan(writer, plan);
  let entry = journal.begin(plan, bootId(writer));
  const outcome = await applyPlan(writer, plan, async (steps, waiting) => {
    if (waiting === null) {
      entry = { ...entry, steps };
      journal.write(entry);
    }
    await onProgress(steps, waiting);
  });
  const failures = outcome.rollback.filter(change => change.state === 'failed');
  try {
    if (outcome.state === 'applied') journal.write({ ...entry, state: 'applied', left: outcome.left });
    else if (outcome.state === 'hanging') journal.write({ ...entry, state: 'hanging', steps: outcome.steps });
    else if (failures.length > 0) journal.write({ ...entry, state: 'failed', failures });
    else journal.remove(entry);
  } catch (error) {
    // Completed steps are kept; undo treats the entry as an interrupted plan and checks each step.
    const { message } = error as Error;
    return { ...outcome, problem: outcome.problem === null ? message : `${outcome.problem}; ${message}` };
  }
  return outcome;
}

/** A sentence about the last plan if its process ended during it. The caller holds the host lock. */
export function interruptedPlan(content: JournalContent): string | null {
  const entry = content.entries.at(-1);
  if (entry?.state !== 'applying' && entry?.state !== 'hanging') return null;
  const step = entry.steps.findIndex(state => state !== 'done' && state !== 'unneeded');
  const where = step < 0 ? 'after its last step' : `at step ${step + 1} of ${entry.steps.length}`;
  const what = entry.state === 'hanging' ? 'is stuck' : 'was interrupted';
  return `"${entry.plan.title}" of ${entry.at} ${what} ${where}: undo it with vring undo`;
}

export type UndoOutcome = {
  readonly state: 'undone' | 'failed' | 'refused';
  readonly problem: string | null;
  readonly changes: readonly UndoneChange[];
};

/** Undoes a plan unless the host has changed since. */
export async function undoEntry(
  writer: HostWriter,
  journal: Journal,
  entry: JournalEntry,
): Promise<UndoOutcome> {
  const problem = await undoProblem(writer, entry);
  if (problem !== null) return { state: 'refused', problem, changes: [] };
  const changes = await undoSteps(writer, stepsToUndo(entry.plan.steps, entry.steps));
  const failures = changes.filter(change => change.state === 'failed');
  if (failures.length === 0) {
    journal.write({ ...entry, state: 'undone', failures: [] });
    return { state: 'undone', problem: null, changes };
  }
  // Partly undone: a retry checks each change separately.
  journal.write({ ...entry, state: 'failed', left: [], failures });
  return { state: 'failed', problem: 'some changes could not be undone', changes };
}

/** Why a plan cannot be undone now, or null. */
export async function undoProblem(writer: HostWriter, entry: JournalEntry): Promise<string | null> {
  const concerned = new Set(entry.plan.devices.map(device => device.address));
  const pending = readPendingWrites(writer.root).find(write => concerned.has(write.address));
  if (pending !== undefined) {
    return `${pendingText(pending)}, and the kernel has not completed it: stop the processes that use ${pending.address}, or reboot, then undo again`;
  }
  const held = await openInVm(writer.root, concerned);
  if (held !== null && entry.plan.kind !== 'vf-attributes') return held;
  const unmet = await firstUnmet(writer.root, entry.left);
  if (unmet === null) return null;
  const found = await foundInstead(writer.root, unmet);
  const since = entry.bootId === bootId(writer) ? '' : ' The host has rebooted since.';
  return `the host has changed since the plan was applied: it is no longer true that ${conditionText(unmet)}${found && ` (${found})`}.${since}`;
}

/** A change of the driver, or of the number of VFs, would hang until the VM ends. */
async function openInVm(root: HostRoot, concerned: ReadonlySet<string>): Promise<string | null> {
  const functions = readPci(root).filter(
    ({ address, physicalFunction }) =>
      concerned.has(address) || (physicalFunction !== null && concerned.has(physicalFunction)),
  );
  const held = readVfio(await readOpenFiles(root), functions).devices.find(
    ({ holders }) => holders.length > 0,
  );
  if (held === undefined) return null;
  return `${sentenceList(held.holders.map(holderAndUser))} has ${held.address} open: stop this VM first, then undo again`;
}

function bootId(writer: HostWriter): string {
  return writer.root.attribute('/proc/sys/kernel/random/boot_id') ?? '';
}
