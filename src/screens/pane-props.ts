import type { Placed } from './vm-layout.ts';

/** What each pane of the VM screen gets. */
export type PaneProps = {
  /** The VM's. */
  readonly id: string;
  readonly size: Placed;
  /** The cursor is in this pane. */
  readonly focused: boolean;
};
