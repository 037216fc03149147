import type { Loss } from '../engine/vm-info.ts';
import { printable } from '../text/printable.ts';
import type { SliceCreator } from './slice.ts';

export type LinkSlice = {
  /** Why the manager cannot be reached; null while it can. */
  readonly managerLost: Loss | null;
  setManagerLost(loss: Loss | null): void;
};

export const createLinkSlice: SliceCreator<LinkSlice> = set => ({
  managerLost: null,
  setManagerLost: loss =>
    set({ managerLost: loss === null ? null : { kind: loss.kind, text: printable(loss.text) } }),
});
