import { type Clock, systemClock } from '../clock.ts';
import type { LocalEngine } from '../engine/local-engine.ts';
import { vmDetail, vmTotals } from '../engine/sampling/rates.ts';
import { comparable, takeSnapshot } from '../engine/sampling/snapshot.ts';
import { Window } from '../engine/sampling/window.ts';
import { reportFacts } from '../report/report.ts';
import { textReport } from '../report/text.ts';
import { safeJson } from '../text/output.ts';

export type ReportOptions = {
  /** How long to watch. */
  readonly afterMs: number;
  readonly json: boolean;
  readonly clock?: Clock;
};

/** An engine whose counters can be read in place. */
export type ReportedEngine = Pick<
  LocalEngine,
  'vms' | 'counters' | 'threadTimes' | 'scrollback' | 'subscribe'
>;

/**
 * Watches a VM for a while and reports what it did, as text or JSON.
 * @throws when the VM has no machine to watch
 */
export async function report(engine: ReportedEngine, id: string, options: ReportOptions): Promise<string> {
  const clock = options.clock ?? systemClock;
  const before = takeSnapshot(engine, id, clock.now());
  await new Promise<void>(resolve => clock.after(options.afterMs, resolve));
  const after = takeSnapshot(engine, id, clock.now());
  const vm = engine.vms().find(vm => vm.id === id);
  if (vm === undefined) throw new Error(`there is no VM ${id}: see vring vm list`);
  if (before === null || after === null || !comparable(before, after)) {
    throw new Error(`${vm.name} is ${vm.state}: start it first to get a report`);
  }
  const window = new Window(before, after);
  const { topology } = vm;
  const facts = reportFacts(
    vm,
    vmTotals(window, topology),
    vmDetail(window, topology),
    engine.scrollback(id),
  );
  return options.json ? safeJson(facts, 2) : textReport(facts);
}
