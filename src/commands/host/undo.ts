import { describeUndone } from '../../host/plan/describe.ts';
import { actionText } from '../../host/plan/errors.ts';
import type { JournalEntry } from '../../host/plan/journal.ts';
import { undoEntry } from '../../host/plan/run.ts';
import { stepsToUndo, undoChanges } from '../../host/plan/step-states.ts';
import type { HostRoot } from '../../host/root.ts';
import { type ChangeContext, type ChangeOptions, systemContext } from './change.ts';

/** Undoes the last plan that was applied. @returns the exit status. */
export async function undoLast(
  root: HostRoot,
  options: ChangeOptions & { readonly list?: boolean },
  context: ChangeContext = systemContext(root),
): Promise<number> {
  const say = options.json ? () => {} : context.say;
  const journal = context.journal();
  if (options.list) return listEntries(await journal.entries(), options, context);
  const entry = await journal.latest();
  if (entry === null) {
    if (options.json) context.say(JSON.stringify({ version: 1, entry: null, outcome: null }, null, 2));
    say(`there is nothing to undo (plans are kept in ${journal.directory})`);
    return 0;
  }
  const summary = entrySummary(entry);
  if (options.dryRun) {
    say(`undo: ${entry.plan.title} (${entry.at})`);
    for (const line of undoText(entry)) say(line);
    if (options.json) context.say(JSON.stringify({ version: 1, entry: summary, outcome: null }, null, 2));
    return 0;
  }
  const outcome = await undoEntry(context.writer(), journal, entry);
  if (options.json) context.say(JSON.stringify({ version: 1, entry: summary, outcome }, null, 2));
  if (outcome.state === 'undone') {
    for (const line of describeUndone(outcome.changes, `undone: ${entry.plan.title}`)) say(line);
    return 0;
  }
  const reason =
    outcome.state === 'refused'
      ? `cannot undo "${entry.plan.title}": ${outcome.problem}`
      : describeUndone(outcome.changes, '').join('\n');
  throw new Error(reason);
}

function listEntries(
  entries: readonly JournalEntry[],
  options: ChangeOptions,
  context: ChangeContext,
): number {
  const newestFirst = [...entries].reverse();
  if (options.json) {
    context.say(JSON.stringify({ version: 1, entries: newestFirst.map(entrySummary) }, null, 2));
    return 0;
  }
  if (entries.length === 0) context.say('no plan has been applied yet');
  for (const entry of newestFirst) context.say(`${entry.at}  ${entry.state.padEnd(8)}  ${entry.plan.title}`);
  return 0;
}

function entrySummary(entry: JournalEntry): object {
  return { id: entry.id, at: entry.at, state: entry.state, kind: entry.plan.kind, title: entry.plan.title };
}

function undoText(entry: JournalEntry): string[] {
  return undoChanges(stepsToUndo(entry.plan.steps, entry.steps)).map(
    (change, index) => `  ${index + 1}. ${actionText(change.action)}`,
  );
}
