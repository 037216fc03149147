import type { MachineConfig, MachineConfigInput } from '../../vmm/machine/config.ts';
import type { MigrationFacts } from '../../vmm/machine/messages.ts';

/** How a VM gets to another host. */
export type MigrateOptions = {
  /** Where: `[user@]host` or `ssh://[user@]host[:port]`. With `command`, only a name for it. */
  readonly destination: string;
  /** A shell command whose standard input and output lead to `vring vm receive` on the other host; default: SSH. */
  readonly command?: string;
  /** The socket of the user's SSH agent; default: the manager's own. */
  readonly sshAgent?: string;
  /** Its name there; default: the same. */
  readonly as?: string;
  /** Keep its definition here. */
  readonly keep?: boolean;
  /** The most bytes per second while the guest runs; default: no limit. */
  readonly bandwidth?: number;
  /** How long the guest may stand still, in milliseconds; default: DEFAULT_DOWNTIME_MS. */
  readonly maxDowntimeMs?: number;
  /** After how long to give up; default: never. */
  readonly timeoutMs?: number;
  /** Stop the guest after `timeoutMs` instead of giving up. */
  readonly thenPause?: boolean;
};

export const DEFAULT_DOWNTIME_MS = 300;

/** A VM that now runs on another host. */
export type Migrated = {
  readonly name: string;
  readonly destination: string;
  readonly totalMs: number;
  /** How long its guest stood still. */
  readonly downtimeMs: number;
  readonly rounds: number;
  /** Bytes of memory and state. */
  readonly sent: number;
};

/** A VM that another host wants to send. */
export type Offer = {
  /** The version of vring there. */
  readonly version: string;
  /** The name of that host. */
  readonly from: string;
  /** The VM's name there, and here. */
  readonly name: string;
  readonly as: string;
  /** The text of its definition; null if it has none. */
  readonly definition: string | null;
  readonly config: MachineConfigInput;
  readonly facts: MigrationFacts;
};

/** What is known once the machine has been stopped there. */
export type Load = {
  /** Its configuration, with its devices as they are. */
  readonly config: MachineConfig;
  readonly paused: boolean;
};

/** Memory of the manager, to be opened as /proc/PID/fd/FD by a client that receives a VM. */
export type ReceivingMemory = {
  readonly pid: number;
  readonly ram: number;
  readonly ramBytes: number;
  readonly state: number;
};

/** A VM that is arriving from another host. Once this is closed, nothing is left of it, unless `go` was called. */
export interface Arrival {
  /** Where its memory and its state go. */
  readonly memory: ReceivingMemory;
  /** Builds its machine, with all of its memory and state. @throws why it cannot run here; nothing is left of it */
  load(load: Load): Promise<void>;
  /**
   * The other host has given it up: runs it.
   * @returns null, or why it has never run here and never will. @throws if that is not known
   */
  go(): Promise<string | null>;
  /** Gives it up, unless it runs. @param reason for the log */
  close(reason: string): Promise<void>;
}
