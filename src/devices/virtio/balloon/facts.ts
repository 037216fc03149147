/** What a guest says of its memory (virtio 1.3 §5.5.6.3). Bytes, except counts of faults and swapping, which are bytes for swap. */
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

/** Those that the guest has sent. `at`: when, in milliseconds since 1970. */
export type BalloonStats = { readonly at: number } & { readonly [Stat in BalloonStat]?: number };

/** A balloon as screens show it. Bytes. */
export type BalloonFacts = {
  /** The guest's RAM without a balloon. */
  readonly memory: number;
  /** What it is to keep of that, and what it keeps now. */
  readonly target: number;
  readonly current: number;
  /** The guest has a driver for it. */
  readonly active: boolean;
  readonly stats: BalloonStats | null;
  /** Why pages that the guest gives up stay with the VM; null: the host gets them. */
  readonly obstacle: string | null;
};
