import type { TerminalSize } from '../../devices/backends/char.ts';
import type { DiskLimits } from '../../devices/backends/disk.ts';
import type { NetLimits } from '../../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../../devices/device-table.ts';
import type { ScreenSeen } from '../../devices/display/screen-frame.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import type { SizeChange } from '../../vmm/backends/disk-size.ts';
import type { MachineConfigInput } from '../../vmm/machine/config.ts';
import type { EncodedNews } from '../../vmm/machine/messages.ts';
import type { MetricsFormat, PressedButton, Upgraded } from '../engine.ts';
import type { GuestProgram, GuestProgramEnd } from '../guest-agent/exec.ts';
import type { GuestFacts } from '../guest-agent/guest-facts.ts';
import type {
  AttachedDevice,
  AttachOptions,
  DetachOptions,
  LimitOptions,
  MediumChange,
} from '../hotplug/hotplug-info.ts';
import type { SamplingSettings } from '../sampling/sampling.ts';
import type { RestoreOptions, SnapshotInfo, SnapshotOptions } from '../snapshots/snapshot-info.ts';
import type { LogEntry, VmInfo } from '../vm-info.ts';
import type { Delta } from './delta.ts';

/**
 * What manager and client say to each other; docs/api.md describes it. A change that one side could misunderstand counts
 * this up.
 */
export const PROTOCOL = 4;

/** The longest message that a manager takes, and the longest that it sends: the whole of what it has. */
export const MAX_REQUEST_BYTES = 2 ** 20;
export const MAX_ANSWER_BYTES = 64 * 2 ** 20;
/** Typed bytes in one message. */
export const MAX_TYPED_BYTES = 32 * 1024;

export type Hello = {
  readonly protocol: number;
  /** vring's own. */
  readonly version: string;
  /** `user@tty`, which others see when this one types. */
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

/** What `vring manager status` shows of a manager. */
export type ManagerStatus = {
  readonly pid: number;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** The systemd unit that runs it; null: started by a client or from a shell. */
  readonly unit: { readonly name: string; readonly user: boolean } | null;
  readonly socket: string;
  /** Its log file; null: it logs to stderr. */
  readonly log: string | null;
  /** Where it serves metrics. */
  readonly metrics: string | null;
  /** Resident memory, without that of the VMs' processes. */
  readonly memoryBytes: number;
  /** Clients that are attached, with the one that asks. */
  readonly clients: number;
  readonly stopping: boolean;
};

export type StopRequest = {
  /** For the guests to power off, in place of what the manager was started with. */
  readonly timeoutMs?: number;
  /** The next manager starts the VMs that run now. */
  readonly resume?: boolean;
  /** Leave the VMs running, for the next manager. */
  readonly keepVms?: boolean;
};

type ById = { readonly id: string };
type BySampling = { readonly sampling: number };
type ByConsole = { readonly console: number };
type Nothing = Readonly<Record<string, never>>;

/** Requests of a client: parameters and result. `sampling` and `console` are numbers that the client chooses. */
export type Requests = {
  hello: [Hello, Welcome];
  /** Sends `whole`, and `changed` from then on. */
  subscribe: [Nothing, null];
  vms: [Nothing, readonly VmInfo[]];
  log: [Nothing, readonly LogEntry[]];
  metrics: [{ readonly format?: MetricsFormat }, string];
  /** Answers at once: for a client that wants to know whether the manager still does. */
  ping: [Nothing, null];
  'manager/status': [Nothing, ManagerStatus];
  /** Shuts the guests down and ends, as SIGTERM does, or leaves them running, as SIGUSR2 does. Answers before that. */
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
  /** How many of the events the guest got, from the first. */
  'vm/input': [ById & { readonly events: readonly InputEvent[] }, number];
  'vm/guestFacts': [ById, GuestFacts];
  'vm/guestExec': [ById & GuestProgram, GuestProgramEnd];
  /** Answers when there is something new on the screen, and after some seconds with null. */
  'vm/screen': [ById & { readonly device: string | null; readonly seen: ScreenSeen }, EncodedNews | null];
  'vm/setBalloon': [ById & { readonly bytes: number }, null];
  'vm/changeMedium': [ById & { readonly device: string } & MediumChange, null];
  'vm/attach': [ById & { readonly device: DeviceConfig } & AttachOptions, AttachedDevice];
  'vm/detach': [ById & { readonly device: string } & DetachOptions, null];
  /** The guest need not release the device any more. */
  'vm/cancelDetach': [ById & { readonly device: string }, null];
  'vm/kill': [ById, null];
  'vm/remove': [ById, null];
  'vm/rename': [ById & { readonly name: string }, null];
  'vm/snapshot': [ById & SnapshotOptions, SnapshotInfo];
  'vm/save': [ById, null];
  /** Calls off the snapshot, save or restore that is under way. */
  'vm/cancelTask': [ById, null];
  'snapshot/list': [{ readonly vm: string | null; readonly check: boolean }, readonly SnapshotInfo[]];
  /** The result is the id of the VM. */
  'snapshot/restore': [{ readonly vm: string; readonly name: string } & RestoreOptions, string];
  /** `name` null: what the VM was saved to. */
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
  /** The client's terminal has this size. */
  'console/resize': ByConsole & TerminalSize;
  /** It leaves of its own will: a connection that just ends is worth a line in the log. */
  goodbye: Nothing;
};

/** Notifications of the manager. */
export type ManagerNotifications = {
  /** All VMs by id, and the log. */
  whole: { readonly vms: Readonly<Record<string, VmInfo>>; readonly log: readonly LogEntry[] };
  /** Since `whole` or the last of these: how the VMs differ (see delta.ts), and new entries of the log. */
  changed: { readonly vms?: Delta; readonly log?: readonly LogEntry[] };
  /** How a sample's totals, detail and queues differ from the last one's; from `EMPTY_SAMPLE` at first. */
  sample: BySampling & { readonly at: number; readonly delta: Delta | null };
  /** `replayed`: it was printed before now. With `again`, a terminal has to begin anew with it. */
  'console/printed': ByConsole & {
    readonly bytes: string;
    readonly replayed: boolean;
    readonly again: boolean;
  };
  /** The manager ends, or ends this connection; says why. */
  farewell: { readonly reason: string };
};

export const EMPTY_SAMPLE = { totals: {}, detail: null, queues: null } as const;

/** JSON-RPC error codes; -32000 to -32099 are an application's own. */
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
