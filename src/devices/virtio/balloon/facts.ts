/**
 * A guest's memory statistics (virtio 1.3 §5.5.6.3). In bytes, including swapping, except for counts, such as those of
 * faults.
 */
export const BALLOON_STATS = [
  'swapIn',
  'swapOut',
  'majorFaults',
  'minorFaults',
  'free',
  'total',
  'available',
  'caches',
  'hugetlbAllocations',
  'hugetlbFailures',
  'oomKills',
  'allocationStalls',
  'asyncScans',
  'directScans',
  'asyncReclaims',
  'directReclaims',
] as const;

export type BalloonStat = (typeof BALLOON_STATS)[number];

/** The statistics that the guest has sent. `at`: when, in milliseconds since 1970. */
export type BalloonStats = { readonly at: number } & { readonly [Stat in BalloonStat]?: number };

/** A balloon as screens show it. Bytes. */
export type BalloonFacts = {
  /** The guest's RAM without a balloon. */
  readonly memory: number;
  /** What the guest should keep of that, and what it keeps now. */
  readonly target: number;
  readonly current: number;
  /** Whether the guest has a driver for it. */
  readonly active: boolean;
  readonly stats: BalloonStats | null;
  /** Why pages that the guest gives up stay with the VM; null if they are returned to the host. */
  readonly obstacle: string | null;
};
