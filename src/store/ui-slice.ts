import type { StateCreator } from 'zustand/vanilla';
import type { AppState } from './app-store.ts';
import { HOST_LISTS, type HostList } from './host-slice.ts';
import type { Layer } from './layers.ts';

export type Screen =
  | { readonly kind: 'vms' | HostList }
  | { readonly kind: 'vm'; readonly id: string }
  /** One PCI function. */
  | { readonly kind: 'function'; readonly address: string };
export type ScreenKind = Screen['kind'];

/** The parts of the VM screen, in the order in which Tab visits them. */
export const PANES = ['vcpus', 'exits', 'regions', 'queues', 'console'] as const;
export type Pane = (typeof PANES)[number];

export type Notice = { readonly level: 'info' | 'error'; readonly text: string };

/** Cells of the terminal. */
export type Size = { readonly columns: number; readonly rows: number };

export type UiSlice = {
  readonly size: Size;
  /** Screens from the first opened to the one shown. */
  readonly screens: readonly Screen[];
  /** What lies over the screen; the last one gets the keys. */
  readonly layers: readonly Layer[];
  /** Of the list of VMs. */
  readonly filter: string;
  /** The VM that the list's cursor is on; it may be filtered out, or gone. */
  readonly selectedVm: string | null;
  readonly pane: Pane;
  /** One pane of the VM screen takes all of it. */
  readonly zoomed: boolean;
  /** Row of the cursor in each pane of the VM screen. The console's counts lines back from its end. */
  readonly cursors: Readonly<Record<Pane, number>>;
  readonly notice: Notice | null;

  resized(size: Size): void;
  openScreen(screen: Screen): void;
  /** Back to the screen before; stays on the last one. */
  closeScreen(): void;
  /** Leaves the screen of a VM that is no more, and what lies over it. */
  vmGone(id: string): void;
  /** Takes the keyboard back from a VM that has ended. */
  releaseConsole(id: string): void;
  pushLayer(layer: Layer): void;
  popLayer(): void;
  /** Replaces the top layer. */
  changeLayer(layer: Layer): void;
  /** Of the list that is shown. */
  setFilter(filter: string): void;
  selectVm(id: string | null): void;
  focusPane(pane: Pane): void;
  setZoomed(zoomed: boolean): void;
  setCursor(pane: Pane, row: number): void;
  setNotice(notice: Notice | null): void;
};

const START: UiSlice['cursors'] = { vcpus: 0, exits: 0, regions: 0, queues: 0, console: 0 };

/** How a screen with parts of its own is seen first. */
const FROM_THE_TOP = { pane: 'vcpus', zoomed: false, cursors: START, factsOffset: 0 } as const;

export const createUiSlice: StateCreator<AppState, [], [], UiSlice> = set => ({
  size: { columns: 80, rows: 24 },
  screens: [{ kind: 'vms' }],
  layers: [],
  filter: '',
  selectedVm: null,
  pane: 'vcpus',
  zoomed: false,
  cursors: START,
  notice: null,

  resized: size => set({ size }),
  openScreen: screen =>
    set(state => ({
      screens: [...state.screens.filter(open => !sameScreen(open, screen)), screen],
      ...FROM_THE_TOP,
    })),
  closeScreen: () =>
    set(state => (state.screens.length > 1 ? { screens: state.screens.slice(0, -1), ...FROM_THE_TOP } : {})),
  vmGone: id =>
    set(state => ({
      screens: state.screens.filter(screen => screen.kind !== 'vm' || screen.id !== id),
      layers: state.layers.filter(layer => !('id' in layer) || layer.id !== id),
    })),
  releaseConsole: id =>
    set(state => ({ layers: state.layers.filter(layer => layer.kind !== 'console' || layer.id !== id) })),
  pushLayer: layer => set(state => ({ layers: [...state.layers, layer] })),
  popLayer: () => set(state => ({ layers: state.layers.slice(0, -1) })),
  changeLayer: layer => set(state => ({ layers: [...state.layers.slice(0, -1), layer] })),
  setFilter: filter =>
    set(state => {
      const list = shownList(state);
      return list === null ? { filter } : { hostFilters: { ...state.hostFilters, [list]: filter } };
    }),
  selectVm: selectedVm => set({ selectedVm }),
  focusPane: pane => set({ pane }),
  setZoomed: zoomed => set({ zoomed }),
  setCursor: (pane, row) => set(state => ({ cursors: { ...state.cursors, [pane]: Math.max(0, row) } })),
  setNotice: notice => set({ notice }),
});

function sameScreen(a: Screen, b: Screen): boolean {
  if (a.kind === 'vm' && b.kind === 'vm') return a.id === b.id;
  if (a.kind === 'function' && b.kind === 'function') return a.address === b.address;
  return a.kind === b.kind;
}

/** Lines that are never a screen's: header, status line, key bar. */
const FRAME_ROWS = 3;

/** Lines for a screen. */
export function bodyRows({ size }: UiSlice): number {
  return Math.max(0, size.rows - FRAME_ROWS);
}

export function currentScreen(state: UiSlice): Screen {
  return state.screens.at(-1)!;
}

/** The list of the host that is shown; null on other screens. */
export function shownList(state: UiSlice): HostList | null {
  const { kind } = currentScreen(state);
  return HOST_LISTS.find(list => list === kind) ?? null;
}

/** Is anything of the host on the screen? */
export function showsHost(state: UiSlice): boolean {
  return shownList(state) !== null || currentScreen(state).kind === 'function';
}

/** The filter of the list that is shown. */
export function shownFilter(state: AppState): string {
  const list = shownList(state);
  return list === null ? state.filter : (state.hostFilters[list] ?? '');
}
