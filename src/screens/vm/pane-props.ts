import type { Size } from '../../store/ui-slice.ts';

/** What each tab of the VM screen, and each pane of the first of them, gets. */
export type PaneProps = {
  /** The VM's. */
  readonly id: string;
  readonly size: Size;
};
