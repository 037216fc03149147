import { printable } from '../text/printable.ts';
import type { SliceCreator } from './slice.ts';

export type LinkSlice = {
  /** Why the process that runs the VMs is out of reach; null while it is not. */
  readonly managerLost: string | null;
  setManagerLost(reason: string | null): void;
};

export const createLinkSlice: SliceCreator<LinkSlice> = set => ({
  managerLost: null,
  setManagerLost: reason => set({ managerLost: reason === null ? null : printable(reason) }),
});
