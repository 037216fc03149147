import type { Size } from '../../store/ui-slice.ts';

/** The props of each tab of the VM screen, and of each pane of the first tab. */
export type PaneProps = {
  /** The VM's ID. */
  readonly id: string;
  readonly size: Size;
};
