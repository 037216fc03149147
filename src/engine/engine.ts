import type { TerminalSize } from '../devices/backends/char.ts';
import type { DiskLimits } from '../devices/backends/disk.ts';
import type { NetLimits } from '../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../devices/device-table.ts';
import type { ScreenNews, ScreenSeen } from '../devices/display/screen-frame.ts';
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
} from './hotplug/hotplug-info.ts';
import type { Sample, Sampling, SamplingSettings } from './sampling/sampling.ts';
import type { RestoreOptions, SnapshotInfo, SnapshotOptions } from './snapshots/snapshot-info.ts';
import type { EngineEvent, LogEntry, VmInfo } from './vm-info.ts';

/** The manager: the process that starts and watches the VMs' processes. */
export type ManagerInfo = {
  readonly pid: number;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Not this process. */
  readonly remote: boolean;
};

/** OpenMetrics 1.0, or the Prometheus text format 0.0.4. */
export type MetricsFormat = 'openmetrics' | 'prometheus';

/** What a watcher of a serial console receives. */
export type ConsoleListener = {
  /** `replayed`: it was printed before now, and comes from the scrollback. */
  printed(bytes: Uint8Array, replayed: boolean): void;
};

export type PressedButton = {
  /** False: the guest has not turned the button on, because it has no driver for it or has not loaded it yet. */
  readonly noticed: boolean;
};

/** A VM that goes on in a new process of the installed vring. */
export type Upgraded = {
  /** The vring that has run it. */
  readonly from: string;
  readonly to: string;
  /** How long its guest stood still. */
  readonly stoodStillMs: number;
};

/** Why a power button does nothing, about its VM. */
export const BUTTON_OFF =
  'its guest has not turned the power button on: it has no ACPI driver, or has not loaded it yet';

export type ConsoleOptions = {
  /** Its number in the topology of the machine; absent: the first serial port. */
  readonly port?: number;
  /** Absent: the terminal of this process, which may answer. */
  readonly watcher?: ConsoleWatcher;
};

export type ConsoleWatcher = {
  /** `user@tty`, for the others to see. */
  readonly name: string;
  /** False: it may only look, so the guest does not wait for its terminal to answer. */
  readonly answers: boolean;
};

/** One watcher of a VM's serial console. Any number may watch; one at a time types. */
export interface ConsoleLink {
  /** @throws if another watcher has the keyboard, naming it, unless `take` takes it away */
  takeKeyboard(take?: boolean): Promise<void>;
  releaseKeyboard(): void;
  /** Ignored without the keyboard. */
  type(bytes: Uint8Array): void;
  /** Types what comes from a file or a pipe. Resolves when the guest has taken enough for more; a guest that is paused takes nothing. */
  feed(bytes: Uint8Array): Promise<void>;
  /** What the terminal itself answers to a query of the guest. The guest gets the answer of one watcher: the keyboard holder, or else the first that may answer. */
  answer(bytes: Uint8Array): void;
  /** How large the watcher's terminal is. A guest that asks learns it of the keyboard holder's. */
  setSize(size: TerminalSize): void;
  close(): void;
}

/**
 * All that the UI and the commands may ask of the VMM. The local engine runs the VMs in this process; a remote one talks to
 * the manager.
 */
export interface Engine {
  readonly manager: ManagerInfo;
  vms(): readonly VmInfo[];
  /** What has happened, oldest first: the last 1000 entries. */
  log(): readonly LogEntry[];
  /** Takes in a VM without a definition, and starts it. @returns its id. @throws with a sentence for the user when the configuration is bad. */
  start(config: MachineConfigInput): Promise<string>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /** Wakes up a guest that sleeps in ACPI S3. @throws when it does not */
  wake(id: string): Promise<void>;
  /** The reset button. */
  reset(id: string): Promise<void>;
  /** The ACPI power button: the guest decides. */
  powerButton(id: string): Promise<PressedButton>;
  /**
   * Hands a VM that runs or is paused to a new process of this vring, in which it goes on.
   * @throws why it goes on in its present process
   */
  upgrade(id: string): Promise<Upgraded>;
  /**
   * Gives a disk of a running VM another size, or takes over the one that its file has got, and tells the guest.
   * @param device its name: `blk0`. @returns the size in bytes
   */
  resizeDisk(id: string, device: string, change: SizeChange): Promise<number>;
  /** Replaces the limits of a disk's rate: of a VM that runs until it ends, and with `persist` at every start. */
  limitDisk(id: string, device: string, limits: DiskLimits, options?: LimitOptions): Promise<void>;
  /** Plugs the cable of a network card in, or out, until the VM ends. @param device its name: `net0` */
  setLink(id: string, device: string, up: boolean): Promise<void>;
  /** The same for a network card's rates. */
  limitNic(id: string, device: string, limits: NetLimits, options?: LimitOptions): Promise<void>;
  /**
   * Presses keys and moves the pointer of a VM that runs or is paused.
   * @returns how many of the events it got, from the first: the guest has not taken enough of what came before for the others
   */
  input(id: string, events: readonly InputEvent[]): Promise<number>;
  /** Asks the guest what it says of itself, by its agent. @throws AgentError */
  guestFacts(id: string): Promise<GuestFacts>;
  /** Runs a program in the guest by its agent, and waits for its end. @throws AgentError */
  guestExec(id: string, program: GuestProgram): Promise<GuestProgramEnd>;
  /** Has the guest keep this many bytes of its memory: its balloon takes the rest, as far as the guest gives it. */
  setBalloon(id: string, bytes: number): Promise<void>;
  /**
   * Puts a medium into a drive of a running VM, or takes out what is in it, until the VM ends. A guest that has locked the drive is
   * asked to release it, and the change fails unless it is forced.
   * @param device its name: `cd0`
   */
  changeMedium(id: string, device: string, change: MediumChange): Promise<void>;
  /**
   * Plugs a device into a VM that runs or is paused. Of a VM that is off, adds it to the definition.
   * @param device an entry of a configuration. @throws with a sentence; nothing of it is left then
   */
  attach(id: string, device: DeviceConfig, options: AttachOptions): Promise<AttachedDevice>;
  /**
   * Has the guest release a device, or takes it; resolves when it is out. A guest may take any time, and may never release it: the device's
   * label in the topology says since when it has been asked. Of a VM that is off, removes it from the definition.
   * @param device its name: `blk1`
   */
  detach(id: string, device: string, options: DetachOptions): Promise<void>;
  /** The guest need not release a device any more: the `detach` that waits for it fails. */
  cancelDetach(id: string, device: string): Promise<void>;
  /** Ends the VM at once; resolves when its threads, files and memory are gone. */
  kill(id: string): Promise<void>;
  /** Starts a VM that is off or crashed: from its definition as it is on disk now, or with the same configuration. */
  restart(id: string): Promise<void>;
  /** Takes a VM that is off or crashed out of the list, and deletes its definition; the file is kept as `NAME.yaml~`. */
  remove(id: string): Promise<void>;
  /**
   * Gives a VM that is off or crashed another name: its definition, its log and whatever else is kept of it; its disks stay where
   * they are. @throws when it runs, or the name is taken
   */
  rename(id: string, name: string): Promise<void>;
  /**
   * Takes a snapshot of a VM that runs or is paused, which stands still meanwhile and then goes on. It is shown as the VM's `task`.
   * @param options its name, default: the time; whether it has copies of the VM's disks
   */
  snapshot(id: string, options: SnapshotOptions): Promise<SnapshotInfo>;
  /** Writes the VM's state and ends it: its next start goes on from there. */
  save(id: string): Promise<void>;
  /** Calls off the snapshot, save or restore that is under way: the VM goes on as it was. */
  cancelTask(id: string): Promise<void>;
  /** The snapshots and saved states of a VM, or of all with null; also of deleted ones. @param options compare all checksums */
  snapshots(vm: string | null, options: { readonly check: boolean }): Promise<readonly SnapshotInfo[]>;
  /**
   * Has a VM go on from a snapshot, or a new one made of it.
   * @returns the id of that VM. @throws with everything that does not fit
   */
  restore(vm: string, name: string, options: RestoreOptions): Promise<string>;
  /** @param name null: what the VM was saved to; its next start boots then */
  deleteSnapshot(vm: string, name: string | null): Promise<void>;
  /** Saves a definition. @throws with what is wrong in it, by line and key, or when there is one already and it is not to be replaced. */
  define(name: string, yaml: string, options: { readonly replace: boolean }): Promise<void>;
  /** The text of a VM's definition. */
  definition(name: string): Promise<string>;
  /** Has the VMs' counters turned into rates, now and then, for as long as it isn't closed. */
  sampling(settings: SamplingSettings, listener: (sample: Sample) => void): Sampling;
  /**
   * A console: the last 64 KiB that it printed, then what it prints.
   * @throws when the VM has no such console
   */
  openConsole(id: string, listener: ConsoleListener, options?: ConsoleOptions): ConsoleLink;
  /**
   * What is new on a screen to somebody who has seen `seen`: resolves when there is something, and after some seconds with null.
   * `followScreen` (screen/follow-screen.ts) puts frames together from that.
   * @param device the name of the one whose screen it is; null: the first that has one
   */
  screen(id: string, device: string | null, seen: ScreenSeen): Promise<ScreenNews | null>;
  subscribe(listener: (event: EngineEvent) => void): () => void;
  /** The manager's host and its VMs, for a monitoring system. */
  metrics(format: MetricsFormat): Promise<string>;
  /**
   * Starts a manager if none runs, and resolves once its VMs are known. A local engine needs none.
   * @throws with what kept it from starting
   */
  startManager(): Promise<void>;
  /** Local: ends every VM and waits for it. Remote: leaves them alone. */
  close(): Promise<void>;
}
