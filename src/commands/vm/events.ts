import type { Engine } from '../../engine/engine.ts';
import type { LogEntry } from '../../engine/vm-info.ts';
import { printData, printError, printLines } from '../../text/output.ts';
import { printableLines } from '../../text/printable.ts';
import { fullTime } from '../../text/time.ts';
import { printJson } from '../host/host-options.ts';
import { unknownVm } from './find.ts';
import { untilLeft } from './until-left.ts';

export type EventOptions = { readonly json?: boolean; readonly follow?: boolean; readonly last?: number };

/** Prints the manager's log for some VMs or all; with --follow, also new entries until interrupted. @returns the exit status */
export async function printEvents(
  engine: Engine,
  names: readonly string[],
  { json = false, follow = false, last }: EventOptions,
): Promise<number> {
  const known = new Set([...engine.vms().map(vm => vm.name), ...engine.log().map(entry => entry.vm)]);
  const unknown = names.find(name => !known.has(name));
  if (unknown !== undefined) throw new Error(unknownVm(engine.vms(), unknown));
  const wanted = (entry: LogEntry) => names.length === 0 || (entry.vm !== null && names.includes(entry.vm));
  const entries = engine
    .log()
    .filter(wanted)
    .slice(last === undefined ? 0 : -last);
  if (json && !follow) {
    printJson({ events: entries.map(eventFacts) });
    return 0;
  }
  const printEntry = (entry: LogEntry) =>
    json ? printData(eventFacts(entry), 'line') : printLines(...entryLines(entry));
  entries.forEach(printEntry);
  if (!follow) return 0;
  const unsubscribe = engine.subscribe(event => {
    if (event.kind === 'log' && wanted(event.entry)) printEntry(event.entry);
    if (event.kind === 'link')
      printError(event.loss === null ? 'vring: reattached to the manager' : `vring: ${event.loss.text}`);
  });
  const status = await untilLeft();
  unsubscribe();
  return status;
}

function eventFacts({ number, at, vm, level, text }: LogEntry): LogEntry {
  return { number, at, vm, level, text };
}

/** `2026-01-31 12:00:00 web error: it crashed`, with its details indented below. */
export function entryLines({ at, vm, level, text }: LogEntry): string[] {
  const [first = '', ...more] = printableLines(text);
  const emphasis = level === 'info' ? '' : ` ${level}:`;
  return [`${fullTime(at)} ${vm ?? '-'}${emphasis} ${first}`, ...more.map(line => `  ${line}`)];
}
