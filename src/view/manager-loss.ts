import { isAlive, type Loss, type VmInfo } from '../engine/vm-info.ts';

/** The key of the action that starts a manager and the interrupted VMs (src/actions/start-again.ts). */
export const START_AGAIN_KEY = 'A';

/** One line on why the manager cannot be reached, and what the user can do. */
export function lossText({ kind, text }: Loss, vms: readonly VmInfo[], canStart: boolean): string {
  const left = vms.filter(isAlive);
  switch (kind) {
    case 'slow':
      return text;
    case 'disconnected':
    case 'refused':
      return `no connection to the manager: ${text}; reconnecting`;
    case 'ended':
      return withoutManager(`the manager ended: ${text}`, left, canStart);
    case 'died':
      return withoutManager('the manager died', left, canStart);
  }
}

/** @param left VMs that run without it */
function withoutManager(what: string, left: readonly VmInfo[], canStart: boolean): string {
  const keep = left.length === 1 ? 'keeps' : 'keep';
  const running = left.length === 0 ? what : `${what}; ${names(left)} ${keep} running`;
  return canStart ? `${running}; ${START_AGAIN_KEY} starts another manager` : running;
}

/** `web`, `web and db`, or `web, db and 3 more`. */
export function names(vms: readonly VmInfo[]): string {
  const all = vms.map(vm => vm.name);
  if (all.length > 3) return `${all.slice(0, 2).join(', ')} and ${all.length - 2} more`;
  return all.length < 2 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}
