import type { BalloonFacts, BalloonStats } from '../../devices/virtio/balloon/facts.ts';
import type { Engine } from '../../engine/engine.ts';
import { sizeText } from '../../text/size.ts';
import { bytes, count } from '../../text/units.ts';
import { balloonOf } from '../../view/balloon-facts.ts';
import { print } from '../host/host-options.ts';
import { findVm } from './find.ts';

const LABEL_CELLS = 12;

export type BalloonOptions = { readonly json?: boolean };

/**
 * Shows a VM's balloon; with `target`, in bytes, first sets how much memory the guest keeps. @throws an error for the
 * user
 */
export async function balloon(
  engine: Pick<Engine, 'vms' | 'setBalloon'>,
  name: string,
  target: number | null,
  options: BalloonOptions,
): Promise<void> {
  const { id } = findVm(engine.vms(), name);
  if (target !== null) await engine.setBalloon(id, target);
  const facts = balloonOf(findVm(engine.vms(), name));
  if (facts === null) throw new Error(`${name} has no balloon: add \`balloon: true\` to its definition`);
  // The manager's view of the VM may be slightly older than its answer.
  const now = target === null ? facts : { ...facts, target };
  print(options, { name, ...now }, () => lines(name, now));
}

function lines(name: string, { memory, target, current, active, stats, obstacle }: BalloonFacts): string[] {
  const fact = (label: string, text: string) => `${label.padEnd(LABEL_CELLS)}${text}`;
  return [
    fact('Name', name),
    fact('Memory', sizeText(memory)),
    fact('Target', sizeText(target)),
    fact('Current', sizeText(current)),
    ...(active ? [] : [fact('Driver', 'the guest has none')]),
    ...(obstacle === null ? [] : [fact('Host', `gets nothing: its memory ${obstacle}`)]),
    ...(stats === null ? [] : statLines(stats).map(([label, text]) => fact(label, text))),
  ];
}

function statLines({ free, total, available, caches, ...stats }: BalloonStats): [string, string][] {
  const sizes = { Free: free, Available: available, Caches: caches, 'Seen by it': total };
  const swap = { 'Swapped in': stats.swapIn, 'Swapped out': stats.swapOut };
  const counts = {
    Faults: stats.minorFaults,
    'Major faults': stats.majorFaults,
    'OOM kills': stats.oomKills,
  };
  const known = (values: Record<string, number | undefined>, text: (value: number) => string) =>
    Object.entries(values).flatMap(([label, value]): [string, string][] =>
      value === undefined ? [] : [[label, text(value)]],
    );
  return [...known(sizes, bytes), ...known(swap, bytes), ...known(counts, count)];
}
