import { describeUndone } from '../../host/plan/describe.ts';
import { actionText } from '../../host/plan/errors.ts';
import { latestEntry } from '../../host/plan/journal.ts';
import type { JournalEntry } from '../../host/plan/journal-schema.ts';
import { type UndoOutcome, undoEntry } from '../../host/plan/run.ts';
import { stepsToUndo, undoChanges } from '../../host/plan/step-states.ts';
import type { HostWriter } from '../../host/plan/writer.ts';
import type { HostRoot } from '../../host/root.ts';
import { type ChangeContext, type ChangeOptions, systemContext } from './change.ts';

type UndoOptions = ChangeOptions & { readonly list?: boolean };

/** Undoes the last applied plan. @returns the exit status */
export async function undoLast(
  root: HostRoot,
  options: UndoOptions,
  context: ChangeContext = systemContext(root, options),
): Promise<number> {
  if (options.list) {
    const content = context.journal().read();
    for (const line of content.damaged) context.warn(line);
    return listEntries(content.entries, options, context);
  }
  if (options.dryRun) return await undoNow(null, options, context);
  const writer = context.writer();
  return await context.lock(
    () => undoNow(writer, options, context),
    holder => context.warn(`waiting: ${holder}`),
  );
}

/** @param writer null for a dry run; otherwise the caller holds the host lock */
async function undoNow(
  writer: HostWriter | null,
  options: UndoOptions,
  context: ChangeContext,
): Promise<number> {
  const say = options.json ? () => {} : context.say;
  const report = (entry: JournalEntry | null, outcome: UndoOutcome | null): void => {
    const summary = entry === null ? null : entrySummary(entry);
    if (options.json) context.sayJson({ version: 1, entry: summary, outcome });
  };
  const journal = context.journal();
  const content = journal.read();
  for (const line of content.damaged) context.warn(line);
  const entry = latestEntry(content);
  if (entry === null) {
    report(null, null);
    say(`nothing to undo (journal: ${journal.directory})`);
    return 0;
  }
  if (writer === null) {
    say(`undo: ${entry.plan.title} (${entry.at})`);
    for (const line of undoText(entry)) say(line);
    report(entry, null);
    return 0;
  }
  const outcome = await undoEntry(writer, journal, entry);
  report(entry, outcome);
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
    context.sayJson({ version: 1, entries: newestFirst.map(entrySummary) });
    return 0;
  }
  if (entries.length === 0) context.say('no plans applied yet');
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
