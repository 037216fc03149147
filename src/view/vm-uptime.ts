import { isAlive } from '../engine/vm-info.ts';
import type { AppState } from '../store/app-store.ts';
import { uptime } from '../text/units.ts';

/** How long a VM has been running, as of the last sample; nothing for one that is not. */
export function uptimeOf(state: AppState, id: string): string {
  const vm = state.infos[id];
  if (!vm?.startedAt || !isAlive(vm) || state.sampledAt === 0) return '';
  return uptime(state.sampledAt - vm.startedAt);
}
