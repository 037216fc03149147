import type { Loss, VmInfo } from '../engine/vm-info.ts';

/** The key of the action that starts a manager and the interrupted VMs (src/actions/start-again.ts). */
export const START_AGAIN_KEY = 'A';

/** One line on why the manager cannot be reached, and what the user can do. */
export function lossText({ kind, text }: Loss, vms: readonly VmInfo[], canStart: boolean): string {
  switch (kind) {
    case 'slow':
      return text;
    case 'disconnected':
    case 'refused':
      return `no connection to the manager: ${text}; reconnecting`;
    case 'ended':
      return `the manager ended: ${text}${canStart ? `; ${START_AGAIN_KEY} starts another` : ''}`;
    case 'died':
      return diedText(
        text,
        vms.filter(vm => vm.interrupted),
        canStart,
      );
  }
}

/** What the user can do comes before the names, which may be many. */
function diedText(text: string, interrupted: readonly VmInfo[], canStart: boolean): string {
  if (interrupted.length === 0) return `${text}${canStart ? `; ${START_AGAIN_KEY} starts another` : ''}`;
  const what = interrupted.length === 1 ? 'it and its VM' : 'it and its VMs';
  const offer = canStart ? `; ${START_AGAIN_KEY} starts ${what} again` : ', and its VMs ended with it';
  return `the manager died${offer}: ${names(interrupted)}`;
}

/** `web`, `web and db`, or `web, db and 3 more`. */
export function names(vms: readonly VmInfo[]): string {
  const all = vms.map(vm => vm.name);
  if (all.length > 3) return `${all.slice(0, 2).join(', ')} and ${all.length - 2} more`;
  return all.length < 2 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}
