import { cannotStart, isAlive } from '../engine/vm-info.ts';
import type { AppState } from '../store/app-store.ts';
import { fullTime } from '../text/time.ts';

/** What there is to say of a VM in a line: since when it runs or why it doesn't, its definition, and who types. */
export function summaryFacts({ infos }: AppState, id: string): string[] {
  const vm = infos[id];
  if (vm === undefined) return [];
  const { state, startedAt, reason, keyboardHolder, defined, autostart } = vm;
  const obstacle = cannotStart(vm);
  const since = startedAt !== null && isAlive(vm) ? `${state} since ${fullTime(startedAt)}` : state;
  const definition = !defined ? 'without a definition' : autostart ? 'defined, autostart' : 'defined';
  const broken = Object.keys(vm.broken);
  return [
    since,
    ...(reason === null ? [] : [reason]),
    ...(broken.length === 0 ? [] : [`broken: ${broken.join(', ')}`]),
    obstacle === null ? definition : `cannot start: ${obstacle}`,
    ...(keyboardHolder === null ? [] : [`keyboard: ${keyboardHolder}`]),
  ];
}
