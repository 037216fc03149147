import type { Pane, Size } from '../store/ui-slice.ts';

/** Below this there is room for one pane at a time. */
const MIN_COLUMNS = 80;
const MIN_ROWS = 20;
/** From here on exits and devices are seen side by side. */
const WIDE_COLUMNS = 120;
const VCPU_COLUMNS = 40;
const GAP = 1;

export type Placed = { readonly columns: number; readonly rows: number };

export type VmLayout = {
  /** The size of each pane; null: it is not shown. */
  readonly panes: Readonly<Record<Pane, Placed | null>>;
  /** One pane has all the room, but a line that names the others. */
  readonly single: boolean;
};

type Needs = {
  /** What the panes may fill. */
  readonly size: Size;
  readonly pane: Pane;
  readonly zoomed: boolean;
  readonly queues: number;
};

const NONE: VmLayout['panes'] = { vcpus: null, exits: null, regions: null, queues: null, console: null };

export function vmLayout({ size, pane, zoomed, queues }: Needs): VmLayout {
  const { columns, rows } = size;
  if (zoomed || columns < MIN_COLUMNS || rows < MIN_ROWS) {
    return { panes: { ...NONE, [pane]: { columns, rows: rows - 1 } }, single: true };
  }
  const topRows = clamp(Math.floor(rows / 3), 7, 14);
  const queueRows = clamp(queues, 1, Math.floor(rows / 5)) + 1;
  const rest = columns - VCPU_COLUMNS - GAP;
  const half = Math.floor((rest - GAP) / 2);
  const wide = columns >= WIDE_COLUMNS;
  const showRegions = wide || pane === 'regions';
  const top = (width: number): Placed => ({ columns: width, rows: topRows });
  return {
    panes: {
      vcpus: top(VCPU_COLUMNS),
      exits: wide ? top(rest - GAP - half) : showRegions ? null : top(rest),
      regions: showRegions ? top(wide ? half : rest) : null,
      queues: { columns, rows: queueRows },
      console: { columns, rows: rows - topRows - queueRows },
    },
    single: false,
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
