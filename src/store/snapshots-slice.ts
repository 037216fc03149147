import type { SnapshotInfo } from '../engine/snapshots/snapshot-info.ts';
import { printable } from '../text/printable.ts';
import type { SliceCreator } from './slice.ts';

/** The snapshots of one VM. */
export type ListedSnapshots = {
  readonly vm: string;
  /** Oldest first. */
  readonly list: readonly SnapshotInfo[];
  /** Why they could not be listed. */
  readonly problem: string | null;
};

export type SnapshotsSlice = {
  /** Of the VM whose screen shows them; null if they are not shown, or not known yet. */
  readonly snapshots: ListedSnapshots | null;
  snapshotsListed(snapshots: ListedSnapshots | null): void;
};

export const createSnapshotsSlice: SliceCreator<SnapshotsSlice> = set => ({
  snapshots: null,
  snapshotsListed: snapshots =>
    set({
      snapshots: snapshots && {
        ...snapshots,
        list: snapshots.list.map(info => ({ ...info, problems: info.problems.map(printable) })),
      },
    }),
});
