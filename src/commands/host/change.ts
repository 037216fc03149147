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

/** What a command takes that writes to devices. */
export type TimedOptions = HostOptions & { readonly stepTimeout?: number };
export type ChangeOptions = TimedOptions & { readonly dryRun?: boolean; readonly force?: boolean };

/** Where a command writes to, and to whom it speaks. */
export type ChangeContext = {
  readonly writer: () => HostWriter;
  readonly journal: () => Journal;
  readonly lock: ChangeLock;
  /** A line for people. */
  readonly say: (line: string) => void;
  readonly sayJson: (data: object) => void;
  /** A line that people should see whatever the output is for. */
  readonly warn: (line: string) => void;
};

export function systemContext(root: HostRoot, options: TimedOptions): ChangeContext {
  return {
    writer: () => systemWriter(root, options.stepTimeout),
    journal: () => new Journal(),
    // Loaded when it is needed: what it takes for a lock is not needed to look.
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
 * Shows a plan, or applies it as far as its checks allow. It is made anew once nobody else can change the host, so that it
 * fits what is there.
 * @returns the exit status: 0 when the host is as asked for; for a dry run, when it could be made so
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
  // A write that has just begun is waited for, with the lock of the process that makes it.
  const settled = plan.checks.filter(check => check.code !== 'pending');
  refuseBlocked({ ...plan, checks: settled }, options, context);
  const writer = context.writer();
  return await context.lock(
    async () => await applyNow(await makePlan(), writer, options, context),
    holder => context.warn(`waiting: ${holder}`),
  );
}

/** Seconds after which a step is said to take its time, and between one such line and the next. */
const FIRST_NEWS = 3;
const NEWS_EVERY = 10;

/** To be called while nobody else changes the host. */
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
      if ((waiting.seconds - FIRST_NEWS) % NEWS_EVERY === 0) context.warn(describeWaiting(waiting));
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

/** What is wrong with plans of before. */
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

/** What would become of the plan if it was not a dry run. */
function verdict(plan: Plan, force: boolean): string {
  const standing = standingBlocks(plan, force);
  const accepted = blocks(plan).length - standing.length;
  if (standing.length > 0) {
    const help = standing.some(check => !check.forceable) ? 'does not help' : 'would accept that';
    return `Verdict: blocked by ${checkCount(standing.length)}; --force ${help}`;
  }
  if (plan.steps.length === 0) return 'Verdict: nothing to do';
  return `Verdict: can be applied${accepted > 0 ? `; --force accepts ${checkCount(accepted)} that would block it` : ''}`;
}

function checkCount(count: number): string {
  return `${count} check${count === 1 ? '' : 's'}`;
}

/** Everything that stands in the way, and what could be done about it. */
function refusal(plan: Plan, force: boolean): string {
  const standing = standingBlocks(plan, force);
  const reasons = standing.map(check => `  ${check.subject ?? 'host'}: ${check.reason}`);
  const next = standing.some(check => !check.forceable)
    ? '--force does not help here'
    : 'to do it all the same, add --force; --dry-run shows what would be done';
  return `refused: ${plan.title}\n${reasons.join('\n')}\n${next}`;
}

function unneededText(steps: readonly StepState[]): string[] {
  const count = steps.filter(state => state === 'unneeded').length;
  return count === 0 ? [] : [`${count} of ${steps.length} steps were not needed`];
}
