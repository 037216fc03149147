import type { TerminalSize } from '../devices/backends/char.ts';
import type { DiskLimits } from '../devices/backends/disk.ts';
import type { NetLimits } from '../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../devices/device-table.ts';
import type { MonitorSize, ScreenResize } from '../devices/display/monitor-size.ts';
import type { ScreenSeen, ScreenUpdate } from '../devices/display/screen-frame.ts';
import type { InputEvent } from '../devices/input/input-event.ts';
import type { SizeChange } from '../vmm/backends/disk-size.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import type { GuestProgram, GuestProgramEnd } from './guest-agent/exec.ts';
import type { GuestFacts } from './guest-agent/guest-facts.ts';
import type {
  AttachedDevice,
  AttachOptions,
  DetachOptions,
  LimitOptions,
  MediumChange,
  SetVcpusOptions,
  VcpusChanged,
} from './hotplug/hotplug-info.ts';
import type { Arrival, Migrated, MigrateOptions, Offer } from './migration/migration-info.ts';
import type { Sample, Sampling, SamplingSettings } from './sampling/sampling.ts';
import type { RestoreOptions, SnapshotInfo, SnapshotOptions } from './snapshots/snapshot-info.ts';
import type { EngineEvent, LogEntry, VmInfo } from './vm-info.ts';

/** The manager: the process that starts and watches the VMs' processes. */
export type ManagerInfo = {
  readonly pid: number;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** False if it is this process. */
  readonly remote: boolean;
};

/** OpenMetrics 1.0, or the Prometheus text format 0.0.4. */
export type MetricsFormat = 'openmetrics' | 'prometheus';

/** The callbacks of a serial console's watcher. */
export type ConsoleListener = {
  /** `replayed`: printed earlier, and read from the scrollback. */
  printed(bytes: Uint8Array, replayed: boolean): void;
};

export type PressedButton = {
  /** False if the guest has not enabled the button: it has no driver for it, or has not loaded it yet. */
  readonly noticed: boolean;
};

/** A VM that now runs in a new process of the installed vring. */
export type Upgraded = {
  /** The version that ran it before. */
  readonly from: string;
  readonly to: string;
  /** How long its guest was stopped. */
  readonly stoodStillMs: number;
};

/** Why a VM's power button has no effect. */
export const BUTTON_OFF =
  'its guest has not enabled the power button: it has no ACPI driver, or has not loaded it yet';

export type ConsoleOptions = {
  /** The serial port's number in the topology of the machine; default: the first. */
  readonly port?: number;
  /** Default: the terminal of this process, which may answer. */
  readonly watcher?: ConsoleWatcher;
};

export type ConsoleWatcher = {
  /** `user@tty`, shown to other clients. */
  readonly name: string;
  /** False for a read-only watcher: the guest does not wait for its terminal to answer. */
  readonly answers: boolean;
};

/** One watcher of a VM's serial console. Any number may watch; only one types at a time. */
export interface ConsoleLink {
  /** @throws with the name of the keyboard holder if there is one, unless `take` is set */
  takeKeyboard(take?: boolean): Promise<void>;
  releaseKeyboard(): void;
  /** Ignored if another watcher holds the keyboard. */
  type(bytes: Uint8Array): void;
  /**
   * Types the contents of a file or a pipe. Resolves when the guest can accept more; a paused guest accepts nothing.
   */
  feed(bytes: Uint8Array): Promise<void>;
  /**
   * The terminal's own answer to a query of the guest. The guest gets the answer of one watcher: the keyboard holder,
   * or else the first that may answer.
   */
  answer(bytes: Uint8Array): void;
  /** Sets the size of the watcher's terminal. A guest that asks gets the keyboard holder's. */
  setSize(size: TerminalSize): void;
  close(): void;
}

/**
 * Everything that the UI and the commands may ask of the VMM. The local engine runs the VMs in this process; a remote
 * one
 * talks to the manager.
 */
export interface Engine {
  readonly manager: ManagerInfo;
  vms(): readonly VmInfo[];
  /** The last 1000 log entries, oldest first. */
  log(): readonly LogEntry[];
  /**
   * Adds a VM without a definition and starts it. @returns its id. @throws with a sentence for the user when the
   * configuration is invalid
   */
  start(config: MachineConfigInput): Promise<string>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /** Wakes a guest from ACPI S3. @throws when it does not wake */
  wake(id: string): Promise<void>;
  /** Presses the reset button. */
  reset(id: string): Promise<void>;
  /** Presses the ACPI power button; the guest decides what to do. */
  powerButton(id: string): Promise<PressedButton>;
  /**
   * Hands a running or paused VM to a new process of this vring.
   * @throws why it stays in its present process
   */
  upgrade(id: string): Promise<Upgraded>;
  /**
   * Resizes a disk of a running VM, or picks up its file's new size, and notifies the guest.
   * @param device its name: `blk0`. @returns the size in bytes
   */
  resizeDisk(id: string, device: string, change: SizeChange): Promise<number>;
  /** Replaces a disk's rate limits: of a running VM until it ends, and with `persist` at every start. */
  limitDisk(id: string, device: string, limits: DiskLimits, options?: LimitOptions): Promise<void>;
  /** Plugs in or unplugs the cable of a network card, until the VM ends. @param device its name: `net0` */
  setLink(id: string, device: string, up: boolean): Promise<void>;
  /** Replaces a network card's rate limits, like `limitDisk`. */
  limitNic(id: string, device: string, limits: NetLimits, options?: LimitOptions): Promise<void>;
  /**
   * Presses keys and moves the pointer of a running or paused VM.
   * @returns how many events were accepted, from the first; the rest found the guest's queue full
   */
  input(id: string, events: readonly InputEvent[]): Promise<number>;
  /**
   * Tells the guest of a running or paused VM that the monitor of a screen is of this size now; whether it follows is up to it.
   * @param device its name, or null for the first screen. @returns what became of it, as with a monitor whose size is fixed
   */
  resizeScreen(id: string, device: string | null, size: MonitorSize): Promise<ScreenResize>;
  /** Asks the guest's agent for facts about the guest. @throws AgentError */
  guestFacts(id: string): Promise<GuestFacts>;
  /** Runs a program in the guest through its agent, and waits for its end. @throws AgentError */
  guestExec(id: string, program: GuestProgram): Promise<GuestProgramEnd>;
  /** Shrinks or grows the guest's memory to this many bytes: its balloon takes the rest, as far as the guest allows. */
  setBalloon(id: string, bytes: number): Promise<void>;
  /**
   * Adds vCPUs to a running or paused VM until there are `count`, or has its guest release the last ones; resolves once
   * the guest has done its part. It may take any time and may never do so: the topology shows what it has been asked.
   * For a VM that is off, changes the definition. @throws with a sentence, such as the guest's refusal
   */
  setVcpus(id: string, count: number, options?: SetVcpusOptions): Promise<VcpusChanged>;
  /**
   * Inserts a medium into a drive of a running VM, or ejects it, until the VM ends. A guest that has locked the drive
   * is asked to release it; if it does not, the change fails unless forced.
   * @param device its name: `cd0`
   */
  changeMedium(id: string, device: string, change: MediumChange): Promise<void>;
  /**
   * Plugs a device into a running or paused VM; for a VM that is off, adds it to the definition.
   * @param device an entry of a configuration. @throws with a sentence, leaving nothing attached
   */
  attach(id: string, device: DeviceConfig, options: AttachOptions): Promise<AttachedDevice>;
  /**
   * Asks the guest to release a device, or removes it by force; resolves once it is out. The guest may take any time
   * and may never release it: the device's label in the topology shows since when it has been asked. For a VM that is
   * off, removes it from the definition.
   * @param device its name: `blk1`
   */
  detach(id: string, device: string, options: DetachOptions): Promise<void>;
  /** Withdraws the request to release a device: the pending `detach` fails. */
  cancelDetach(id: string, device: string): Promise<void>;
  /** Ends the VM immediately; resolves once its threads, files and memory are gone. */
  kill(id: string): Promise<void>;
  /**
   * Starts a VM that is off or crashed, from its definition as it is on disk now, or else with the same configuration.
   */
  restart(id: string): Promise<void>;
  /** Removes a VM that is off or crashed, and deletes its definition; the file is kept as `NAME.yaml~`. */
  remove(id: string): Promise<void>;
  /**
   * Renames a VM that is off or crashed, with its definition, log and all other files kept for it; its disks stay where
   * they are. @throws when it runs, or the name is taken
   */
  rename(id: string, name: string): Promise<void>;
  /**
   * Takes a snapshot of a running or paused VM, which is stopped in the meantime. Progress is shown as the VM's `task`.
   * @param options its name (default: the time); whether to copy the VM's disks
   */
  snapshot(id: string, options: SnapshotOptions): Promise<SnapshotInfo>;
  /** Saves the VM's state and ends it; its next start resumes from there. */
  save(id: string): Promise<void>;
  /**
   * Moves a running or paused VM to another host; it is then off, and its definition is there. Progress is shown as the
   * VM's `task`.
   * @throws why it keeps running here; or that it stays stopped, because the other host may have it
   */
  migrate(id: string, options: MigrateOptions): Promise<Migrated>;
  /** Prepares for a VM that another host wants to send. @throws with every reason why it cannot run here */
  receive(offer: Offer): Promise<Arrival>;
  /** Cancels the snapshot, save, restore or migration in progress; the VM continues as it was. */
  cancelTask(id: string): Promise<void>;
  /**
   * The snapshots and saved states of a VM, or with null of all VMs, deleted ones too. @param options compare all
   * checksums
   */
  snapshots(vm: string | null, options: { readonly check: boolean }): Promise<readonly SnapshotInfo[]>;
  /**
   * Resumes a VM, or a new one, from a snapshot.
   * @returns the id of that VM. @throws with everything that does not fit
   */
  restore(vm: string, name: string, options: RestoreOptions): Promise<string>;
  /** @param name null for the saved state; the VM's next start then boots */
  deleteSnapshot(vm: string, name: string | null): Promise<void>;
  /** Saves a definition. @throws with what is wrong in it, by line and key, or when it exists and `replace` is false */
  define(name: string, yaml: string, options: { readonly replace: boolean }): Promise<void>;
  /** The text of a VM's definition. */
  definition(name: string): Promise<string>;
  /** Samples the VMs' counters at intervals and turns them into rates, until closed. */
  sampling(settings: SamplingSettings, listener: (sample: Sample) => void): Sampling;
  /**
   * Opens a console: replays the last 64 KiB, then follows the output.
   * @throws when the VM has no such console
   */
  openConsole(id: string, listener: ConsoleListener, options?: ConsoleOptions): ConsoleLink;
  /**
   * What changed on a screen since `seen`: resolves once something has, or with null after some seconds. `followScreen`
   * (screen/follow-screen.ts) builds frames from it.
   * @param device the name of the display device; null: the first
   */
  screen(id: string, device: string | null, seen: ScreenSeen): Promise<ScreenUpdate | null>;
  subscribe(listener: (event: EngineEvent) => void): () => void;
  /** Metrics of the manager's host and its VMs, for a monitoring system. */
  metrics(format: MetricsFormat): Promise<string>;
  /**
   * Starts a manager if none runs, and resolves once its VMs are known. No-op for a local engine.
   * @throws with why it could not start
   */
  startManager(): Promise<void>;
  /** Local: ends every VM and waits for it. Remote: leaves the VMs running. */
  close(): Promise<void>;
}
