import type { Engine } from '../../engine/engine.ts';
import type { VmInfo, VmState } from '../../engine/vm-info.ts';
import { printError, printLines } from '../../text/output.ts';
import { printJson } from '../host/host-options.ts';
import { findVm, requireNames, type Selection } from './find.ts';
import { Progress } from './progress.ts';

/** One operation on each VM. @typeParam By what carries it out: an engine, or a part of one */
export type Action<By> = {
  /** For the progress line: `starting`. */
  readonly doing: string;
  /** Whether --all includes the VM. */
  readonly applies: (vm: VmInfo) => boolean;
  /** How many run in parallel; without it, all. */
  readonly together?: number;
  /** What to print if --all includes none of these VMs and that is fine; null if it is not. */
  readonly nothingToDo?: (vms: readonly VmInfo[]) => string | null;
  /** @returns the result, in a few words. @throws why it failed */
  run(by: By, vm: VmInfo): Promise<string>;
};

export type ActOptions = Selection & { readonly json?: boolean };

/** One VM's entry in a command's JSON document. */
export type Outcome = {
  readonly name: string;
  readonly ok: boolean;
  /** Null after an error. */
  readonly result: string | null;
  readonly error: string | null;
  /** Afterwards; null for an unknown VM. */
  readonly state: VmState | null;
};

/**
 * Runs an operation on several VMs, continuing after failures, and reports each.
 * @returns the exit status: 1 if it failed for any
 */
export async function actOnEach<By extends Pick<Engine, 'vms'>>(
  engine: By,
  names: readonly string[],
  options: ActOptions,
  action: Action<By>,
): Promise<number> {
  const named = requireNames(names, options);
  const applying = () => engine.vms().filter(action.applies);
  const wanted = options.all ? applying().map(vm => vm.name) : named;
  if (wanted.length === 0 && !options.json) reportNothing(action.nothingToDo?.(engine.vms()) ?? null);
  const waiting = new Set(wanted);
  const progress = new Progress(() => `${action.doing} ${[...waiting].join(', ')}`);
  const outcomes = await inParallel(wanted, action.together ?? wanted.length, async name => {
    const outcome = await act(engine, name, action);
    waiting.delete(name);
    progress.clear();
    if (!options.json) report(outcome);
    return outcome;
  });
  progress.end();
  if (options.json) printJson({ vms: outcomes });
  return outcomes.every(({ ok }) => ok) ? 0 : 1;
}

async function act<By extends Pick<Engine, 'vms'>>(
  engine: By,
  name: string,
  action: Action<By>,
): Promise<Outcome> {
  const state = () => engine.vms().find(vm => vm.name === name)?.state ?? null;
  try {
    const result = await action.run(engine, findVm(engine.vms(), name));
    return { name, ok: true, result, error: null, state: state() };
  } catch (error) {
    return { name, ok: false, result: null, error: (error as Error).message, state: state() };
  }
}

function reportNothing(result: string | null): void {
  if (result === null) printError('vring: no matching VM');
  else printLines(result);
}

function report({ name, result, error }: Outcome): void {
  if (error === null) printLines(`${name}: ${result}`);
  else printError(namesIt(error, name) ? `vring: ${error}` : `vring: ${name}: ${error}`);
}

function namesIt(error: string, name: string): boolean {
  return error.startsWith(`${name} `) || error.startsWith('there is no VM ');
}

/** @returns the results in the order of the items */
async function inParallel<Item, Result>(
  items: readonly Item[],
  together: number,
  run: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await run(item);
  };
  await Promise.all(Array.from({ length: Math.min(together, items.length) }, worker));
  return results;
}
