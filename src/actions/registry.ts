import type { ScreenKind } from '../store/screens.ts';
import { currentScreen } from '../store/ui-slice.ts';
import { type Action, type ActionContext, existsHere } from './action.ts';
import { attachActions } from './attach.ts';
import { attachDiskActions } from './attach-disk.ts';
import { attachNicActions } from './attach-nic.ts';
import { balloonActions } from './balloon.ts';
import { consoleActions } from './console.ts';
import { definitionActions } from './definitions.ts';
import { detachActions } from './detach.ts';
import { diskActions } from './disks.ts';
import { hostActions } from './host.ts';
import { hostViewActions } from './host-view.ts';
import { imageActions } from './images.ts';
import { logActions } from './log.ts';
import { markActions } from './marks.ts';
import { migrationActions } from './migrate.ts';
import { networkActions } from './networks.ts';
import { nicActions } from './nics.ts';
import { overviewActions } from './overview.ts';
import { queueActions } from './queues.ts';
import { screenActions } from './screen.ts';
import { snapshotActions } from './snapshots.ts';
import { sortActions } from './sort.ts';
import { startAgain } from './start-again.ts';
import { vcpuActions } from './vcpus.ts';
import { viewActions } from './view.ts';
import { vmActions } from './vm.ts';
import { vmChangeActions } from './vm-changes.ts';
import { vmViewActions } from './vm-view.ts';

/** All actions: the one source of the key bindings, the help, the key bar and the documentation. */
export const actions: readonly Action[] = [
  ...viewActions,
  ...vmViewActions,
  ...screenActions,
  ...overviewActions,
  ...logActions,
  ...queueActions,
  ...sortActions,
  ...markActions,
  ...hostViewActions,
  ...hostActions,
  ...networkActions,
  ...imageActions,
  ...attachActions,
  ...vmActions,
  ...snapshotActions,
  ...migrationActions,
  startAgain,
  ...vmChangeActions,
  ...diskActions,
  ...nicActions,
  ...vcpuActions,
  ...balloonActions,
  ...attachDiskActions,
  ...attachNicActions,
  ...detachActions,
  ...definitionActions,
  ...consoleActions,
];

/** The actions on the screen that is shown. */
export function actionsHere(context: ActionContext): readonly Action[] {
  return actions.filter(action => existsHere(action, context));
}

const inBar = actions.filter(({ bar }) => bar !== undefined).sort((a, b) => a.bar! - b.bar!);
/** Those that a screen may have, as the bar asks for them with each key. */
const inBarOf = new Map<ScreenKind, readonly Action[]>();

/** The actions for the key bar, in its order. */
export function barActions(context: ActionContext): readonly Action[] {
  const { kind } = currentScreen(context.state);
  const ofScreen = inBarOf.get(kind) ?? inBar.filter(({ screens }) => screens?.includes(kind) ?? true);
  inBarOf.set(kind, ofScreen);
  return ofScreen.filter(({ here }) => here?.(context) ?? true);
}
