/** One snapshot as every screen and command sees it. */
export type SnapshotInfo = {
  readonly vm: string;
  /** Null: what the VM was saved to, and goes on from at its next start. */
  readonly name: string | null;
  /** Milliseconds since 1970; null: its manifest cannot be read. */
  readonly createdAt: number | null;
  /** On disk. */
  readonly bytes: number;
  readonly memoryBytes: number | null;
  /** The snapshot that the VM continued from when this one was taken. */
  readonly parent: string | null;
  /** Its VM's writable disks: the snapshot has copies of them, needs them as they are outside of it, or there are none. */
  readonly disks: 'copied' | 'outside' | 'none';
  /** The VM was paused. */
  readonly paused: boolean;
  /** The version that wrote it. */
  readonly vring: string | null;
  /** Why it cannot be restored, in a sentence each; empty: it can. */
  readonly problems: readonly string[];
  /** Files that were copied or touched since: their checksums are compared before it is restored. */
  readonly doubtful: readonly string[];
  /** Whether the checksums of all files are right; null: that was not asked. */
  readonly checked: 'ok' | 'damaged' | null;
};

/** Something that takes its time with a VM, and can be called off. */
export type VmTask = {
  readonly kind: 'snapshot' | 'save' | 'restore';
  /** The snapshot. */
  readonly name: string | null;
  /**
   * - `stopping`: the machine is to stand still
   * - `writing`: its memory and its disks are copied, while it stands still
   * - `syncing`: it runs again, and the files are to reach the disk
   * - `verifying`: checksums are compared
   * - `copying`: disks are copied back
   * - `starting`
   */
  readonly phase: 'stopping' | 'writing' | 'syncing' | 'verifying' | 'copying' | 'starting';
  /** Bytes; `total` 0: not known. */
  readonly done: number;
  readonly total: number;
  /** Devices whose back ends have not finished their requests. */
  readonly waitingFor: readonly string[];
};

/** What a VM goes on from at its next start. */
export type SavedState = {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** A manager that was ending has saved it: the next one starts it. */
  readonly automatic: boolean;
};

export type SnapshotOptions = {
  readonly name?: string;
  readonly disks: boolean;
  /** The guest holds its file systems still meanwhile, by its agent. */
  readonly quiesce?: boolean;
};
export type RestoreOptions = {
  /** The name of a new VM; absent: the VM itself, which loses what it has now. */
  readonly as?: string;
  /** Kill the VM first if it runs, and discard its saved state. */
  readonly force?: boolean;
};
