import { isAlive, type Loss, type VmInfo } from '../engine/vm-info.ts';
import { width } from '../text/width.ts';

/** The key of the action that starts a manager and the interrupted VMs (src/actions/start-again.ts). */
export const START_AGAIN_KEY = 'A';

export type LossTextOptions = {
  /** The key that starts another manager; null if none does. */
  readonly key: string | null;
  /** The cells that there are: names are left out for what the user can do; default: any number. */
  readonly cells?: number;
};

/** One line on why the manager cannot be reached, and what the user can do. */
export function lossText({ kind, text }: Loss, vms: readonly VmInfo[], options: LossTextOptions): string {
  const left = vms.filter(isAlive);
  switch (kind) {
    case 'slow':
      return text;
    case 'disconnected':
    case 'refused':
      return `no connection to the manager: ${text}; reconnecting`;
    case 'ended':
      return withoutManager(`the manager ended: ${text}`, left, options);
    case 'died':
      return withoutManager('the manager died', left, options);
  }
}

/** @param left VMs that run without it */
function withoutManager(
  what: string,
  left: readonly VmInfo[],
  { key, cells = Number.POSITIVE_INFINITY }: LossTextOptions,
): string {
  const keep = left.length === 1 ? 'keeps' : 'keep';
  const count = left.length === 1 ? '1 VM' : `${left.length} VMs`;
  const next = key === null ? [] : [`${key} starts another manager`];
  const texts = [
    ...(left.length === 0 ? [] : [names(left), count].map(vms => [what, `${vms} ${keep} running`, ...next])),
    [what, ...next],
  ].map(parts => parts.join('; '));
  return texts.find(text => width(text) <= cells) ?? texts.at(-1)!;
}

/** `web`, `web and db`, or `web, db and 3 more`. */
export function names(vms: readonly VmInfo[]): string {
  const all = vms.map(vm => vm.name);
  if (all.length > 3) return `${all.slice(0, 2).join(', ')} and ${all.length - 2} more`;
  return all.length < 2 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}
