import type { StateCreator } from 'zustand/vanilla';
import { printable } from '../text/printable.ts';
import type { AppState } from './app-store.ts';

export type LinkSlice = {
  /** Why the process that runs the VMs is out of reach; null while it is not. */
  readonly ownerLost: string | null;
  setOwnerLost(reason: string | null): void;
};

export const createLinkSlice: StateCreator<AppState, [], [], LinkSlice> = set => ({
  ownerLost: null,
  setOwnerLost: reason => set({ ownerLost: reason === null ? null : printable(reason) }),
});
