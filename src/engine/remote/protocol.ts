import type { TerminalSize } from '../../devices/backends/char.ts';
import type { DiskLimits } from '../../devices/backends/disk.ts';
import type { NetLimits } from '../../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../../devices/device-table.ts';
import type { MonitorSize, ScreenResize } from '../../devices/display/monitor-size.ts';
import type { ScreenSeen } from '../../devices/display/screen-frame.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import type { SizeChange } from '../../vmm/backends/disk-size.ts';
import type { MachineConfigInput } from '../../vmm/machine/config.ts';
import type { EncodedScreenUpdate } from '../../vmm/machine/messages.ts';
import type { MetricsFormat, PressedButton, Upgraded } from '../engine.ts';
import type { GuestProgram, GuestProgramEnd } from '../guest-agent/exec.ts';
import type { GuestFacts } from '../guest-agent/guest-facts.ts';
import type {
  AttachedDevice,
  AttachOptions,
  DetachOptions,
  LimitOptions,
  MediumChange,
  SetVcpusOptions,
  VcpusChanged,
} from '../hotplug/hotplug-info.ts';
import type { Load, Migrated, MigrateOptions, Offer, ReceivingMemory } from '../migration/migration-info.ts';
import type { SamplingSettings } from '../sampling/sampling.ts';
import type { RestoreOptions, SnapshotInfo, SnapshotOptions } from '../snapshots/snapshot-info.ts';
import type { LogEntry, VmInfo } from '../vm-info.ts';
import type { Delta } from './delta.ts';

/**
 * The protocol between manager and client, described in docs/api.md. Incremented by any change that one side could
 * misunderstand.
 */
export const PROTOCOL = 4;

/** The longest message that a manager accepts. It sends longer ones: its whole state. */
export const MAX_REQUEST_BYTES = 2 ** 20;
export const MAX_ANSWER_BYTES = 64 * 2 ** 20;
/** The most typed bytes in one message. */
export const MAX_TYPED_BYTES = 32 * 1024;

export type Hello = {
  readonly protocol: number;
  /** The version of vring. */
  readonly version: string;
  /** `user@tty`, shown to others when this client types. */
  readonly terminal: string;
  readonly readOnly: boolean;
};

export type Welcome = {
  readonly protocol: number;
  readonly version: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
};

/** A manager as `vring manager status` shows it. */
export type ManagerStatus = {
  readonly pid: number;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** The systemd unit that runs it; null if started by a client or from a shell. */
  readonly unit: { readonly name: string; readonly user: boolean } | null;
  readonly socket: string;
  /** Its log file; null if it logs to stderr. */
  readonly log: string | null;
  /** Where it serves metrics. */
  readonly metrics: string | null;
  /** Resident memory, without the VMs' processes. */
  readonly memoryBytes: number;
  /** Attached clients, including the one that asks. */
  readonly clients: number;
  readonly stopping: boolean;
};

export type StopRequest = {
  /** How long guests may take to power off; default: the manager's own setting. */
  readonly timeoutMs?: number;
  /** Have the next manager start the VMs that run now. */
  readonly resume?: boolean;
  /** Leave the VMs running, for the next manager. */
  readonly keepVms?: boolean;
};

type ById = { readonly id: string };
type BySampling = { readonly sampling: number };
type ByConsole = { readonly console: number };
type Nothing = Readonly<Record<string, never>>;

/** Requests of a client: parameters and result. The client chooses the numbers `sampling` and `console`. */
export type Requests = {
  hello: [Hello, Welcome];
  /** Sends `whole`, then `changed` from then on. */
  subscribe: [Nothing, null];
  vms: [Nothing, readonly VmInfo[]];
  log: [Nothing, readonly LogEntry[]];
  metrics: [{ readonly format?: MetricsFormat }, string];
  /** Answers immediately: for a client that checks whether the manager still responds. */
  ping: [Nothing, null];
  'manager/status': [Nothing, ManagerStatus];
  /** Shuts the guests down and ends, as on SIGTERM, or leaves them running, as on SIGUSR2. Answers before that. */
  'manager/stop': [StopRequest, null];
  'vm/start': [{ readonly config: MachineConfigInput }, string];
  'vm/restart': [ById, null];
  'vm/pause': [ById, null];
  'vm/resume': [ById, null];
  'vm/wake': [ById, null];
  'vm/reset': [ById, null];
  'vm/powerButton': [ById, PressedButton];
  'vm/upgrade': [ById, Upgraded];
  'vm/resizeDisk': [ById & { readonly device: string } & SizeChange, number];
  'vm/limitDisk': [ById & { readonly device: string; readonly limits: DiskLimits } & LimitOptions, null];
  'vm/setLink': [ById & { readonly device: string; readonly up: boolean }, null];
  'vm/limitNic': [ById & { readonly device: string; readonly limits: NetLimits } & LimitOptions, null];
  /** The result is how many of the events were accepted, from the first. */
  'vm/input': [ById & { readonly events: readonly InputEvent[] }, number];
  'vm/guestFacts': [ById, GuestFacts];
  'vm/guestExec': [ById & GuestProgram, GuestProgramEnd];
  /** Answers once something on the screen has changed, or with null after some seconds. */
  'vm/screen': [
    ById & { readonly device: string | null; readonly seen: ScreenSeen },
    EncodedScreenUpdate | null,
  ];
  'vm/resizeScreen': [ById & { readonly device: string | null } & MonitorSize, ScreenResize];
  'vm/setBalloon': [ById & { readonly bytes: number }, null];
  /** Answers once the guest has done its part. */
  'vm/setVcpus': [ById & { readonly count: number } & SetVcpusOptions, VcpusChanged];
  'vm/changeMedium': [ById & { readonly device: string } & MediumChange, null];
  'vm/attach': [ById & { readonly device: DeviceConfig } & AttachOptions, AttachedDevice];
  'vm/detach': [ById & { readonly device: string } & DetachOptions, null];
  /** Withdraws the request to release the device. */
  'vm/cancelDetach': [ById & { readonly device: string }, null];
  'vm/kill': [ById, null];
  'vm/remove': [ById, null];
  'vm/rename': [ById & { readonly name: string }, null];
  'vm/snapshot': [ById & SnapshotOptions, SnapshotInfo];
  'vm/save': [ById, null];
  'vm/migrate': [ById & MigrateOptions, Migrated];
  /** Cancels the snapshot, save, restore or migration in progress. */
  'vm/cancelTask': [ById, null];
  /**
   * For a VM that another host wants to send; the client writes its memory and state to the manager's /proc/PID/fd/FD.
   * It is given up when the client leaves.
   */
  'arrival/prepare': [Offer, ReceivingMemory];
  /** All of it is there: builds its machine. */
  'arrival/load': [Load, null];
  /** Runs it. The result is null, or why it has never run and never will; after an error that is not known. */
  'arrival/go': [Nothing, string | null];
  /** Gives it up, unless it was told to run. */
  'arrival/close': [{ readonly reason: string }, null];
  'snapshot/list': [{ readonly vm: string | null; readonly check: boolean }, readonly SnapshotInfo[]];
  /** The result is the id of the VM. */
  'snapshot/restore': [{ readonly vm: string; readonly name: string } & RestoreOptions, string];
  /** `name` is null for the saved state. */
  'snapshot/delete': [{ readonly vm: string; readonly name: string | null }, null];
  'definition/write': [{ readonly name: string; readonly yaml: string; readonly replace: boolean }, null];
  'definition/read': [{ readonly name: string }, string];
  'sampling/open': [BySampling & SamplingSettings, null];
  'sampling/configure': [BySampling & Partial<SamplingSettings>, null];
  'sampling/resetTotals': [BySampling, null];
  'sampling/close': [BySampling, null];
  'console/open': [ByConsole & ById & { readonly port?: number | undefined }, null];
  'console/takeKeyboard': [ByConsole & { readonly take: boolean }, null];
  'console/releaseKeyboard': [ByConsole, null];
  'console/feed': [ByConsole & { readonly bytes: string }, null];
  'console/close': [ByConsole, null];
};

/** Notifications of a client; bytes are base64. */
export type ClientNotifications = {
  'console/type': ByConsole & { readonly bytes: string };
  'console/answer': ByConsole & { readonly bytes: string };
  /** The size of the client's terminal. */
  'console/resize': ByConsole & TerminalSize;
  /** The client leaves on purpose; a connection that ends without this is logged. */
  goodbye: Nothing;
};

/** Notifications of the manager. */
export type ManagerNotifications = {
  /** All VMs by id, and the log. */
  whole: { readonly vms: Readonly<Record<string, VmInfo>>; readonly log: readonly LogEntry[] };
  /** Since `whole` or the last `changed`: how the VMs differ (see delta.ts), and new log entries. */
  changed: { readonly vms?: Delta; readonly log?: readonly LogEntry[] };
  /**
   * How a sample's totals, detail and queues differ from the previous one's; the first is relative to `EMPTY_SAMPLE`.
   */
  sample: BySampling & { readonly at: number; readonly delta: Delta | null };
  /** `replayed`: printed earlier. With `again`, a terminal must be reset first. */
  'console/printed': ByConsole & {
    readonly bytes: string;
    readonly replayed: boolean;
    readonly again: boolean;
  };
  /** The manager ends, or ends this connection; gives the reason. */
  farewell: { readonly reason: string };
};

export const EMPTY_SAMPLE = { totals: {}, detail: null, queues: null } as const;

/** JSON-RPC error codes; -32000 to -32099 are for applications. */
export const CODE = {
  invalidParams: -32602,
  methodNotFound: -32601,
  /** The engine refused or failed: the message is a sentence for the user. */
  failed: -32000,
  readOnly: -32001,
  notIntroduced: -32002,
  otherVersion: -32003,
  tooMany: -32004,
} as const;
