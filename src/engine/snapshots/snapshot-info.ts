import type { MigrationProgress } from '../../vmm/machine/messages.ts';

/** One snapshot, for all screens and commands. */
export type SnapshotInfo = {
  readonly vm: string;
  /** Null for the saved state, from which the VM resumes at its next start. */
  readonly name: string | null;
  /** Milliseconds since 1970; null if its manifest cannot be read. */
  readonly createdAt: number | null;
  /** On disk. */
  readonly bytes: number;
  readonly memoryBytes: number | null;
  /** The snapshot that the VM had continued from when this one was taken. */
  readonly parent: string | null;
  /** Its VM's writable disks: the snapshot has copies of them, depends on the originals, or there are none. */
  readonly disks: 'copied' | 'outside' | 'none';
  /** Whether the VM was paused. */
  readonly paused: boolean;
  /** The version that wrote it. */
  readonly vring: string | null;
  /** Why it cannot be restored, in a sentence each; empty if it can. */
  readonly problems: readonly string[];
  /** Files that were copied or touched since: their checksums are verified before a restore. */
  readonly doubtful: readonly string[];
  /** Whether the checksums of all files match; null if not verified. */
  readonly checked: 'ok' | 'damaged' | null;
};

/** A long operation on a VM, which can be canceled. */
export type VmTask = {
  readonly kind: 'snapshot' | 'save' | 'restore' | 'migrate' | 'receive';
  /** The snapshot's name, or that of the other host. */
  readonly name: string | null;
  /**
   * - `stopping`: the machine is being stopped
   * - `writing`: its memory and disks are being copied, while it is stopped
   * - `syncing`: it runs again, and the files are being synced to disk
   * - `verifying`: checksums are being verified
   * - `copying`: disks are being copied back
   * - `starting`
   * - `connecting`: to the other host, which checks whether it can run the VM
   * - `sending`: memory is being sent while the guest runs
   * - `switching`: the guest is stopped, and the other host gets the rest
   * - `arriving`: memory arrives from the other host
   */
  readonly phase:
    | 'stopping'
    | 'writing'
    | 'syncing'
    | 'verifying'
    | 'copying'
    | 'starting'
    | 'connecting'
    | 'sending'
    | 'switching'
    | 'arriving';
  /** Bytes; `total` is 0 if not known. */
  readonly done: number;
  readonly total: number;
  /** Devices whose back ends still have requests in flight. */
  readonly waitingFor: readonly string[];
  /** Of a VM that is being sent, once it is. */
  readonly migration?: MigrationProgress;
};

/** The state from which a VM resumes at its next start. */
export type SavedState = {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** It was saved by a manager that was ending; the next manager starts it. */
  readonly automatic: boolean;
};

export type SnapshotOptions = {
  readonly name?: string;
  readonly disks: boolean;
  /** Freeze the guest's file systems in the meantime, through its agent. */
  readonly quiesce?: boolean;
};
export type RestoreOptions = {
  /** The name of a new VM; default: the VM itself, which loses its present state. */
  readonly as?: string;
  /** Kill the VM first if it runs, and discard its saved state. */
  readonly force?: boolean;
};
