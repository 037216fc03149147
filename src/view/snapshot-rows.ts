import type { SnapshotInfo } from '../engine/snapshots/snapshot-info.ts';
import type { AppState } from '../store/app-store.ts';
import { vmViewOf } from '../store/vm-view-slice.ts';
import { fullTime } from '../text/time.ts';
import { bytes, uptime } from '../text/units.ts';
import type { Fact } from './facts.ts';
import type { ListColumn } from './list-columns.ts';

/** A snapshot, and the time to which its age is relative. */
export type SnapshotRow = { readonly info: SnapshotInfo; readonly now: number };

export const SNAPSHOT_COLUMNS: readonly ListColumn<SnapshotRow>[] = [
  {
    key: 'name',
    title: 'SNAPSHOT',
    min: 12,
    ideal: 24,
    cut: 'middle',
    cell: ({ info }) => titleOf(info),
  },
  { key: 'age', title: 'AGE', min: 6, align: 'right', cell: ({ info, now }) => ageOf(info, now) },
  { key: 'size', title: 'SIZE', min: 5, align: 'right', cell: ({ info }) => bytes(info.bytes) },
  {
    key: 'memory',
    title: 'MEMORY',
    min: 6,
    align: 'right',
    priority: 4,
    cell: ({ info: { memoryBytes } }) => (memoryBytes === null ? '' : bytes(memoryBytes)),
  },
  {
    key: 'disks',
    title: 'DISKS',
    min: 7,
    priority: 3,
    cell: ({ info: { disks } }) => (disks === 'none' ? '' : disks),
  },
  {
    key: 'parent',
    title: 'PARENT',
    min: 10,
    ideal: 20,
    priority: 2,
    cut: 'middle',
    cell: ({ info }) => info.parent ?? '',
  },
  {
    key: 'fit',
    title: 'FIT',
    min: 14,
    grow: 1,
    cell: ({ info: { problems, doubtful } }) => {
      const [first, ...more] = problems;
      if (first !== undefined)
        return {
          text: more.length === 0 ? first : `${first} (and ${more.length} more)`,
          token: 'status.error',
        };
      return doubtful.length === 0 ? 'yes' : 'yes, if its checksums match';
    },
  },
];

export function titleOf({ name }: SnapshotInfo): string {
  return name ?? '(saved state)';
}

function ageOf({ createdAt }: SnapshotInfo, now: number): string {
  return createdAt === null ? '' : uptime(now - createdAt);
}

/** All facts about a snapshot. */
export function snapshotFacts({ info, now }: SnapshotRow): Fact[] {
  const { createdAt, bytes: size, memoryBytes, parent, disks, paused, vring, problems, doubtful } = info;
  const fact = (name: string, text: string): Fact => ({ name, texts: [text] });
  return [
    ...problems.map((problem): Fact => ({ name: 'Does not fit', texts: [problem], token: 'status.error' })),
    ...(createdAt === null ? [] : [fact('Taken', `${fullTime(createdAt)}, ${ageOf(info, now)} ago`)]),
    ...(memoryBytes === null ? [] : [fact('Memory', bytes(memoryBytes))]),
    fact('On disk', bytes(size)),
    ...(disks === 'none' ? [] : [fact('Disks', DISKS[disks])]),
    ...(parent === null ? [] : [fact('Parent', parent)]),
    ...(paused ? [fact('State', 'it was paused')] : []),
    ...(vring === null ? [] : [fact('Written by', `vring ${vring}`)]),
    ...(doubtful.length === 0
      ? []
      : [
          fact(
            'To be checked',
            `${doubtful.join(', ')}: copied or changed since, so checksums are compared first`,
          ),
        ]),
  ];
}

const DISKS = {
  copied: 'copied',
  outside: 'not copied: it fits until they are written to',
} as const;

/** Always the same object, so that a selector sees no change. */
const NONE: readonly SnapshotInfo[] = [];

/** The snapshots that a VM's screen lists. */
export function shownSnapshots({ snapshots }: AppState, id: string): readonly SnapshotInfo[] {
  return snapshots?.vm === id ? snapshots.list : NONE;
}

/** The snapshot under the cursor of a VM's tab; null if that tab is not shown, or empty. */
export function snapshotAtCursor(state: AppState, id: string): SnapshotInfo | null {
  const { tab, cursors } = vmViewOf(state, id);
  const list = shownSnapshots(state, id);
  return tab === 'snapshots' ? (list[Math.min(cursors.snapshots, list.length - 1)] ?? null) : null;
}
