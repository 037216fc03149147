import { FRAME_ROWS, type Size } from '../store/ui-slice.ts';

/** A narrower screen only fits one pane. */
const MIN_COLUMNS = 80;
const MIN_ROWS = 19;
/** From this width, exits and devices are shown side by side. */
const WIDE_COLUMNS = 120;
const VCPU_COLUMNS = 42;
const GAP = 1;
const TAB_BAR_ROWS = 1;

const PANES = ['vcpus', 'exits', 'regions', 'queues', 'console'] as const;
type SummaryPane = (typeof PANES)[number];

export type SummaryLayout = {
  /** Lines of facts and sparklines at the top. */
  readonly headRows: number;
  /** The size of each pane; null if it is not shown. */
  readonly panes: Readonly<Record<SummaryPane, Size | null>>;
};

/** Which parts of a VM are shown at a glance. @param queues the number of its virtqueues */
export function summaryLayout({ columns, rows }: Size, queues: number): SummaryLayout {
  if (columns < MIN_COLUMNS || rows < MIN_ROWS) {
    const vcpus = { columns, rows: Math.max(0, rows - 3) };
    return { headRows: 3, panes: { vcpus, exits: null, regions: null, queues: null, console: null } };
  }
  const headRows = 2;
  const room = rows - headRows;
  const topRows = clamp(Math.floor(room / 3), 6, 14);
  const queueRows = clamp(queues, 1, Math.floor(room / 5)) + 1;
  const rest = columns - VCPU_COLUMNS - GAP;
  const half = Math.floor((rest - GAP) / 2);
  const wide = columns >= WIDE_COLUMNS;
  const top = (width: number): Size => ({ columns: width, rows: topRows });
  return {
    headRows,
    panes: {
      vcpus: top(VCPU_COLUMNS),
      exits: top(wide ? rest - GAP - half : rest),
      regions: wide ? top(half) : null,
      queues: { columns, rows: queueRows },
      console: { columns, rows: room - topRows - queueRows },
    },
  };
}

/** Whether the console is shown at a glance. @param terminal its full size */
export function summaryShowsConsole({ columns, rows }: Size): boolean {
  return columns >= MIN_COLUMNS && rows - FRAME_ROWS - TAB_BAR_ROWS >= MIN_ROWS;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
