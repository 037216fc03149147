import type { Engine } from '../../engine/engine.ts';
import { isAlive } from '../../engine/vm-info.ts';
import { type Report, reportFacts } from '../../report/report.ts';
import { textReport } from '../../report/text.ts';
import { printData, printError, printText } from '../../text/output.ts';
import { own } from '../../text/own.ts';
import { printJson } from '../host/host-options.ts';
import { sampleForever, sampleOnce } from '../samples.ts';
import { INTERVAL_MS } from '../top/options.ts';
import { findVm, requireNames, type Selection } from './find.ts';
import { untilLeft } from './until-left.ts';

export type StatsOptions = Selection & {
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly interval?: number;
};

/** Prints what VMs did over an interval. @returns the exit status: 1 if one of them cannot be measured */
export async function printStats(
  engine: Engine,
  names: readonly string[],
  options: StatsOptions,
): Promise<number> {
  const intervalMs = options.interval ?? INTERVAL_MS.usual;
  const named = requireNames(names, options);
  const alive = () => engine.vms().filter(isAlive);
  const wanted = options.all ? alive().map(vm => vm.name) : named;
  const running = wanted.filter(name => reportUnlessAlive(engine, name));
  const reports = await Promise.all(running.map(name => measured(engine, name, intervalMs)));
  show(reports, options);
  const left = options.watch && running.length > 0 ? await watch(engine, running, intervalMs, options) : 0;
  return left || (running.length === wanted.length ? 0 : 1);
}

function reportUnlessAlive(engine: Engine, name: string): boolean {
  try {
    const { state } = findVm(engine.vms(), name);
    if (state !== 'off' && state !== 'crashed') return true;
    printError(`vring: ${name} is ${state}: start it to measure it`);
  } catch (error) {
    printError(`vring: ${(error as Error).message}`);
  }
  return false;
}

async function measured(engine: Engine, name: string, intervalMs: number): Promise<Report | null> {
  const { totals, detail } = await sampleOnce(engine, { intervalMs, detailOf: name });
  return reportOf(engine, name, own(totals, name), detail);
}

async function watch(
  engine: Engine,
  names: readonly string[],
  intervalMs: number,
  options: StatsOptions,
): Promise<number> {
  const stops = names.map(name =>
    sampleForever(engine, { intervalMs, detailOf: name }, ({ totals, detail }) =>
      show([reportOf(engine, name, own(totals, name), detail)], options),
    ),
  );
  const status = await untilLeft();
  for (const stop of stops) stop();
  return status;
}

/** Null for a VM that has ended in the meantime. */
function reportOf(
  engine: Engine,
  name: string,
  totals: Parameters<typeof reportFacts>[1] | undefined,
  detail: { readonly rates: Parameters<typeof reportFacts>[2] } | null,
): Report | null {
  const vm = engine.vms().find(vm => vm.name === name);
  return vm === undefined || totals === undefined || detail === null
    ? null
    : reportFacts(vm, totals, detail.rates);
}

function show(reports: readonly (Report | null)[], { json, watch }: StatsOptions): void {
  const known = reports.filter(report => report !== null);
  if (!json) for (const report of known) printText(`${textReport(report)}\n`);
  else if (watch) for (const report of known) printData(report, 'line');
  else printJson({ vms: known });
}
