import type { Outcome } from '../../host/plan/apply.ts';
import type { ChangeLock } from '../../host/plan/change-lock.ts';
import { describeCheck, describeOutcome, describePlan, describeWaiting } from '../../host/plan/describe.ts';
import { actionText } from '../../host/plan/errors.ts';
import { Journal, type JournalContent, journalDirectory } from '../../host/plan/journal.ts';
import { blocks, type Plan, standingBlocks } from '../../host/plan/plan.ts';
import { systemWriter } from '../../host/plan/process-writer.ts';
import { interruptedPlan, runPlan } from '../../host/plan/run.ts';
import type { StepState } from '../../host/plan/step-states.ts';
import type { HostWriter } from '../../host/plan/writer.ts';
import type { HostRoot } from '../../host/root.ts';
import { printData, printError, printLines } from '../../text/output.ts';
import type { HostOptions } from './host-options.ts';

/** Options of commands that write to devices. */
export type TimedOptions = HostOptions & { readonly stepTimeout?: number };
export type ChangeOptions = TimedOptions & { readonly dryRun?: boolean; readonly force?: boolean };

/** Where a command writes and reports. */
export type ChangeContext = {
  readonly writer: () => HostWriter;
  readonly journal: () => Journal;
  readonly lock: ChangeLock;
  /** Prints a line of text output. */
  readonly say: (line: string) => void;
  readonly sayJson: (data: object) => void;
  /** Prints a warning, also with --json. */
  readonly warn: (line: string) => void;
};

export function systemContext(root: HostRoot, options: TimedOptions): ChangeContext {
  return {
    writer: () => systemWriter(root, options.stepTimeout),
    journal: () => new Journal(),
    // Loaded on demand: commands that only read do not need the lock.
    lock: async (change, onWait) => {
      const { hostLock } = await import('../../manager/host-lock.ts');
      return await hostLock(journalDirectory())(change, onWait);
    },
    say: line => printLines(line),
    sayJson: data => printData(data),
    warn: line => printError(`vring: ${line}`),
  };
}

/**
 * Shows a plan, or applies it if its checks allow. The plan is made again under the host lock, so that it fits the current
 * state.
 * @returns the exit status: 0 when the host is as requested or, for a dry run, when the plan can be applied
 */
export async function carryOut(
  makePlan: () => Plan | Promise<Plan>,
  options: ChangeOptions,
  context: ChangeContext,
): Promise<number> {
  const plan = await makePlan();
  const standing = standingBlocks(plan, options.force === true);
  if (options.dryRun) {
    const say = options.json ? () => {} : context.say;
    for (const line of describePlan(plan)) say(line);
    say('');
    say(verdict(plan, options.force === true));
    report(plan, null, options, context);
    return standing.length > 0 ? 1 : 0;
  }
  // A write that is still pending holds the host lock, so waiting for the lock waits for it.
  const settled = plan.checks.filter(check => check.code !== 'pending');
  refuseBlocked({ ...plan, checks: settled }, options, context);
  const writer = context.writer();
  return await context.lock(
    async () => await applyNow(await makePlan(), writer, options, context),
    holder => context.warn(`waiting: ${holder}`),
  );
}

/** Seconds until the first line about a slow step, and between the following ones. */
const FIRST_REPORT_S = 3;
const REPORT_EVERY_S = 10;

/** The caller holds the host lock. */
async function applyNow(
  plan: Plan,
  writer: HostWriter,
  options: ChangeOptions,
  context: ChangeContext,
): Promise<number> {
  const say = options.json ? () => {} : context.say;
  refuseBlocked(plan, options, context);
  const journal = context.journal();
  warnOfJournal(journal.read(), context);
  for (const check of plan.checks.filter(each => each.level !== 'ok')) say(describeCheck(check));
  const outcome = await runPlan(writer, journal, plan, (steps, waiting) => {
    if (waiting !== null) {
      if ((waiting.seconds - FIRST_REPORT_S) % REPORT_EVERY_S === 0) context.warn(describeWaiting(waiting));
      return;
    }
    const running = steps.indexOf('running');
    if (running >= 0) say(`${running + 1}/${steps.length} ${actionText(plan.steps[running]!.action)}`);
  });
  report(plan, outcome, options, context);
  if (outcome.state !== 'applied') throw new Error(describeOutcome(plan, outcome).join('\n'));
  for (const line of [...describeOutcome(plan, outcome), ...unneededText(outcome.steps)]) say(line);
  if (plan.steps.length > 0) for (const note of plan.notes) say(note);
  return 0;
}

function report(plan: Plan, outcome: Outcome | null, options: ChangeOptions, context: ChangeContext): void {
  if (options.json) context.sayJson({ version: 1, plan, outcome });
}

/** Warns about damaged and interrupted plans. */
export function warnOfJournal(content: JournalContent, context: ChangeContext): void {
  const interrupted = interruptedPlan(content);
  for (const line of [...content.damaged, ...(interrupted === null ? [] : [interrupted])]) context.warn(line);
}

function refuseBlocked(plan: Plan, options: ChangeOptions, context: ChangeContext): void {
  const force = options.force === true;
  if (standingBlocks(plan, force).length === 0) return;
  report(plan, null, options, context);
  throw new Error(refusal(plan, force));
}

/** The result that a dry run predicts. */
function verdict(plan: Plan, force: boolean): string {
  const standing = standingBlocks(plan, force);
  const accepted = blocks(plan).length - standing.length;
  if (standing.length > 0) {
    const help = standing.some(check => !check.forceable) ? 'does not help' : 'overrides that';
    return `Verdict: blocked by ${checkCount(standing.length)}; --force ${help}`;
  }
  if (plan.steps.length === 0) return 'Verdict: nothing to do';
  return `Verdict: can be applied${accepted > 0 ? `; --force overrides ${checkCount(accepted)}` : ''}`;
}

function checkCount(count: number): string {
  return `${count} check${count === 1 ? '' : 's'}`;
}

/** Everything that blocks the plan, and the next step. */
function refusal(plan: Plan, force: boolean): string {
  const standing = standingBlocks(plan, force);
  const reasons = standing.map(check => `  ${check.subject ?? 'host'}: ${check.reason}`);
  const next = standing.some(check => !check.forceable)
    ? '--force does not help here'
    : 'use --force to apply it anyway; --dry-run shows the steps';
  return `refused: ${plan.title}\n${reasons.join('\n')}\n${next}`;
}

function unneededText(steps: readonly StepState[]): string[] {
  const count = steps.filter(state => state === 'unneeded').length;
  return count === 0 ? [] : [`${count} of ${steps.length} steps were not needed`];
}
