import { type Action, type ActionContext, existsHere } from '../actions/action.ts';
import { actions } from '../actions/registry.ts';
import { START_AGAIN_KEY } from '../view/manager-loss.ts';

/**
 * The keys of each action, by its name; the first one is shown in the key bar. Keys are written as `parse-key.ts` names
 * them. Several actions may share a key where no screen has two of them at once.
 */
export const BINDINGS: Readonly<Record<string, readonly string[]>> = {
  // Move
  down: ['j', 'down'],
  up: ['k', 'up'],
  'page-down': ['pagedown', 'ctrl+f'],
  'page-up': ['pageup', 'ctrl+b'],
  top: ['g', 'home'],
  bottom: ['G', 'end'],
  open: ['enter'],
  'open-function': ['enter'],
  'open-vm-of-row': ['enter'],
  'open-vm-of-entry': ['enter'],
  'open-queue': ['enter'],
  'open-network': ['enter'],
  'open-image': ['enter'],
  back: ['esc'],
  leave: ['esc'],
  'clear-filter': ['esc'],
  unfold: ['l', 'right'],
  fold: ['h', 'left'],
  'next-tab': ['tab', 'l', 'right'],
  'previous-tab': ['shift+tab', 'h', 'left'],

  // Screens and tabs
  overview: ['0'],
  vms: ['1'],
  pci: ['2'],
  iommu: ['3'],
  sriov: ['4'],
  vfio: ['5'],
  doctor: ['6'],
  log: ['7'],
  queues: ['8'],
  networks: ['9'],
  'tab-summary': ['1'],
  'tab-vcpus': ['2'],
  'tab-exits': ['3'],
  'tab-queues': ['4'],
  'tab-disks': ['5'],
  'tab-networks': ['6'],
  'tab-devices': ['7'],
  'tab-console': ['8'],
  'tab-events': ['9'],
  'tab-snapshots': ['0'],

  // Look
  about: ['d'],
  filter: ['/'],
  'sort-menu': ['o'],
  'sort-next': ['shift+right', '>'],
  'sort-previous': ['shift+left', '<'],
  'sort-reverse': ['v'],
  'sort-exits': ['>', 'shift+right'],
  'sort-exits-back': ['<', 'shift+left'],
  refresh: ['r'],
  yaml: ['y'],
  'command-line': [':'],
  help: ['?'],

  // Marks
  mark: ['space'],
  'mark-vm': ['space'],
  'mark-range': ['ctrl+space'],
  'mark-down': ['shift+down'],
  'mark-up': ['shift+up'],
  'mark-invert': ['*'],

  // Console
  console: ['c'],
  'next-console': ['t'],
  screen: ['z'],
  'send-keys': ['f'],
  screenshot: ['s'],
  copy: ['y'],
  'mark-line': ['space'],
  search: ['/'],
  'search-older': ['n'],
  'search-newer': ['N'],

  // Measure
  freeze: ['p'],
  interval: ['i'],
  'reset-totals': ['r'],

  // Actions that change a VM have capital letters, so that a slip of the finger cannot trigger one.
  start: ['S'],
  'start-again': [START_AGAIN_KEY],
  pause: ['P'],
  resume: ['U'],
  upgrade: ['V'],
  'power-button': ['O'],
  reset: ['R'],
  kill: ['K'],
  delete: ['X'],
  autostart: ['T'],
  rename: ['M'],
  clone: ['C'],
  'resize-disk': ['Z'],
  'change-medium': ['m'],
  'limit-disk': ['L'],
  'limit-nic': ['L'],
  'link-nic': ['I'],
  vcpus: ['E'],
  balloon: ['Q'],
  snapshot: ['W'],
  save: ['J'],
  migrate: ['H'],
  restore: ['Y'],
  // D deletes the item under the cursor.
  'delete-snapshot': ['D'],
  detach: ['D'],
  'new-vm': ['n'],
  'edit-vm': ['e'],

  // Actions that change the host do, too.
  attach: ['a'],
  'attach-here': ['a'],
  'attach-disk': ['a'],
  'attach-nic': ['a'],
  'new-network': ['n'],
  'start-network': ['S'],
  'stop-network': ['O'],
  'delete-network': ['X'],
  'check-image': ['c'],
  'new-image': ['n'],
  'resize-image': ['Z'],
  'convert-image': ['C'],
  'snapshot-image': ['W'],
  'apply-image-snapshot': ['Y'],
  'delete-image-snapshot': ['D'],
  bind: ['B'],
  release: ['H'],
  edit: ['E'],
  fix: ['F'],
  undo: ['u'],

  // Program
  redraw: ['ctrl+l'],
  suspend: ['ctrl+z'],
  quit: ['q', 'ctrl+c'],
};

export function keysOf({ name }: Action): readonly string[] {
  return BINDINGS[name] ?? [];
}

/** The action that a key means on the screen that is shown. */
export function actionOfKey(key: string, context: ActionContext): Action | undefined {
  return actions.find(action => keysOf(action).includes(key) && existsHere(action, context));
}

const KEY_LABELS: Readonly<Record<string, string>> = {
  enter: 'Enter',
  esc: 'Esc',
  tab: 'Tab',
  'shift+tab': 'Shift-Tab',
  space: 'Space',
  up: 'Up',
  down: 'Down',
  left: 'Left',
  right: 'Right',
  home: 'Home',
  end: 'End',
  pageup: 'PgUp',
  pagedown: 'PgDn',
  'ctrl+space': 'Ctrl-Space',
  'shift+up': 'Shift-Up',
  'shift+down': 'Shift-Down',
  'shift+left': 'Shift-Left',
  'shift+right': 'Shift-Right',
};

/** A key as people write it: `Ctrl-F`, `PgDn`, `K`. */
export function keyLabel(key: string): string {
  const control = /^ctrl\+(.)$/.exec(key);
  return control ? `Ctrl-${control[1]!.toUpperCase()}` : (KEY_LABELS[key] ?? key);
}
