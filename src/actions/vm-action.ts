import type { Engine } from '../engine/engine.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import type { Question } from '../store/layers.ts';
import { type Action, type ActionContext, cannot, NO_VM } from './action.ts';
import type { Ui } from './ui.ts';

/** An operation on one or several VMs. */
export type VmAction = {
  readonly name: string;
  readonly label: string;
  /** What it does, to follow "cannot"; default: the label. */
  readonly phrase?: string;
  readonly description: string;
  readonly bar?: number;
  /** The confirming button, and the question's first word: `Kill`. */
  readonly verb: string;
  /** Why it cannot be done to this VM; null if it can. */
  readonly refusal: (vm: VmInfo) => string | null;
  /** What would be lost, for the question; default: nothing. */
  readonly loss?: { readonly title: (who: string) => string; readonly body: string };
  readonly act: (engine: Engine, id: string) => Promise<void>;
  /** The message when it is done: `web was reset`. */
  readonly done?: (who: string) => string;
  /** The message when it begins, if it takes a while. */
  readonly begun?: (who: string) => string;
};

/** The UI's action for it, on the VM at the cursor or on the marked ones. */
export function actionOnVms(action: VmAction): Action {
  const { name, label, phrase, description, bar, loss } = action;
  const ask = (context: ActionContext) => question(action, context);
  return {
    name,
    category: 'Virtual machine',
    screens: ['vms', 'vm'],
    changes: 'vm',
    label,
    ...(phrase !== undefined && { phrase }),
    description,
    ...(bar !== undefined && { bar }),
    unavailable: ({ vms }) => {
      const refusals = vms.map(action.refusal);
      if (refusals.includes(null)) return null;
      return refusals.length > 1
        ? `none of the ${vms.length} marked VMs is ready for it: ${refusals[0]}`
        : (refusals[0] ?? NO_VM);
    },
    ...(loss ? { dangerous: ask } : { confirm: ask }),
    run: ({ ui, vms }) =>
      perform(
        ui,
        action,
        vms.filter(vm => action.refusal(vm) === null),
      ),
  };
}

/** The question: always before a loss, else for several VMs, all of which are named. */
function question({ verb, loss, refusal }: VmAction, { vms }: ActionContext): Question | null {
  const able = vms.filter(vm => refusal(vm) === null);
  const who = nameOf(able);
  if (vms.length < 2) return loss ? { title: loss.title(who), body: loss.body, verb } : null;
  const left = vms.map(refusal).filter(reason => reason !== null);
  const body = [
    // A single VM is named in the title.
    ...(able.length > 1 ? [able.map(vm => vm.name).join(', ')] : []),
    ...(left.length > 0 ? [`Skipped: ${left.join('; ')}.`] : []),
    ...(loss ? [loss.body] : []),
  ].join('\n');
  return { title: loss?.title(who) ?? `${verb} ${who}?`, body, verb };
}

function nameOf(vms: readonly VmInfo[]): string {
  return vms.length === 1 ? vms[0]!.name : `${vms.length} VMs`;
}

type Failure = { readonly vm: VmInfo; readonly reason: string };

/** Runs it on all VMs in parallel, reports the outcome, and clears the marks. */
async function perform(ui: Ui, action: VmAction, vms: readonly VmInfo[]): Promise<void> {
  const { label, act, begun, done } = action;
  const who = nameOf(vms);
  const state = ui.store.getState();
  if (state.markedVms.size > 0) state.setMarkedVms(new Set());
  if (begun) ui.notify('info', begun(who));
  else if (vms.length > 1) ui.notify('info', `${label}: ${who}`);
  const results = await Promise.allSettled(vms.map(vm => act(ui.engine, vm.id)));
  const failures = results.flatMap((result, index): Failure[] =>
    result.status === 'fulfilled'
      ? []
      : [{ vm: vms[index]!, reason: (result.reason as Error)?.message ?? String(result.reason) }],
  );
  if (failures.length === 0) {
    if (done) ui.notify('info', done(who));
    else if (vms.length > 1) ui.notify('info', `${label}: done for ${who}`);
    return;
  }
  report(ui, action, vms, failures);
}

function report(ui: Ui, action: VmAction, vms: readonly VmInfo[], failures: readonly Failure[]): void {
  const [first] = failures;
  if (vms.length === 1) {
    ui.notify('error', `${first!.vm.name}: ${cannot(action)}: ${first!.reason}`);
    return;
  }
  const summary = `${action.label}: ${failures.length} of ${vms.length} failed`;
  ui.notify('error', `${summary}: ${failures.map(({ vm }) => vm.name).join(', ')}`);
  const reasons = new Map(failures.map(({ vm, reason }) => [vm.id, reason]));
  ui.read(
    summary,
    vms.map(vm => `${vm.name}: ${reasons.get(vm.id) ?? 'done'}`),
  );
}
