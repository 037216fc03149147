import type { HostSlice } from './host-slice.ts';
import type { Layer } from './layers.ts';
import type { LinkSlice } from './link-slice.ts';
import { HOST_LISTS, type HostList, type Screen } from './screens.ts';
import type { SliceCreator } from './slice.ts';
import { openViews, type VmViewSlice } from './vm-view-slice.ts';

export type Notice = { readonly level: 'info' | 'error'; readonly text: string };

/** In cells of the terminal. */
export type Size = { readonly columns: number; readonly rows: number };

export type UiSlice = {
  readonly size: Size;
  /** Screens from the first opened to the one shown. */
  readonly screens: readonly Screen[];
  /** Layers over the screen; the last one gets the keys. */
  readonly layers: readonly Layer[];
  /** The VM under the list's cursor; it may be filtered out, or gone. */
  readonly selectedVm: string | null;
  readonly notice: Notice | null;

  resized(size: Size): void;
  openScreen(screen: Screen): void;
  /** Goes back to the previous screen; the first one stays. */
  closeScreen(): void;
  /** Leaves the screen of a VM that is gone, and the layers over it. */
  vmGone(id: string): void;
  /** Takes the keyboard back from a VM that has ended. */
  releaseConsole(id: string): void;
  pushLayer(layer: Layer): void;
  popLayer(): void;
  /** Replaces the top layer. */
  changeLayer(layer: Layer): void;
  selectVm(id: string | null): void;
  setNotice(notice: Notice | null): void;
};

/** The parts of other slices that depend on the open screens. */
type Seen = UiSlice & Pick<HostSlice, 'factsOffset'> & VmViewSlice;

export const createUiSlice: SliceCreator<UiSlice, Seen> = set => ({
  size: { columns: 80, rows: 24 },
  screens: [{ kind: 'vms' }],
  layers: [],
  selectedVm: null,
  notice: null,

  resized: size => set({ size }),
  openScreen: screen =>
    set(state => ({
      screens: [...state.screens.filter(open => !sameScreen(open, screen)), screen],
      factsOffset: 0,
    })),
  closeScreen: () =>
    set(state => (state.screens.length > 1 ? withScreens(state, state.screens.slice(0, -1)) : {})),
  vmGone: id =>
    set(state => ({
      ...withScreens(
        state,
        state.screens.filter(screen => screen.kind !== 'vm' || screen.id !== id),
      ),
      layers: state.layers.filter(layer => !('id' in layer) || layer.id !== id),
    })),
  releaseConsole: id =>
    set(state => ({ layers: state.layers.filter(layer => layer.kind !== 'console' || layer.id !== id) })),
  pushLayer: layer => set(state => ({ layers: [...state.layers, layer] })),
  popLayer: () => set(state => ({ layers: state.layers.slice(0, -1) })),
  changeLayer: layer => set(state => ({ layers: [...state.layers.slice(0, -1), layer] })),
  selectVm: selectedVm => set({ selectedVm }),
  setNotice: notice => set({ notice }),
});

/** Drops the views of screens that have been closed. */
function withScreens({ vmViews }: VmViewSlice, screens: UiSlice['screens']) {
  return { screens, vmViews: openViews(vmViews, screens), factsOffset: 0 };
}

function sameScreen(a: Screen, b: Screen): boolean {
  if (a.kind === 'vm' && b.kind === 'vm') return a.id === b.id;
  if (a.kind === 'function' && b.kind === 'function') return a.address === b.address;
  return a.kind === b.kind;
}

/** Lines outside of the screen: header, status line, key bar. */
export const FRAME_ROWS = 3;

/** The height of a screen in lines. */
export function bodyRows({ size, managerLost }: Pick<UiSlice & LinkSlice, 'size' | 'managerLost'>): number {
  const banner = managerLost === null ? 0 : 1;
  return Math.max(0, size.rows - FRAME_ROWS - banner);
}

export function currentScreen(state: UiSlice): Screen {
  return state.screens.at(-1)!;
}

/** The host list that is shown; null on other screens. */
export function shownList(state: UiSlice): HostList | null {
  const { kind } = currentScreen(state);
  return HOST_LISTS.find(list => list === kind) ?? null;
}

/** Whether the screen shows anything of the host. */
export function showsHost(state: UiSlice): boolean {
  return shownList(state) !== null || currentScreen(state).kind === 'function';
}
